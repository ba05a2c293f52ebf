"""What the daemon itself, not a command, does with files and programs in the sandbox of `netboot.service`."""

import hashlib
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from content.test_iso import UEK8, el8, make_iso
from daemon.test_uploads import archive  # noqa: F401 - a fixture
from fixtures.daemon import START_S, wait_until
from fixtures.rack import BASE
from netns import inside
from nspawn.conftest import Unit
from tusclient.client import TusClient

pytestmark = [pytest.mark.integration, pytest.mark.proof]

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
URL = "http://127.0.0.1:8470/api/v1/uploads"
CONTENT = "/var/lib/netboot/content/ostree"
IMAGE = Path(__file__).parents[1] / "fixtures/ostree_images/ock-image-tiny.tar"


@pytest.fixture(autouse=True)
def sandbox(unit: Unit, running: None) -> Iterator[None]:
    """Nothing that a test does is refused by the sandbox."""
    yield
    journal = unit.journal()
    for refusal in ("not permitted", "Read-only file system", "Permission denied", "No such file or directory"):
        assert [line for line in journal.splitlines() if refusal in line] == []


def upload(unit: Unit, data: bytes, **metadata: str) -> str:
    """Upload with tuspy to the administration's address of the appliance; return the upload's path there."""
    with inside(unit.server_namespace):
        uploader = TusClient(URL).uploader(file_stream=io.BytesIO(data), chunk_size=1 << 20, metadata=metadata)
        uploader.upload()
    return f"/api/v1/uploads/{uploader.url.rpartition('/')[2]}"


def end_of(unit: Unit, path: str) -> dict[str, Any]:
    """Wait until an upload is imported or refused."""

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = json.loads(unit.curl_api(path).body)
        return found if found["state"] in ("done", "failed") else None

    return wait_until(ended, failed=lambda: unit.journal("-n", "30"), timeout_s=START_S)


def content_of(unit: Unit, path: str) -> bytes:
    """Read a file of the content as a machine does."""
    curl = ["ip", "netns", "exec", unit.client_namespace, "curl", "-sSf", "--max-time", "10", f"{BASE}{path}"]
    return subprocess.run(curl, check=True, capture_output=True, timeout=20).stdout


def files(unit: Unit, directory: str, name: str) -> list[str]:
    return unit.container.run("sh", "-c", f"find {directory} -name '{name}' 2>/dev/null || true").split()


def wait_for_delta(unit: Unit, release: str) -> None:
    """Wait until `ostree` has made a static delta of a release, which is what a machine pulls."""
    found = wait_until(
        lambda: files(unit, f"{CONTENT}/{release}/deltas", "superblock") or None,
        failed=lambda: unit.journal("-n", "30"), timeout_s=START_S,
    )  # fmt: skip
    path = found[0].removeprefix("/var/lib/netboot/content")
    assert unit.machine(*CP1).get(path, "-I").status == 200


def test_an_uploaded_archive_becomes_a_release_with_a_static_delta(unit: Unit, archive: bytes):  # noqa: F811
    upload(unit, archive, kind="archive", name="ock-archive", filename="ock.tar")

    wait_for_delta(unit, "ock-archive")


def test_an_uploaded_image_becomes_a_release_with_a_static_delta(unit: Unit):
    upload(unit, IMAGE.read_bytes(), kind="image", name="ock-image", filename="ock.tar")

    wait_for_delta(unit, "ock-image")


def test_an_uploaded_iso_becomes_boot_media_that_a_machine_reads(unit: Unit, tmp_path: Path):
    given, name = el8(), "ol8-uploaded"
    iso = make_iso(tmp_path, given, volume="OL-8-10-0-BaseOS-x86_64").read_bytes()

    ended = end_of(unit, upload(unit, iso, kind="iso", name=name, filename="download.iso"))

    assert (ended["state"], ended["error"]) == ("done", None)
    (medium,) = [each for each in json.loads(unit.netboot("content", "list", "--json")) if each["name"] == name]
    assert medium == {
        "name": name, "kind": "boot medium", "alias_of": None, "aliases": [], "used_by": [], "damaged_files": 0,
        "what": "Oracle Linux 8.10 x86_64 boot-uek", "architecture": "x86_64", "kernel": UEK8,
        "ref": None, "commit": None, "object_count": None, "size_bytes": ended["result"]["size_bytes"],
        "imported_at": medium["imported_at"], "source": "data", "path": f"/var/lib/netboot/content/media/{name}",
        "source_digest": f"sha256:{hashlib.sha256(iso).hexdigest()}",
    }  # fmt: skip
    read = {each: content_of(unit, f"/content/{name}/{each}") for each in ("vmlinuz", "initrd.img")}
    assert read == {each: given[f"images/pxeboot/{each}"] for each in read}
    assert content_of(unit, f"/content/{name}/images/install.img") == given["images/install.img"]


def test_the_daemon_declares_a_host_and_replaces_an_ignition_file(unit: Unit):
    unit.netboot("host", "add", "w9", "role=worker", "mac=52:54:00:00:00:09")
    unit.netboot("cluster", "ignition", "set", "worker", "/given/ign/worker-join.ign")

    assert unit.container.run("sh", "-c", "cd /etc/netboot/hosts.d && stat -c '%n %U %a' *") == "w9.yaml netboot 640\n"
    assert [host["name"] for host in json.loads(unit.netboot("host", "list", "--json"))] == ["cp1", "w1", "w9"]


def test_a_hook_a_capture_and_a_support_archive_are_made(unit: Unit):
    machine = unit.machine(*CP1)
    unit.netboot("install", "arm", "cp1", "--reason", "test")
    machine.boots()
    assert "vmlinuz" in machine.script()

    marked = wait_until(lambda: files(unit, "/var/lib/netboot", "marked") or None, timeout_s=START_S)
    events = unit.container.run("cat", marked[0])
    assert '"cp1"' in events
    wait_until(lambda: files(unit, "/var/lib/netboot/records", "*.pcapng*") or None, timeout_s=START_S)
    unit.netboot("support", "cp1", "--output", "/run/support.tar.gz")
    assert "cp1" in unit.container.run("tar", "-tzf", "/run/support.tar.gz")
    unit.netboot("install", "cancel", "cp1")
