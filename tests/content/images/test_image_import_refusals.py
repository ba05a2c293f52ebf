"""A source that is damaged, cut off or hostile is refused by name, and nothing of it is published."""

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.image_layouts import CONFIG, INDEX, MANIFEST, Layout, digest_of, mirrored, tar_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netboot.content.images.image_import import ImportedImages, import_images
from netboot.content.images.image_source import MOST_MEMBERS
from netboot.content.images.image_store import ImageStore
from netboot.content.library.library import Library
from netboot.errors import ContentError

Import = Callable[..., ImportedImages]


@pytest.fixture
def layout() -> Layout:
    made = Layout()
    made.name(made.index(made.image("ui"), made.image("ui", cpu="arm64")), "olcne/ui:1.33")
    return made


def assert_refused(source: Path, library: Library, message: str) -> None:
    with pytest.raises(ContentError, match=message) as refused:
        import_images(library, source)

    assert str(source) in str(refused.value)
    assert_nothing_published(library)


def assert_nothing_published(library: Library) -> None:
    assert not (library.directory / "images").exists()
    assert library.remains() == []


def a_layer(layout: Layout) -> str:
    return next(digest for digest, data in layout.blobs.items() if data.startswith(b"\x1f\x8b"))


@pytest.mark.parametrize("as_mirror", [False, True])
def test_a_damaged_blob_is_refused_by_its_digest(tmp_path: Path, library: Library, layout: Layout, as_mirror: bool):
    digest = a_layer(layout)
    layout.blobs[digest] = layout.blobs[digest][:-1] + b"x"
    source = tmp_path / "ui.tar"
    if as_mirror:
        mirrored(source, [layout])
    else:
        layout.archive(source)

    assert_refused(source, library, f"the blob {digest} is damaged, its checksum is sha256:")


def test_a_missing_blob_is_refused_by_its_digest(tmp_path: Path, library: Library, layout: Layout):
    digest = a_layer(layout)
    layout.forget(digest)

    assert_refused(layout.write(tmp_path / "oci"), library, f"the blob {digest}: it is missing; copy it again")


def test_a_blob_of_another_size_than_its_manifest_states_is_refused(tmp_path: Path, library: Library):
    layout = Layout()
    config = layout.blob(b"{}", CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {**config, "size": 3}, "layers": []}
    layout.name(layout.blob(json.dumps(manifest).encode(), MANIFEST), "olcne/ui:1")

    assert_refused(layout.archive(tmp_path / "ui.tar"), library, "it has 2 bytes instead of 3")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, "is not a manifest of an image"),
        ({"mediaType": "text/html", "config": None, "layers": []}, "is not a manifest of an image"),
        ({"mediaType": INDEX, "config": "CONFIG", "layers": []}, f"has the media type '{re.escape(INDEX)}'"),
        ({"mediaType": "text/html\r\nX: 1", "config": "CONFIG", "layers": []}, "which is not that of an image"),
        ({"manifests": [{"digest": "sha512:00", "size": 1}]}, "'sha512:00' is not a SHA-256 digest"),
        ({"manifests": [{"digest": f"sha256:{'0' * 64}", "size": -1}]}, "-1 is not a size"),
        ({"manifests": [{"digest": f"sha256:{'0' * 64}", "size": True}]}, "True is not a size"),
        ([], "is not a manifest of an image"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, library: Library, manifest: Any, message: str):
    layout = Layout()
    config = layout.blob(b"{}", CONFIG)
    text = json.dumps(manifest).replace('"CONFIG"', json.dumps(config))
    layout.name(layout.blob(text.encode(), MANIFEST), "olcne/ui:1")

    assert_refused(layout.archive(tmp_path / "ui.tar"), library, message)


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.7])
def test_an_archive_that_is_cut_off_is_refused(
    tmp_path: Path, library: Library, layout: Layout, packs: bool, share: float
):
    whole = mirrored(tmp_path / "whole", [layout, layout], packs=packs).read_bytes()
    source = tmp_path / "images.tgz"
    source.write_bytes(whole[: int(len(whole) * share)])

    assert_refused(source, library, "cut off|ends in the middle|not a tar")


