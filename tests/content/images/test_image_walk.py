"""What an image needs: its manifests, its blobs and its platforms, whatever its descriptors claim."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.image_layouts import INDEX, LAYER, MANIFEST, Layout

from netboot.content.images.image_import import ImportedImages
from netboot.content.images.image_store import ImageStore
from netboot.content.images.image_walk import WalkedImage, images_with, walk
from netboot.content.images.manifests import LARGEST_MANIFEST, Descriptor

Import = Callable[..., ImportedImages]


class MemoryBlobs:
    """The blobs of a layout, as the store has them."""

    def __init__(self, layout: Layout) -> None:
        self._blobs = layout.blobs

    def blob_size(self, digest: str) -> int | None:
        return len(self._blobs[digest]) if digest in self._blobs else None

    def read_blob(self, digest: str, most_bytes: int) -> bytes:
        return self._blobs[digest][:most_bytes]


def walked(layout: Layout, described: dict[str, Any]) -> WalkedImage:
    return walk(Descriptor(described["digest"], described["size"], described["mediaType"]), MemoryBlobs(layout))


def configured(layout: Layout, config: dict[str, Any]) -> dict[str, Any]:
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}
    return layout.blob(json.dumps(manifest).encode(), MANIFEST)


@pytest.mark.parametrize(
    ("config", "platforms", "commits"),
    [
        (b'{"os": "linux", "architecture": "s390x"}', ["linux/s390x"], []),
        (b'{"os": "linux", "config": {"Labels": {"ostree.commit": "ab"}}}', ["linux"], ["ab"]),
        (b'{"config": {"Labels": 1}}', [""], []),
        (b"[]", [""], []),
        (b"no JSON", [""], []),
        (b"{}" + b" " * LARGEST_MANIFEST, [""], []),
    ],
)
def test_platform_and_commit_are_those_of_the_configuration(config: bytes, platforms: list[str], commits: list[str]):
    layout = Layout()
    image = configured(layout, layout.blob(config, "application/vnd.oci.image.config.v1+json"))

    found = walked(layout, image)

    assert (found.platforms, found.commits, found.missing) == (platforms, commits, {})
    assert set(found.digests) == set(layout.blobs)


def test_an_index_keeps_what_was_not_copied_and_what_is_no_manifest_apart():
    layout = Layout()
    here, absent = layout.image("here"), layout.image("absent", cpu="arm64")
    extra = layout.blob(b"a signature", LAYER)
    wrong = {**layout.blob(b"cut off", LAYER), "size": 100}
    index = layout.index(here, absent, extra, wrong)
    layout.forget(absent["digest"])

    found = walked(layout, index)

    assert list(found.manifests) == [index["digest"], here["digest"]]
    assert found.absent == {absent["digest"]: "linux/arm64"}
    assert found.missing == {wrong["digest"]: "it has 7 bytes instead of 100"}
    assert found.blobs[extra["digest"]] == len(b"a signature")
    assert found.platforms == ["linux/amd64"]


def test_a_manifest_that_is_named_twice_is_read_once():
    layout = Layout()
    inner = layout.index()
    outer = layout.blob(json.dumps({"schemaVersion": 2, "manifests": [inner, inner]}).encode(), INDEX)

    assert list(walked(layout, outer).manifests) == [outer["digest"], inner["digest"]]


def test_the_images_that_have_a_blob_are_named_those_with_a_tag_first(
    tmp_path: Path, store: ImageStore, imported: Import
):
    layout = Layout()
    shared = layout.image("shared")
    layout.name(shared, "olcne/ui:1")
    layout.name(shared, "olcne/ui:2")
    layout.name(layout.index(shared), "olcne/all:1")
    layout.name(layout.image("other"), "olcne/other:1")
    imported(layout.archive(tmp_path / "images.tar"))
    layer = json.loads(layout.blobs[shared["digest"]])["layers"][0]["digest"]
    store.blob_path(layout.named[3]["digest"]).write_bytes(b"damaged")

    names = ["olcne/all:1", "olcne/ui:1", "olcne/ui:2", f"olcne/all@{shared['digest']}"]
    assert images_with(layer, store) == names
    assert images_with(shared["digest"], store) == names
    assert images_with(f"sha256:{'0' * 64}", store) == []
