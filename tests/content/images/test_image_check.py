"""Every blob of an image is read; damaged and missing ones are named, and replaced from an archive."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.image_layouts import Layout

from netboot.content.images.image_check import ImageCheck, ImageVerdict, repair_blobs, repair_images
from netboot.content.images.image_import import ImportedImages
from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.library.library import Library
from netboot.content.library.progress import NO_PROGRESS

Import = Callable[..., ImportedImages]


@pytest.fixture
def layout(tmp_path: Path, imported: Import) -> Layout:
    made = Layout()
    made.name(made.index(made.image("ui"), made.image("ui", cpu="arm64")), "olcne/ui:1")
    imported(made.archive(tmp_path / "ui.tar"))
    return made


def repository(store: ImageStore) -> ImageRepository:
    (found,) = store.repositories()
    return found


def a_layer(layout: Layout) -> str:
    return next(digest for digest, data in layout.blobs.items() if data.startswith(b"\x1f\x8b"))


def test_a_sound_image_is_sound_by_tag_digest_and_repository(store: ImageStore, layout: Layout):
    digest = layout.named[0]["digest"]
    check = ImageCheck(store)

    assert check.verify(repository(store)) == ImageVerdict("olcne/ui", len(layout.blobs), {})
    assert check.verify(repository(store), "1") == ImageVerdict("olcne/ui:1", len(layout.blobs), {})
    assert check.verify(repository(store), digest) == ImageVerdict(f"olcne/ui@{digest}", len(layout.blobs), {})
    assert check.found == dict.fromkeys(layout.blobs, "")


def test_each_damaged_and_missing_blob_is_named(store: ImageStore, layout: Layout):
    layer = a_layer(layout)
    store.blob_path(layer).write_bytes(bytes(len(layout.blobs[layer])))
    config = next(digest for digest, data in layout.blobs.items() if b'"rootfs"' in data)
    store.blob_path(config).unlink()

    verdict = ImageCheck(store).verify(repository(store), "1")

    assert set(verdict.faults) == {layer, config}
    assert verdict.faults[layer].startswith("its bytes have the checksum sha256:")
    assert verdict.faults[config] == "it is missing"
    assert not verdict.is_sound


def test_a_damaged_or_missing_manifest_is_named_also_if_an_index_names_it(store: ImageStore, layout: Layout):
    index, inner = layout.named[0]["digest"], next(d for d, data in layout.blobs.items() if b'"layers"' in data)
    store.blob_path(inner).unlink()
    assert ImageCheck(store).verify(repository(store), "1").faults == {inner: "it is missing"}
    assert set(ImageCheck(store).verify(repository(store)).faults) == {inner}

    store.blob_path(index).write_bytes(b"{")
    assert set(ImageCheck(store).verify(repository(store), "1").faults) == {index}


def test_a_repair_replaces_each_damaged_blob_and_only_these(
    tmp_path: Path, library: Library, store: ImageStore, layout: Layout
):
    layer, inner = a_layer(layout), next(d for d, data in layout.blobs.items() if b'"layers"' in data)
    store.blob_path(layer).write_bytes(b"short")
    store.blob_path(inner).unlink()
    inodes = {digest: store.blob_path(digest).stat().st_ino for digest in store.blobs()}
    verdict = ImageVerdict("olcne/ui", 0, {layer: "damaged", inner: "missing", f"sha256:{'0' * 64}": "unknown"})

    with library.changing() as staging:
        repaired = repair_images(staging, store, verdict, tmp_path / "ui.tar", progress=NO_PROGRESS)

    assert set(repaired) == {layer, inner}
    assert ImageCheck(store).verify(repository(store)).is_sound
    kept = {digest for digest, inode in inodes.items() if store.blob_path(digest).stat().st_ino == inode}
    assert kept == set(layout.blobs) - {layer, inner}


def test_each_repository_is_verified_and_one_whose_file_is_damaged_is_a_fault_of_its_own(
    tmp_path: Path, store: ImageStore, layout: Layout, imported: Import
):
    other = Layout()
    other.name(other.image("etcd"), "olcne/etcd:1")
    imported(other.archive(tmp_path / "etcd.tar"))
    check = ImageCheck(store)
    sound = list(check.verify_all())
    store.repository_path("olcne/etcd").write_text("{")
    unreadable, ui = check.verify_all()

    assert sound == [ImageVerdict("olcne/etcd", 3, {}), ImageVerdict("olcne/ui", len(layout.blobs), {})]
    assert (unreadable.name, unreadable.checked, list(unreadable.faults)) == ("olcne/etcd", 0, ["."])
    assert ui == sound[1]


def test_a_blob_is_read_once_until_it_is_replaced(store: ImageStore, layout: Layout):
    layer = a_layer(layout)
    check = ImageCheck(store)
    check.verify(repository(store))
    store.blob_path(layer).chmod(0o600)
    store.blob_path(layer).write_bytes(bytes(len(layout.blobs[layer])))
    before = check.verify(repository(store)).faults

    check.forget([layer, f"sha256:{'0' * 64}"])

    assert (before, list(check.verify(repository(store)).faults)) == ({}, [layer])


def test_blobs_are_replaced_by_those_of_a_registry_with_the_same_digest_alone(
    library: Library, store: ImageStore, layout: Layout
):
    index, layer = layout.named[0]["digest"], a_layer(layout)
    config = next(digest for digest, data in layout.blobs.items() if b'"rootfs"' in data)
    served = {
        f"/v2/olcne/ui/manifests/{index}": layout.blobs[index],
        f"/v2/olcne/ui/blobs/{layer}": layout.blobs[layer],
        f"/v2/olcne/ui/blobs/{config}": b"another",
    }
    for digest in (index, layer, config):
        store.blob_path(digest).write_bytes(b"damaged")

    def fetch(path: str, place: Path) -> bool:
        place.write_bytes(served.get(path, b""))
        return path in served

    verdict = ImageVerdict("olcne/ui", 0, dict.fromkeys((index, layer, config), "damaged"))
    with library.changing() as staging:
        replaced = repair_blobs(staging, store, verdict, fetch, repository="olcne/ui")

    assert replaced == (index, layer)
    assert list(ImageCheck(store).verify(repository(store)).faults) == [config]
