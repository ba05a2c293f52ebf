"""What nothing names is deleted: manifests, then their blobs; what is pulled, shared or named stays."""

from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from fixtures.image_layouts import Layout

from netboot.content.images.image_collection import CollectedImages, collect_images
from netboot.content.images.image_import import ImportedImages
from netboot.content.images.image_store import ImageStore
from netboot.content.images.release_images import ReleaseImage
from netboot.content.library.library import Library
from netboot.errors import ContentError

Import = Callable[..., ImportedImages]


def collect(library: Library, releases: Collection[ReleaseImage] = (), pulled: Collection[str] = ()) -> CollectedImages:
    with library.changing() as staging:
        return collect_images(ImageStore(library.directory), releases, pulled=pulled, staging=staging.directory)


@pytest.fixture
def layouts(tmp_path: Path, imported: Import) -> tuple[Layout, Layout]:
    """Two images with all architectures; the tag of the first is that of the second now."""
    made = []
    for text in ("old", "new"):
        layout = Layout()
        layout.name(layout.index(layout.image(text), layout.image(text, cpu="arm64")), "olcne/ui:1")
        imported(layout.archive(tmp_path / f"{text}.tar"))
        made.append(layout)
    return made[0], made[1]


def size(layout: Layout, digests: Collection[str]) -> int:
    return sum(len(layout.blobs[digest]) for digest in digests)


def test_an_image_without_a_name_is_deleted_with_its_blobs(
    library: Library, store: ImageStore, layouts: tuple[Layout, Layout]
):
    old, new = layouts

    assert collect(library) == CollectedImages(3, len(old.blobs), size(old, old.blobs))
    assert set(store.blobs()) == set(new.blobs)
    (repository,) = store.repositories()
    assert len(repository.manifests) == 3
    assert collect(library) == CollectedImages()


def test_the_image_of_a_release_stays_without_a_tag(
    library: Library, store: ImageStore, layouts: tuple[Layout, Layout]
):
    digest = layouts[0].named[0]["digest"]

    assert collect(library, [ReleaseImage("ock", "olcne/ui", digest)]) == CollectedImages()
    assert collect(library, [ReleaseImage("ock", "other/ui", digest)]).manifests == 3


def test_an_image_that_is_pulled_stays_and_is_counted(
    library: Library, store: ImageStore, layouts: tuple[Layout, Layout]
):
    old, new = layouts
    layer = next(digest for digest, data in old.blobs.items() if data.startswith(b"\x1f\x8b"))

    assert collect(library, pulled=[layer]) == CollectedImages(pulled=3)
    assert set(store.blobs()) == {*old.blobs, *new.blobs}


def test_blobs_of_other_images_stay_and_those_of_a_killed_import_do_not(
    tmp_path: Path, library: Library, store: ImageStore, imported: Import
):
    layout = Layout()
    layout.name(layout.image("same"), "olcne/one:1")
    layout.name(layout.image("same"), "olcne/two:1")
    imported(layout.archive(tmp_path / "same.tar"))
    left = store.root / f"blobs/sha256/{'0' * 64}"
    left.write_bytes(b"12345")
    with library.changing() as staging:
        (one, _) = store.repositories()
        store.replace(type(one)(one.name), staging.directory)

    assert collect(library) == CollectedImages(0, 1, 5)
    assert set(store.blobs()) == set(layout.blobs)


def test_nothing_is_deleted_while_the_manifest_of_a_named_image_is_damaged(
    library: Library, store: ImageStore, layouts: tuple[Layout, Layout]
):
    old, new = layouts
    index = new.named[0]["digest"]
    store.blob_path(index).unlink()

    with pytest.raises(ContentError, match=f"cannot collect images: olcne/ui: the manifest {index}: it is missing; "):
        collect(library)
    store.blob_path(index).write_bytes(b"{" * new.named[0]["size"])
    with pytest.raises(ContentError, match=r"is not JSON.*netboot content verify olcne/ui --repair-from SOURCE"):
        collect(library)

    assert set(store.blobs()) == {*old.blobs, *new.blobs}


def test_a_damaged_manifest_that_nothing_names_is_deleted(
    library: Library, store: ImageStore, layouts: tuple[Layout, Layout]
):
    old, new = layouts
    index = old.named[0]["digest"]
    store.blob_path(index).write_bytes(b"{" * old.named[0]["size"])

    assert collect(library).manifests == 3
    assert set(store.blobs()) == set(new.blobs)