def test_a_mirrors_archive_that_ends_between_two_archives_is_refused(tmp_path: Path, library: Library, layout: Layout):
    inner = tar_of(layout.members)
    whole = tar_of({"0.oci": inner, "1.oci": inner})
    source = tmp_path / "images.tgz"
    source.write_bytes(gzip.compress(whole[: 512 + len(inner)]))

    assert_refused(source, library, "it is cut off: it has no end marker")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no end marker"),
        (bytes(10_240), "file holds no container image: it is an empty tar; copy it again"),
        (bytes(0x8001) + b"CD001" + bytes(2000), "file is an ISO; netboot content import-iso FILE$"),
        (b"QFI\xfb" + bytes(2000), "file is a qcow2 disk image, and no container image$"),
        (b"text" * 1000, "it is not a tar"),
        (gzip.compress(b"text" * 1000, mtime=0), "it is not a tar"),
        (tar_of({"etc/passwd": b"root"}), "holds no container image"),
        (tar_of({"index.json": b"{"}), "index.json is not JSON"),
        (tar_of({"index.json": b"[" * 100_000}), "index.json is not JSON"),
        (tar_of({"index.json": b"[]"}), "index.json is not an index of images"),
        (tar_of({"index.json": b'{"manifests": []}'}), "names no image"),
        (tar_of({"manifest.json": b"[1]"}), "manifest.json is not that of an image"),
        (tar_of({"manifest.json": b"{}"}), "is not a manifest of an image"),
        (tar_of({"manifest.json": b'[{"Config": "c", "Layers": []}]'}), "lacks 'c': it is cut off"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, library: Library, data: bytes, message: str):
    source = tmp_path / "file"
    source.write_bytes(data)

    assert_refused(source, library, message)


def test_what_does_not_exist_is_refused(tmp_path: Path, library: Library):
    assert_refused(tmp_path / "none", library, "there is no file and no directory")


def docker(tmp_path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    source = tmp_path / "docker.tar"
    with tarfile.open(source, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return source


def docker_members(layer: bytes, *, layer_name: str = "1/layer.tar", config_name: str = "") -> dict[str, bytes]:
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [digest_of(layer)]}}).encode()
    name = config_name or f"{digest_of(config)[7:]}.json"
    listed = [{"Config": name, "RepoTags": ["x:1"], "Layers": [layer_name]}]
    return {name: config, "manifest.json": json.dumps(listed).encode()}


def test_a_damaged_layer_or_configuration_of_a_docker_archive_is_refused(tmp_path: Path, library: Library):
    layer = tar_of({"a": b"1"})
    members = {"1/layer.tar": layer[:-1] + b"x", **docker_members(layer)}
    assert_refused(docker(tmp_path, members), library, f"the layer {digest_of(layer)} is damaged")

    members = {"1/layer.tar": layer, **docker_members(layer, config_name=f"{'0' * 64}.json")}
    assert_refused(docker(tmp_path, members), library, "is damaged, its checksum is sha256:")


def test_a_packed_layer_of_a_docker_archive_is_verified_unpacked(tmp_path: Path, library: Library, store: ImageStore):
    layer = tar_of({"a": b"1"})
    packed = gzip.compress(layer, mtime=0)
    import_images(library, docker(tmp_path, {"1/layer.tar": packed, **docker_members(layer)}))

    (repository,) = store.repositories()
    (described,) = json.loads(store.read_blob(repository.tags["1"], 1000))["layers"]
    assert described == {
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": digest_of(packed),
        "size": len(packed),
    }

    source = docker(tmp_path, {"1/layer.tar": packed[:-9], **docker_members(layer)})
    with pytest.raises(ContentError, match="a layer is damaged"):
        import_images(library, source)


def test_links_lead_to_members_and_nowhere_else(tmp_path: Path, library: Library, store: ImageStore):
    layer = tar_of({"a": b"1"})
    members = {"1/layer.tar": layer, **docker_members(layer, layer_name="2/layer.tar")}
    outside = {"2/layer.tar": "../../../../etc/passwd"}
    assert_refused(docker(tmp_path, members, outside), library, "lacks '2/layer.tar': it is cut off")

    import_images(library, docker(tmp_path, members, {"2/layer.tar": "../1/layer.tar"}))
    (repository,) = store.repositories()
    assert repository.name == "x"


def test_no_name_of_an_archive_is_a_path_on_disk(tmp_path: Path, library: Library, layout: Layout):
    outside = tmp_path / "outside"
    members = {f"../../../..{outside}": b"1", f"{outside}": b"2", "blobs/sha256/../../../x": b"3", **layout.members}
    source = tmp_path / "ui.tar"
    source.write_bytes(tar_of(members))
    before = sorted(tmp_path.rglob("*"))

    import_images(library, source)

    made = [
        path for path in sorted(tmp_path.rglob("*")) if path not in before and library.directory not in path.parents
    ]
    assert made == [library.directory]
    assert set(ImageStore(library.directory).blobs()) == set(layout.blobs)


