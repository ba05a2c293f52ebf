"""The scrub finds real damage, takes it out of service, and puts it back when it is repaired; clients fail cleanly."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import LOW_PRIORITY_S, Daemon, wait_until
from fixtures.files import write_files
from fixtures.rack import BASE, Rack
from fixtures.stored_images import MadeImage, an_image, store_image

from netboot.content.library.disk import sha256
from netboot.content.library.record import Record
from netboot.content.ostree.object_table import write_index

pytestmark = pytest.mark.integration

RELEASE, MEDIUM, IMAGE = "ock-1.31-amd64", "ol8u10-x86_64", "olcne/ui"
OTHER = """\
network: {interfaces: []}
http: {listen: [192.0.2.66], port: 8090}
admin: {socket: control.sock, listen: 127.0.0.1:8471}
content: {directory: content, deltas: false}
store: {url: sqlite+aiosqlite:///netboot.db}
records: {directory: records}
log: {format: json}
"""
NODE = ("52:54:00:aa:bb:09", "192.0.2.59")


@pytest.fixture
def rack_directory(tmp_path: Path) -> Path:
    """An appliance whose medium has an import record, and that has an image."""
    directory = write_files(tmp_path)
    medium = directory / "content/media" / MEDIUM
    files = {name: sha256(medium / name) for name in ("vmlinuz", "initrd.img", "images/install.img")}
    Record("a.iso", "", "2026-11-30T00:00:00+00:00", files=files).write(medium)
    write_index(directory / "content/ostree" / RELEASE)
    return directory


@pytest.fixture
def image(rack_directory: Path) -> MadeImage:
    return store_image(rack_directory / "content", IMAGE, an_image(1_000, 300_000), "v2")


def an_object(rack: Rack, release: str = RELEASE) -> Path:
    """Return the largest file object of a release."""
    found = (rack.directory / "content/ostree" / release / "objects").glob("*/*.filez")
    return max(found, key=lambda path: (path.stat().st_size, path.name))


def scrubbed(rack: Rack) -> dict[str, Any]:
    """Have a whole round read; return how it ended."""
    before = rack.api("/api/v1/content/scrub")["ended_at"]
    rack.api("/api/v1/content/scrub", "-X", "POST")
    ended: dict[str, Any] = wait_until(
        lambda: found if (found := rack.api("/api/v1/content/scrub"))["ended_at"] not in (None, before) else None,
        timeout_s=LOW_PRIORITY_S,
    )
    return ended


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x04
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


DAMAGES: dict[str, Callable[[Path], object]] = {"flipped": flipped, "cut": cut, "missing": Path.unlink}


def pull(rack: Rack, place: Path) -> subprocess.CompletedProcess[str]:
    """Pull the release with the real ostree of a node."""
    run = ["ip", "netns", "exec", rack.client_namespace, "ostree"]
    subprocess.run(["ostree", f"--repo={place}", "init", "--mode=archive"], check=True, timeout=30)
    url = f"{BASE}/ostree/{RELEASE}"
    add = ["ostree", f"--repo={place}", "remote", "add", "--no-gpg-verify", "netboot", url]
    subprocess.run(add, check=True, timeout=30)
    command = [*run, f"--repo={place}", "pull", "netboot", "ock"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def marks_of(rack: Rack, release: str) -> dict[str, Any]:
    """Read what commands, API, pages and health show of the damage of a release."""
    row = next(line for line in rack.netboot("content", "list").splitlines() if line.startswith(f"{release}\t"))
    listed = {each["name"]: each for each in json.loads(rack.netboot("content", "list", "--json"))}
    shown = json.loads(rack.netboot("content", "show", release, "--json"))
    entry = rack.api(f"/api/v1/content/entries/{release}")
    ready = rack.curl_api("/readyz")
    parts = [each for each in json.loads(ready.body)["parts"] if (each["part"], each["name"]) == ("content", release)]
    return {
        "list": [word for word in row.split("\t")[2].split("; ") if word.startswith("damaged")],
        "list --json": listed[release]["damaged_files"],
        "show": "\ndamaged, not served: objects/" in rack.netboot("content", "show", release),
        "show --json": [(each["file"], each["cure"]) for each in shown["damaged"]],
        "API": [entry["entry"]["damaged_files"], [each["member"] for each in entry["damaged"]]],
        "page": "damaged: 1 file not served" in rack.curl_api("/content").body,
        "page of the entry": "Damaged, not served" in rack.curl_api(f"/content/{release}").body,
        "readyz": (ready.status, [(each["state"], each["reasons"]) for each in parts]),
        "healthz": rack.curl_api("/healthz").status,
    }


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_object_is_not_served_until_another_release_or_archive_repairs_it(
    rack: Rack, tmp_path: Path, damage: str
):
    archive = tmp_path / "archive"
    shutil.copytree(rack.directory / "content/ostree" / RELEASE, archive)
    node, path = rack.machine(*NODE), an_object(rack)
    member = path.relative_to(rack.directory / "content/ostree" / RELEASE).as_posix()
    DAMAGES[damage](path)

    found = scrubbed(rack)
    refused = node.get(f"/ostree/{RELEASE}/{member}")
    failed = pull(rack, tmp_path / "failed")
    problems = rack.api("/api/v1/status")["problems"]
    marks = marks_of(rack, RELEASE)
    rack.netboot("content", "verify", RELEASE, "--repair-from", str(archive))
    wait_until(lambda: not rack.api("/api/v1/content/scrub")["damaged"] or None, timeout_s=LOW_PRIORITY_S)
    pulled = pull(rack, tmp_path / "pulled")

    assert [(each["owner"], each["member"]) for each in found["damaged"]] == [(RELEASE, member)]
    if damage != "missing":
        assert (refused.status, "retry-after: 60" in refused.headers.lower()) == (503, True)
        assert "503" in failed.stderr
    assert failed.returncode != 0
    cure = f"netboot content verify {RELEASE} --repair-from SOURCE"
    assert [member in each and cure in each for each in problems] == [True]
    assert marks == {
        "list": ["damaged: 1 file not served"],
        "list --json": 1,
        "show": True,
        "show --json": [(member, cure)],
        "API": [1, [member]],
        "page": True,
        "page of the entry": True,
        "readyz": (503, [("degraded", problems)]),
        "healthz": 200,
    }
    assert marks_of(rack, RELEASE) == {
        "list": [],
        "list --json": 0,
        "show": False,
        "show --json": [],
        "API": [0, []],
        "page": False,
        "page of the entry": False,
        "readyz": (200, []),
        "healthz": 200,
    }
    assert pulled.returncode == 0, pulled.stderr
    fsck = subprocess.run(["ostree", f"--repo={tmp_path}/pulled", "fsck"], capture_output=True, timeout=60, check=False)
    assert fsck.returncode == 0
    assert rack.lines("content.damaged")[0]["file"] == member
    rack.wait_for("content.repaired", file=member)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_object_is_repaired_from_another_release_that_has_it(rack: Rack, damage: str):
    releases = rack.directory / "content/ostree"
    shutil.copytree(releases / RELEASE, releases / "other")  # another file on disk
    path = an_object(rack)
    sound = path.read_bytes()
    DAMAGES[damage](path)

    found = scrubbed(rack)

    assert found["damaged"] == []
    assert path.read_bytes() == sound
    assert rack.lines("content.damaged")[0]["content"] == RELEASE
    rack.wait_for("content.repaired", content=RELEASE)


def test_the_damage_of_a_hard_link_is_that_of_every_release_and_survives_a_restart(rack: Rack):
    releases = rack.directory / "content/ostree"
    shutil.copytree(releases / RELEASE, releases / "other", copy_function=os.link)
    node, path = rack.machine(*NODE), an_object(rack)
    member = path.relative_to(releases / RELEASE).as_posix()
    flipped(path)

    first = scrubbed(rack)
    rack.kill()
    rack.start()
    after = rack.api("/api/v1/content/scrub")
    statuses = [node.get(f"/ostree/{name}/{member}").status for name in (RELEASE, "other")]

    assert sorted(each["owner"] for each in first["damaged"]) == [RELEASE, "other"]
    assert after["damaged"] == first["damaged"]
    assert statuses == [503, 503]


def test_a_damaged_file_of_a_medium_is_not_served_and_is_repaired_from_another_medium(rack: Rack):
    media = rack.directory / "content/media"
    node, path = rack.machine(*NODE), media / MEDIUM / "images/install.img"
    sound = path.read_bytes()
    flipped(path)

    found = scrubbed(rack)
    refused = node.get(f"/content/{MEDIUM}/images/install.img").status
    shutil.copytree(media / MEDIUM, media / "other")
    (media / "other/images/install.img").write_bytes(sound)
    rack.api("/api/v1/content/rescan", "-X", "POST", "-H", "Content-Type: application/json", "-d", "{}")
    repaired = scrubbed(rack)

    assert [each["member"] for each in found["damaged"]] == ["images/install.img"]
    assert refused == 503
    assert repaired["damaged"] == []
    assert node.get(f"/content/{MEDIUM}/images/install.img").status == 200
    assert path.read_bytes() == sound


def test_a_damaged_blob_is_refused_to_skopeo_and_served_again_after_a_repair(
    rack_directory: Path, image: MadeImage, rack: Rack, tmp_path: Path
):
    node = rack.machine(*NODE)
    blobs = rack_directory / "content/images/blobs/sha256"
    path = blobs / image.layers[1].partition(":")[2]
    saved = tmp_path / "saved"
    skopeo(rack, "copy", "--src-tls-verify=false", f"docker://192.0.2.10:8080/{IMAGE}:v2", f"oci:{saved}:v2")
    flipped(path)

    found = scrubbed(rack)
    damage = rack.lines("content.damaged")[0]
    listed, shown = rack.netboot("content", "list"), rack.netboot("content", "show", f"{IMAGE}:v2")
    refused = node.get(f"/v2/{IMAGE}/blobs/{image.layers[1]}")
    failed = skopeo(
        rack, "copy", "--src-tls-verify=false", f"docker://192.0.2.10:8080/{IMAGE}:v2", f"oci:{tmp_path}/x:v2", ok=False
    )
    rack.netboot(*damage["cure"].split()[1:-1], str(saved))
    wait_until(lambda: not rack.api("/api/v1/content/scrub")["damaged"] or None, timeout_s=LOW_PRIORITY_S)
    skopeo(rack, "copy", "--src-tls-verify=false", f"docker://192.0.2.10:8080/{IMAGE}:v2", f"oci:{tmp_path}/y:v2")

    assert [(each["owner"], each["images"]) for each in found["damaged"]] == [(image.layers[1], [f"{IMAGE}:v2"])]
    assert damage["cure"] == f"netboot content verify {IMAGE}:v2 --repair-from SOURCE"
    assert "1 of its blobs are damaged and not served" in shown
    assert "v2, 1 damaged" in listed
    assert (refused.status, json.loads(refused.body)["errors"][0]["code"]) == (503, "UNKNOWN")
    assert "503" in failed.stderr


def skopeo(rack: Rack, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    command = ["ip", "netns", "exec", rack.client_namespace, "skopeo", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode == 0) is ok, done.stderr
    return done


def test_damage_of_every_kind_is_repaired_from_another_appliance(
    rack_directory: Path, image: MadeImage, rack: Rack, tmp_path: Path
):
    content = rack_directory / "content"
    (tmp_path / "other").mkdir()
    other = Daemon(tmp_path / "other", rack.client_namespace)
    other.config.write_text(OTHER)
    shutil.copytree(content, other.directory / "content")
    blobs = content / "images/blobs/sha256"
    damaged = [
        an_object(rack),
        content / "media" / MEDIUM / "vmlinuz",
        *(blobs / digest.partition(":")[2] for digest in (image.layers[0], image.digest)),
    ]
    sound = [path.read_bytes() for path in damaged]
    for path in damaged:
        flipped(path)
    other.start()
    try:
        found = scrubbed(rack)
        printed = [
            rack.netboot("content", "verify", name, "--repair-from", "http://192.0.2.66:8090")
            for name in (RELEASE, MEDIUM, IMAGE)
        ]
        wait_until(lambda: not rack.api("/api/v1/content/scrub")["damaged"] or None, timeout_s=LOW_PRIORITY_S)
    finally:
        other.stop()
    refused = rack.netboot("content", "verify", RELEASE, "--repair-from", "http://192.0.2.66:8090")

    assert len(found["damaged"]) == 4
    assert all("replaced" in each for each in printed)
    assert [path.read_bytes() for path in damaged] == sound
    assert "replaced" not in refused  # nothing is damaged, so nothing is fetched


def test_a_round_continues_after_a_restart_where_it_was(rack_directory: Path, rack: Rack):
    state = rack_directory / "content/.scrub.json"
    scrubbed(rack)
    rack.kill()
    kept = json.loads(state.read_text())
    position = f"ostree/{RELEASE}/objects/fe"
    state.write_text(json.dumps(kept | {"ended_at": None, "position": position, "size_bytes": 7}))
    rack.start()

    ended = scrubbed(rack)

    last = rack_directory / "content/ostree" / RELEASE / "objects/ff"
    assert ended["began_at"] == kept["began_at"]
    assert ended["size_bytes"] == 7 + sum(path.stat().st_size for path in last.glob("*"))
