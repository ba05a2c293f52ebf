"""Images are listed, described and removed; each reason why one stays has its cure."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.image_layouts import MANIFEST, Layout

from netboot.content.images.image_import import import_images
from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.library.library import Library, UnknownContentError
from netboot.content.library.record import Record
from netboot.model.host.host import HostSet
from netboot.operate.content.content_changes import (
    ContentRefusedError,
    RemovedContent,
    collect_content,
    promote_content,
    remove_content,
)
from netboot.operate.content.content_users import ContentUsers
from netboot.operate.content.image_changes import describe_image, remove_image
from netboot.operate.content.image_listing import find_image, is_image, list_images

OCK, RELEASE, COMMIT = "olcne/ock-ostree", "ock-1.31-amd64", "c" * 64


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """A library with a release of that the hosts have, which was the image `ock`, and an image of two architectures."""
    library, layout = Library(tmp_path / "content"), Layout()
    ock = layout.image("ock", labels={"ostree.commit": COMMIT})
    for tag in (RELEASE, "1.31"):
        digest = layout.name(ock, f"{OCK}:{tag}")
    layout.name(layout.index(layout.image("ui"), layout.image("ui", cpu="arm64")), "olcne/ui:1")
    import_images(library, layout.archive(tmp_path / "images.tar"))
    directory = library.directory / "ostree" / RELEASE
    directory.mkdir(parents=True)
    Record("ock.tar", "", "2026-11-30T00:00:00+00:00", commit=COMMIT, image=f"{OCK}@{digest}").write(directory)
    return library


@pytest.fixture
def nobody() -> ContentUsers:
    return ContentUsers((), HostSet.of(None, ()))


def repository(library: Library, name: str) -> ImageRepository:
    found = ImageStore(library.directory).repository(name)
    assert found is not None
    return found


def index_of(library: Library) -> str:
    return repository(library, "olcne/ui").tags["1"]


def refusal(library: Library, name: str, users: ContentUsers) -> list[str]:
    with pytest.raises(ContentRefusedError) as refused:
        remove_image(library, name, users)
    begins, lines = f"cannot remove {name}: ", str(refused.value).splitlines()
    assert all(line.startswith(begins) for line in lines)
    return [line.removeprefix(begins) for line in lines]


def test_repositories_are_listed_with_their_images_and_users(library: Library, hosts: HostSet):
    ock, ui = list_images(library, ContentUsers((), hosts))

    assert (ock.name, ock.tags, ock.used_by) == (OCK, ["1.31", RELEASE], [RELEASE, "cp1", "w1"])
    (image,) = ock.images
    assert (image.tags, image.media_type, image.platforms) == (["1.31", RELEASE], MANIFEST, ["linux/amd64"])
    assert (image.commit, image.releases, image.fault) == (COMMIT, [RELEASE], None)
    assert image.size_bytes == ock.size_bytes
    assert image.imported_at == ock.imported_at
    (index,) = ui.images  # its manifests are no images of their own
    assert (index.tags, index.platforms, index.commit) == (["1"], ["linux/amd64", "linux/arm64"], None)
    assert (ui.used_by, ui.size_bytes) == ([], index.size_bytes)


def test_an_image_that_lacks_a_blob_or_its_manifest_is_listed_with_the_fault(library: Library, nobody: ContentUsers):
    store = ImageStore(library.directory)
    (layer,) = [digest for digest in repository(library, "olcne/ui").manifests if digest != index_of(library)][:1]
    store.blob_path(next(iter(describe_image(library, OCK, nobody).blobs))).unlink()
    store.blob_path(index_of(library)).write_bytes(b"{")
    store.blob_path(layer).unlink()

    ock, ui = list_images(library, nobody)

    assert [image.fault for image in ock.images] == ["1 of its blobs are missing"]
    assert {image.fault for image in ui.images if image.tags} == {"its manifest is damaged or missing"}
    assert describe_image(library, "olcne/ui:1", nobody).blobs == {}


def test_an_image_is_described_alone_by_tag_and_digest(library: Library, nobody: ContentUsers):
    digest = repository(library, OCK).tags["1.31"]

    shown = describe_image(library, f"{OCK}:1.31", nobody)

    assert (shown.name, [image.digest for image in shown.repository.images]) == (f"{OCK}:1.31", [digest])
    assert len(shown.blobs) == 3
    assert shown.reasons == [
        f"the release {RELEASE} is this image; netboot content remove {RELEASE}, which removes its tags too"
    ]
    assert describe_image(library, f"{OCK}@{digest}", nobody).name == f"{OCK}@{digest}"
    assert len(describe_image(library, "olcne/ui", nobody).blobs) == 7 - 1  # both architectures have one layer


@pytest.mark.parametrize("name", ["olcne/none", f"{OCK}:none", f"{OCK}@sha256:{'0' * 64}", "No/Name", "x:"])
def test_an_unknown_image_has_an_error_that_names_it(library: Library, nobody: ContentUsers, name: str):
    for use in (find_image, lambda *_: describe_image(library, name, nobody)):
        with pytest.raises(UnknownContentError, match="there is no image"):
            use(library, name)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [(RELEASE, False), ("none", False), ("Not A Name", False), ("olcne/none", True), ("x:1", True), ("busybox", True)],
)
def test_a_name_is_that_of_an_image_if_no_entry_has_it(library: Library, tmp_path: Path, name: str, is_one: bool):
    layout = Layout()
    layout.name(layout.image("busybox"), "busybox:1")
    import_images(library, layout.archive(tmp_path / "busybox.tar"))

    assert is_image(library, name) is is_one


def test_a_tag_a_digest_and_a_repository_are_removed(library: Library, nobody: ContentUsers):
    digest = index_of(library)

    assert remove_image(library, "olcne/ui:1", nobody) == RemovedContent("olcne/ui:1", None, 0)
    assert RemovedContent("olcne/ui:1", None, 0).entry is None
    assert (repository(library, "olcne/ui").tags, digest in repository(library, "olcne/ui").manifests) == ({}, True)
    remove_image(library, f"olcne/ui@{digest}", nobody)
    assert digest not in repository(library, "olcne/ui").manifests
    remove_image(library, "olcne/ui", nobody)
    assert ImageStore(library.directory).repository("olcne/ui") is None


def test_a_manifest_of_an_index_is_not_removed_alone(library: Library, nobody: ContentUsers):
    outer = index_of(library)
    inner = next(digest for digest in repository(library, "olcne/ui").manifests if digest != outer)

    assert refusal(library, f"olcne/ui@{inner}", nobody) == [f"it is a part of the index {outer}; remove that"]
    ImageStore(library.directory).blob_path(outer).write_bytes(
        b"{" * repository(library, "olcne/ui").manifests[outer].size_bytes
    )
    assert remove_image(library, f"olcne/ui@{inner}", nobody).removed == f"olcne/ui@{inner}"


def test_the_image_of_a_release_and_a_tag_of_hosts_are_not_removed(
    library: Library, hosts: HostSet, nobody: ContentUsers
):
    users = ContentUsers((), hosts)
    reasons = refusal(library, OCK, users)

    assert reasons[0].startswith(f"the release {RELEASE} is this image; ")
    assert [reason.split(" (")[0] for reason in reasons[1:]] == [
        f"cp1 is updated by the tag {RELEASE}",
        f"w1 is updated by the tag {RELEASE}",
    ]
    (library.directory / "ostree" / RELEASE / ".netboot.json").unlink()
    assert len(refusal(library, OCK, users)) == 2
    ImageStore(library.directory).blob_path(repository(library, OCK).tags[RELEASE]).write_bytes(b"{")
    assert remove_image(library, OCK, users).removed == OCK  # it can serve no node


def test_alias_and_tag_are_promoted_and_removed_together_and_the_rest_is_collected(
    library: Library, nobody: ContentUsers, users_of: Callable[[], ContentUsers]
):
    promoted = promote_content(library, RELEASE, "stable", users_of)
    both = {*repository(library, OCK).tags}
    remove_content(library, "stable", users_of)
    remove_content(library, RELEASE, users_of)

    assert [(move.repository, move.tag, move.before) for move in promoted.tags] == [(OCK, "stable", "")]
    assert both == {"1.31", RELEASE, "stable"}
    assert repository(library, OCK).tags == {}
    collected = collect_content(library).images
    assert (collected.manifests, collected.blobs, collected.pulled) == (1, 3, 0)
    assert [each.name for each in list_images(library, nobody)] == ["olcne/ui"]


@pytest.fixture
def users_of(nobody: ContentUsers) -> Callable[[], ContentUsers]:
    return lambda: nobody
