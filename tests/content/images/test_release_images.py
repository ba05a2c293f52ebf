"""A release that was an image, its alias, and the tags of both move and end together."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.image_layouts import Layout

from netboot.content.images.image_import import ImportedImages
from netboot.content.images.image_store import ImageStore
from netboot.content.images.release_images import (
    ReleaseImage,
    TagMove,
    moved_tags,
    moves_of_promotion,
    moves_of_removal,
    release_images,
)
from netboot.content.library.library import Library
from netboot.content.library.record import Record
from netboot.errors import ContentError

Import = Callable[..., ImportedImages]
OCK = "olcne/ock-ostree"


@pytest.fixture
def release(tmp_path: Path, library: Library, imported: Import) -> Callable[..., str]:
    """Make a release and its image, as `import-image` does; return the digest."""

    def make(name: str, *tags: str, repository: str = OCK, text: str = "") -> str:
        layout = Layout()
        image = layout.image(text or name, labels={"ostree.commit": name[-1] * 64})
        for tag in (name, *tags):
            digest = layout.name(image, f"{repository}:{tag}")
        imported(layout.archive(tmp_path / f"{name}.tar"))
        directory = library.directory / "ostree" / name
        directory.mkdir(parents=True)
        Record("f.tar", "", "2026-11-30T00:00:00+00:00", commit="c", image=f"{repository}@{digest}").write(directory)
        return digest

    return make


def promote(library: Library, name: str, alias: str) -> list[TagMove]:
    with library.changing() as staging:
        entry = library.find(name)
        moves = moves_of_promotion(library, entry, alias)
        with moved_tags(ImageStore(library.directory), moves, staging.directory):
            staging.promote(entry, alias)
    return moves


def tags(store: ImageStore, repository: str = OCK) -> dict[str, str]:
    found = store.repository(repository)
    return dict(found.tags) if found is not None else {}


def test_a_promotion_moves_the_tag_of_the_alias(library: Library, store: ImageStore, release: Callable[..., str]):
    one, two = release("one"), release("two", "1.33")

    assert promote(library, "one", "stable") == [TagMove(OCK, "stable", "", one)]
    assert promote(library, "two", "stable") == [TagMove(OCK, "stable", one, two)]
    assert promote(library, "two", "stable") == []
    assert tags(store) == {"one": one, "two": two, "1.33": two, "stable": two}
    assert release_images(library) == [
        ReleaseImage("one", OCK, one, None, "c"),
        ReleaseImage("stable", OCK, two, "two", "c"),
        ReleaseImage("two", OCK, two, None, "c"),
    ]


def test_an_alias_that_leaves_a_repository_leaves_its_tag_there(
    library: Library, store: ImageStore, release: Callable[..., str]
):
    one, other = release("one"), release("other", repository="site/ock")
    (library.directory / "ostree/archive").mkdir()
    promote(library, "one", "stable")

    assert promote(library, "other", "stable") == [TagMove("site/ock", "stable", "", other)]
    assert promote(library, "archive", "stable") == []
    assert (tags(store), tags(store, "site/ock")) == (
        {"one": one, "stable": one},
        {"other": other, "stable": other},
    )


def test_a_tag_moves_back_if_the_alias_cannot_be_made(library: Library, store: ImageStore, release: Callable[..., str]):
    one, two = release("one"), release("two")
    promote(library, "one", "stable")

    moved: list[str] = []

    def fail() -> None:
        with library.changing() as staging:
            moves = moves_of_promotion(library, library.find("two"), "stable")
            with moved_tags(store, moves, staging.directory):
                moved.append(tags(store)["stable"])
                (staging.directory / "link").mkdir()
                staging.promote(library.find("two"), "stable")

    with pytest.raises(ContentError, match="cannot write below"):
        fail()

    assert moved == [two]
    assert tags(store) == {"one": one, "two": two, "stable": one}
    assert library.find("stable").alias_of == "one"


def test_after_a_kill_between_tag_and_alias_the_same_promotion_ends_it(
    library: Library, store: ImageStore, release: Callable[..., str]
):
    one, two = release("one"), release("two")
    promote(library, "one", "stable")
    with library.changing() as staging:
        store.record(OCK, tags={"stable": two}, manifests={}, staging=staging.directory)

    assert promote(library, "two", "stable") == []
    assert (tags(store)["stable"], library.find("stable").alias_of) == (two, "two")
    assert promote(library, "one", "stable") == [TagMove(OCK, "stable", two, one)]


def test_a_release_whose_manifest_is_gone_is_not_promoted(
    library: Library, store: ImageStore, release: Callable[..., str]
):
    digest = release("one")
    with library.changing() as staging:
        (repository,) = store.repositories()
        store.replace(type(repository)(OCK), staging.directory)

    with pytest.raises(ContentError, match=f"{OCK} has no image {digest}, from which the release one was imported"):
        moves_of_promotion(library, library.find("one"), "stable")


def test_with_a_release_its_tags_end_and_with_an_alias_its_own(library: Library, release: Callable[..., str]):
    one = release("one", "1.33")
    promote(library, "one", "stable")

    assert moves_of_removal(library, library.find("stable")) == [TagMove(OCK, "stable", one, "")]
    with library.changing() as staging:
        staging.remove(library.find("stable"))
    assert {move.tag for move in moves_of_removal(library, library.find("one"))} == {"one", "1.33", "stable"}


def test_of_two_releases_of_one_image_each_ends_only_its_own_tag(library: Library, release: Callable[..., str]):
    one = release("one", "1.33", text="same1")
    assert release("two", text="same1") != one  # other labels
    record = Record.read(library.directory / "ostree/one")
    assert record is not None
    (library.directory / "ostree/three").mkdir()
    record.write(library.directory / "ostree/three")

    assert moves_of_removal(library, library.find("one")) == [TagMove(OCK, "one", one, "")]


def test_a_medium_an_archive_and_a_record_that_is_not_valid_have_no_image(library: Library):
    for name, image in (("media/m", f"{OCK}@sha256:{'0' * 64}"), ("ostree/a", ""), ("ostree/b", "Not/A name")):
        directory = library.directory / name
        directory.mkdir(parents=True)
        Record("f.iso", "", "2026-11-30T00:00:00+00:00", image=image).write(directory)

    assert release_images(library) == []
    assert [moves_of_removal(library, entry) for entry in library.entries()] == [[], [], []]
    assert moves_of_promotion(library, library.find("m"), "x") == []
