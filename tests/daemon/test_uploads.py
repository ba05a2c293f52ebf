"""Uploads to a running daemon: resumed, refused, kept over a restart, and imported as by the command."""

import hashlib
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import LOW_PRIORITY_S, wait_until
from fixtures.image_layouts import Layout, mirrored
from fixtures.packets import SERVER
from fixtures.problems import without_rfc_members
from fixtures.rack import Rack
from fixtures.tus_headers import RESUMABLE, continuation, creation, written

pytestmark = pytest.mark.integration


class Uploader:
    """curl on the control socket."""

    def __init__(self, rack: Rack) -> None:
        self._socket = rack.directory / "control.sock"

    def query(self, method: str, path: str, *arguments: str) -> tuple[int, Any, str]:
        done = subprocess.run(
            [
                "curl",
                "-sS",
                "-i",
                "--unix-socket",
                str(self._socket),
                "-X",
                method,
                *arguments,
                f"http://localhost{path}",
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        head, _, body = done.stdout.replace("\r\n", "\n").rpartition("\n\n")
        status = int(head.rsplit("HTTP/1.1 ", 1)[1][:3])
        return status, json.loads(body) if body.startswith(("{", "[")) else body, head

    def request_upload(self, length: int, **metadata: str) -> tuple[int, Any, str]:
        return self.query("POST", "/api/v1/uploads", *options(creation(length, **metadata)))

    def begin(self, length: int, **metadata: str) -> dict[str, Any]:
        status, upload, _ = self.request_upload(length, **metadata)
        assert status == 201, upload
        found: dict[str, Any] = upload
        return found

    def send(self, upload: dict[str, Any], offset: int, data: bytes, directory: Path) -> int:
        piece = directory / "piece"
        piece.write_bytes(data)
        arguments = (*options(continuation(offset)), "-T", str(piece))
        return self.query("PATCH", f"/api/v1/uploads/{upload['id']}", *arguments)[0]

    def show(self, upload: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.query("GET", f"/api/v1/uploads/{upload['id']}")[1]
        return found

    def end_of(self, upload: dict[str, Any]) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            found = self.show(upload)
            return found if found["state"] in ("done", "failed") else None

        return wait_until(ended, failed=lambda: str(self.show(upload)), timeout_s=LOW_PRIORITY_S)


def options(headers: dict[str, str]) -> list[str]:
    return [word for line in written(headers) for word in ("-H", line)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An image of an OSTree archive as `podman save` writes it, in its oldest form: one layer, one tar."""
    directory = tmp_path_factory.mktemp("archive")
    tree, repository = directory / "tree", directory / "root/usr/share/nginx/html/ostree"
    tree.mkdir()
    (tree / "file").write_text("uploaded")
    repository.mkdir(parents=True)
    for arguments in (("init", "--mode=archive"), ("commit", "--branch=ock", f"--tree=dir={tree}", "--no-xattrs")):
        subprocess.run(["ostree", f"--repo={repository}", *arguments], check=True, capture_output=True, timeout=30)
    layer = directory / "layer.tar"
    subprocess.run(["tar", "-C", str(directory / "root"), "-cf", str(layer), "usr"], check=True, timeout=30)
    digest = hashlib.sha256(layer.read_bytes()).hexdigest()
    image = directory / "image"
    image.mkdir()
    layer.rename(image / f"{digest}.tar")
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}
    config_text = json.dumps(config)
    config_name = hashlib.sha256(config_text.encode()).hexdigest() + ".json"
    (image / config_name).write_text(config_text)
    manifest = [{"Config": config_name, "RepoTags": ["localhost/ock-ostree:latest"], "Layers": [f"{digest}.tar"]}]
    (image / "manifest.json").write_text(json.dumps(manifest))
    saved = directory / "image.tar"
    names = sorted(path.name for path in image.iterdir())
    subprocess.run(["tar", "-C", str(image), "-cf", str(saved), *names], check=True, timeout=30)
    return saved.read_bytes()


def test_images_that_are_uploaded_in_pieces_are_listed_verified_pulled_and_removed(rack: Rack, tmp_path: Path):
    ui, etcd = Layout(), Layout()
    digest = ui.name(ui.index(ui.image("ui", layer_bytes=200_000), ui.image("ui", cpu="arm64")), "olcne/ui:1.33")
    etcd.name(etcd.image("etcd"), "olcne/etcd:3.5")
    data = mirrored(tmp_path / "images.tgz", [ui, etcd]).read_bytes()
    uploader, half = Uploader(rack), len(data) // 2
    upload = uploader.begin(len(data), kind="images")
    assert uploader.send(upload, 0, data[:half], tmp_path) == 204
    assert uploader.show(upload)["offset"] == half
    assert uploader.send(upload, half, data[half:], tmp_path) == 204

    ended = uploader.end_of(upload)

    assert ended["state"] == "done", ended
    (source,) = ended["result"]["sources"]
    assert [(each["name"], each["is_new"]) for each in source["images"]] == [
        ("olcne/ui:1.33", True),
        ("olcne/etcd:3.5", True),
    ]
    assert [each["name"] for each in uploader.query("GET", "/api/v1/images")[1]] == ["olcne/etcd", "olcne/ui"]
    status, shown, _ = uploader.query("GET", "/api/v1/images/olcne%2Fui:1.33")
    assert (status, shown["name"], shown["repository"]["images"][0]["digest"]) == (200, "olcne/ui:1.33", digest)
    assert set(shown["blobs"]) == set(ui.blobs)
    status, begun, _ = uploader.query("POST", "/api/v1/content/verifications", "-d", '{"name": "olcne/ui:1.33"}')
    assert status == 202, begun
    verified = verification(uploader, begun["id"])
    assert [(each["name"], each["ok"], each["checked"]) for each in verified["verdicts"]] == [
        ("olcne/ui:1.33", True, len(ui.blobs))
    ]

    copied = tmp_path / "copied"
    skopeo = ["ip", "netns", "exec", rack.client_namespace, "skopeo", "--insecure-policy", "copy", "--quiet"]
    image = f"docker://{SERVER}:8080/olcne/ui:1.33"
    subprocess.run([*skopeo, "--all", "--src-tls-verify=false", image, f"dir:{copied}"], check=True, timeout=60)
    assert hashlib.sha256((copied / "manifest.json").read_bytes()).hexdigest() == digest[7:]
    names = {path.name for path in copied.iterdir() if len(path.name) == 64}
    assert names <= {each[7:] for each in ui.blobs}
    assert {hashlib.sha256((copied / name).read_bytes()).hexdigest() for name in names} == names

    assert uploader.query("DELETE", "/api/v1/images/olcne%2Fui:1.33")[:2] == (
        200,
        {"removed": "olcne/ui:1.33", "size_bytes": 0},
    )
    pulled = uploader.query("POST", "/api/v1/content/collect")[1]["images"]
    assert (pulled["manifests"], pulled["blobs"], pulled["pulled"] > 0) == (0, 0, True)
    assert uploader.query("DELETE", "/api/v1/images/olcne%2Fetcd")[0] == 200
    collected = uploader.query("POST", "/api/v1/content/collect")[1]["images"]
    assert (collected["manifests"], collected["blobs"]) == (0, len(etcd.blobs))


def test_an_ock_image_that_is_uploaded_becomes_a_release_and_an_image(rack: Rack, tmp_path: Path):
    data = (Path(__file__).parents[1] / "fixtures/ostree_images/ock-image-tiny.tar").read_bytes()
    uploader = Uploader(rack)
    upload = uploader.begin(len(data), kind="image", name="ock-tiny", image="quay.io/site/ock:1.33")
    assert uploader.send(upload, 0, data, tmp_path) == 204

    ended = uploader.end_of(upload)

    assert ended["state"] == "done", ended
    assert (ended["result"]["name"], ended["result"]["tags"]) == ("ock-tiny", ["1.33", "ock-tiny"])
    status, shown, _ = uploader.query("GET", "/api/v1/images/site%2Fock:1.33")
    assert (status, shown["repository"]["images"][0]["releases"]) == (200, ["ock-tiny"])
    assert uploader.query("GET", "/api/v1/content/entries/ock-tiny")[0] == 200
    status, promoted, _ = uploader.query(
        "POST", "/api/v1/content/promote", "-d", '{"name": "ock-tiny", "alias": "tiny"}'
    )
    digest = shown["repository"]["images"][0]["digest"]
    moved = [{"repository": "site/ock", "tag": "tiny", "before": "", "after": digest}]
    assert (status, promoted["tags"]) == (200, moved)
    status, refused, _ = uploader.query("DELETE", "/api/v1/images/site%2Fock")
    assert (status, refused["code"]) == (409, "content-refused")
    for name in ("tiny", "ock-tiny"):
        assert uploader.query("DELETE", f"/api/v1/content/entries/{name}")[0] == 200
    assert uploader.query("GET", "/api/v1/images/site%2Fock")[1]["repository"]["tags"] == []


def verification(uploader: Uploader, id_: str) -> dict[str, Any]:
    for _ in range(300):
        found: dict[str, Any] = next(
            each for each in uploader.query("GET", "/api/v1/content/verifications")[1] if each["id"] == id_
        )
        if found["state"] != "running":
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def test_images_without_a_name_are_refused_with_the_reason_and_named_by_the_upload(rack: Rack, tmp_path: Path):
    layout = Layout()
    layout.name(layout.image("nameless"))
    data = layout.archive(tmp_path / "nameless.tar").read_bytes()
    uploader = Uploader(rack)
    nameless = uploader.begin(len(data), kind="images")
    named = uploader.begin(len(data), kind="images", image="quay.io/site/tool:1")
    for upload in (nameless, named):
        assert uploader.send(upload, 0, data, tmp_path) == 204

    failed, done = uploader.end_of(nameless), uploader.end_of(named)

    assert (failed["state"], failed["result"]) == ("failed", None)
    assert failed["error"].endswith("has no name for its image; give it: --image REPOSITORY:TAG")
    assert (done["state"], done["image"]) == ("done", "site/tool:1")
    assert done["result"]["sources"][0]["images"][0]["name"] == "site/tool:1"


def test_an_upload_in_pieces_over_a_restart_ends_as_a_release(rack: Rack, archive: bytes, tmp_path: Path):
    uploader = Uploader(rack)
    half = len(archive) // 2
    upload = uploader.begin(len(archive), kind="archive", name="ock-uploaded")
    assert uploader.send(upload, 0, archive[:half], tmp_path) == 204

    rack.kill()
    rack.start()

    assert uploader.show(upload)["offset"] == half
    assert uploader.send(upload, half, archive[half:], tmp_path) == 204
    ended = uploader.end_of(upload)
    assert ended["state"] == "done", ended
    assert ended["result"]["name"] == "ock-uploaded"
    machine = rack.machine("52:54:00:99:99:99", "192.0.2.60")
    assert machine.get("/ostree/ock-uploaded/refs/heads/ock").status == 200


def test_what_does_not_fit_an_upload_is_refused_with_the_reason(rack: Rack, tmp_path: Path):
    uploader = Uploader(rack)
    upload = uploader.begin(10, kind="iso")
    path = f"/api/v1/uploads/{upload['id']}"

    assert uploader.send(upload, 5, b"x", tmp_path) == 409  # not at its offset
    assert uploader.send(upload, 0, b"x" * 11, tmp_path) == 400  # more than announced
    assert uploader.query("PATCH", path, "-d", "x", *options(continuation("")))[0] == 400  # no offset
    assert uploader.request_upload(-1, kind="iso")[0] == 400
    assert uploader.request_upload(1, kind="archive")[0] == 400
    assert uploader.request_upload(1 << 39, kind="iso")[0] == 507
    assert uploader.query("DELETE", path, *options(RESUMABLE))[0] == 204
    assert uploader.query("GET", path)[0] == 404


def test_what_is_no_iso_fails_with_the_imports_own_words_and_gives_its_bytes_back(rack: Rack, tmp_path: Path):
    uploader = Uploader(rack)
    upload = uploader.begin(10, kind="iso")
    assert uploader.send(upload, 0, b"no iso at ", tmp_path) == 204

    ended = uploader.end_of(upload)

    assert ended["state"] == "failed"
    assert "iso" in ended["error"].lower()
    assert not (rack.directory / "content/.uploads" / upload["id"] / "data").exists()
    assert uploader.send(upload, 10, b"x", tmp_path) == 422


def test_a_page_of_another_site_cannot_use_the_api_through_a_browser_on_the_box(rack: Rack):
    uploader = Uploader(rack)

    assert uploader.query("POST", "/api/v1/hosts/cp1/arm", "-H", "Origin: http://evil.example")[0] == 403
    assert uploader.query("POST", "/api/v1/hosts/cp1/arm", "-H", "Host: evil.example")[0] == 403
    assert uploader.query("POST", "/api/v1/hosts/cp1/arm", "-H", "Origin: null")[0] == 403  # a sandboxed frame
    assert uploader.query("POST", "/api/v1/hosts/cp1/arm", "-H", "Origin;")[0] == 403
    assert uploader.query("POST", "/api/v1/hosts/cp1/arm", "-H", "Origin: http://[")[0] == 403
    assert uploader.query("POST", "/api/v1/hosts/cp1/arm", "-H", "Host: [")[0] == 403
    assert rack.install("cp1")["armed"] is False


def test_what_the_api_cannot_read_is_refused_with_a_reason(rack: Rack):
    uploader = Uploader(rack)

    for method, path, *arguments in (
        ("GET", "/api/v1/events?follow=0&after=99999999999999999999"),
        ("POST", "/api/v1/hosts/cp1/arm", "-d", '{"attempts": true}'),
        ("POST", "/api/v1/hosts/cp1/arm", "-d", "[" * 100_000),
        ("POST", "/api/v1/hosts/cp1/arm", "-d", "{}", "-H", "Content-Type: application/json; charset=none"),
        ("POST", "/api/v1/uploads", *options(creation(1) | {"Upload-Metadata": "kind %%%"})),
    ):
        status, reported, _ = uploader.query(method, path, *arguments)
        assert status == 400, (path, reported)
        assert set(without_rfc_members(reported, 400)) == {"error", "code"}
    assert rack.install("cp1")["armed"] is False
    assert "Traceback" not in rack.log


def test_an_uploader_that_goes_away_keeps_what_it_sent_and_is_no_fault_in_the_log(rack: Rack, tmp_path: Path):
    uploader = Uploader(rack)
    upload = uploader.begin(100, kind="iso")
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(rack.directory / "control.sock"))
        request = [f"PATCH /api/v1/uploads/{upload['id']} HTTP/1.1", "Host: localhost", *written(continuation(0))]
        line.sendall("\r\n".join([*request, "Content-Length: 100", "", "0123456789"]).encode())
        while uploader.show(upload)["offset"] < 10:
            time.sleep(0.01)
        path = f"/api/v1/uploads/{upload['id']}"
        assert uploader.send(upload, 10, b"x", tmp_path) == 409  # another client writes
        assert uploader.query("DELETE", path, *options(RESUMABLE))[0] == 409

    while uploader.send(upload, 10, b"x", tmp_path) == 409:
        time.sleep(0.01)

    assert uploader.show(upload)["offset"] == 11
    assert [line for line in rack.log.splitlines() if not line.startswith("{")] == []
