"""An image that is imported again replaces what is damaged of it, whatever the form of its source is."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.image_layouts import Layout, digest_of, mirrored, tar_of

from netboot.content.images.image_import import ImportedImages
from netboot.content.images.image_store import ImageStore

Import = Callable[..., ImportedImages]


def on_disk(store: ImageStore) -> dict[str, bytes]:
    return {digest: store.blob_path(digest).read_bytes() for digest in store.blobs()}


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive", "mirror"])
@pytest.mark.parametrize("damage", [flipped, lambda data: data[:-1], lambda _: b""], ids=["flipped", "short", "empty"])
def test_an_image_that_is_imported_again_replaces_its_damaged_blobs_and_only_these(
    form: str, damage: Callable[[bytes], bytes], tmp_path: Path, imported: Import, store: ImageStore
):
    layout = Layout()
    layout.name(layout.image("ui"), "olcne/ui:1.33")
    match form:
        case "oci":
            source = layout.write(tmp_path / "oci")
        case "oci-archive":
            source = layout.archive(tmp_path / "ui.tar")
        case "docker-archive":
            source = docker_archive(tmp_path / "docker.tar")
        case _:
            source = mirrored(tmp_path / "images.tgz", [layout, layout])
    imported(source)
    whole, before = on_disk(store), store.repositories()
    damaged = next(digest for digest, data in whole.items() if data.startswith((b"\x1f\x8b", b"a layer")))
    kept = {digest: store.blob_path(digest).stat().st_ino for digest in whole.keys() - {damaged}}
    store.blob_path(damaged).write_bytes(damage(whole[damaged]))

    done = imported(source)

    assert on_disk(store) == whole
    assert store.repositories() == before
    assert {digest: store.blob_path(digest).stat().st_ino for digest in kept} == kept
    assert stat.S_IMODE(store.blob_path(damaged).stat().st_mode) == 0o644
    assert (done.images[0].is_new, done.new_bytes) == (False, 0)


def docker_archive(path: Path) -> Path:
    layer = tar_of({"a layer": b"1"})
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]}}
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": ["olcne/ui:1.33"], "Layers": ["layer.tar"]}]
    members = {"manifest.json": json.dumps(manifest).encode(), "config.json": config, "layer.tar": layer}
    path.write_bytes(tar_of(members))
    return path