def test_two_members_of_one_name_are_refused_unless_they_are_equal(tmp_path: Path, library: Library, layout: Layout):
    members = [*layout.members.items(), ("index.json", b'{"manifests": []}')]
    source = tmp_path / "ui.tar"
    with tarfile.open(source, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert_refused(source, library, "it has two files 'index.json'")

    with tarfile.open(source, "w") as tar:
        for name, data in [*layout.members.items()] * 2:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert [each.name for each in import_images(library, source).images] == ["olcne/ui:1.33"]


def test_an_archive_of_too_many_members_is_refused(tmp_path: Path, library: Library):
    source = tmp_path / "many.tar"
    with tarfile.open(source, "w") as tar:
        for number in range(MOST_MEMBERS + 1):
            member = tarfile.TarInfo(f"{number}")
            member.type = tarfile.DIRTYPE
            tar.addfile(member)

    assert_refused(
        source, library, f"it has more than {MOST_MEMBERS} members and is not an archive of container images"
    )


def test_a_bomb_ends_before_the_disk_is_full(tmp_path: Path, library: Library):
    size = 1 << 42
    header = tarfile.TarInfo("blobs/sha256/" + "0" * 64)
    header.size = size
    source = tmp_path / "bomb.tgz"
    source.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))

    assert_refused(source, library, "cannot import this image: it needs .* and .* are free; netboot content gc")


KILLED = """
import sys
from pathlib import Path
from netboot.content.images.image_import import import_images
from netboot.content.library.library import Library
from netboot.content.library.progress import Progress

class Announced(Progress):
    def advance(self, size_bytes):
        print("read", flush=True)

import_images(Library(Path(sys.argv[1])), Path(sys.argv[2]), progress=Announced())
"""


def test_after_a_kill_the_import_continues_and_whole_blobs_are_not_staged_again(
    tmp_path: Path, library: Library, store: ImageStore
):
    layouts = []
    for number in range(12):
        layout = Layout()
        layout.name(layout.image(f"image{number}", layer_bytes=1 << 20), f"olcne/image{number}:1")
        layouts.append(layout)
    source = tmp_path / "images.tar"
    mirrored(source, layouts, packs=False)
    process = subprocess.Popen([sys.executable, "-c", KILLED, library.directory, source], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGSTOP)
    staged = {path.name: path.stat().st_ino for path in library.directory.glob(".staging/*/blobs/*")}
    process.kill()
    process.wait(timeout=10)
    process.stdout.close()
    blobs = {digest: data for layout in layouts for digest, data in layout.blobs.items()}
    whole = {f"sha256:{name}": inode for name, inode in staged.items() if f"sha256:{name}" in blobs}
    damaged = next(iter(whole))
    (path,) = library.directory.glob(f".staging/*/blobs/{damaged[7:]}")
    path.write_bytes(b"torn")
    assert whole
    assert not (library.directory / "images").exists()

    done = import_images(library, source)

    assert len(done.images) == 12
    assert {digest: store.blob_path(digest).read_bytes() for digest in store.blobs()} == blobs
    kept = {digest for digest, inode in whole.items() if store.blob_path(digest).stat().st_ino == inode}
    assert kept == set(whole) - {damaged}
    assert library.remains() == []


def _hypothesis_layout() -> bytes:
    layouts = []
    for name in ("ui", "etcd"):
        layout = Layout()
        layout.name(layout.index(layout.image(name), layout.image(name, cpu="arm64")), f"olcne/{name}:1")
        layouts.append(layout)
    return tar_of({f"{number}.oci": tar_of(each.members) for number, each in enumerate(layouts)})


WHOLE = _hypothesis_layout()
DOCKER = tar_of({"1/layer.tar": tar_of({"a": b"1"}), **docker_members(tar_of({"a": b"1"}))})


@pytest.mark.parametrize("whole", [WHOLE, DOCKER], ids=["mirror", "docker"])
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_its_images_are_whole(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
):
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    directory = tmp_path_factory.mktemp("damaged")
    source, library = directory / "source", Library(directory / "content")
    packed = data.draw(st.booleans())
    source.write_bytes(gzip.compress(bytes(damaged), 1) if packed else bytes(damaged))
    store = ImageStore(library.directory)

    try:
        import_images(library, source)
        refusal = ""
    except ContentError as error:
        refusal = str(error)

    assert "netboot has a fault" not in refusal
    if refusal:
        assert_nothing_published(library)
        return

    for digest in store.blobs():
        assert digest_of(store.blob_path(digest).read_bytes()) == digest
    assert store.repositories()
