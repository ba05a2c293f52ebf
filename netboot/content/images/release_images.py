"""The releases that were container images, and the tags of theirs: a release and its image have one name.

An alias (`stable`) of such a release is also a tag of its repository, so that nodes are updated to what is installed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.library.library import Library, LibraryEntry
from netboot.errors import ContentError
from netboot.model.image_name import ImageName, is_tag
from netboot.model.release import EntryKind


@dataclass(frozen=True, slots=True)
class ReleaseImage:
    """A release, or an alias of one, and the image that it was imported from."""

    release: str
    repository: str
    digest: str
    alias_of: str | None = None
    commit: str = ""


@dataclass(frozen=True, slots=True)
class TagMove:
    """What a promotion does to a tag: `before` and `after` are digests, empty if the tag is or becomes none."""

    repository: str
    tag: str
    before: str
    after: str


def release_image(entry: LibraryEntry) -> ReleaseImage | None:
    """Return the image of a release or alias; None if it has none."""
    record = entry.record
    if record is None or not record.image or entry.kind is not EntryKind.RELEASE:
        return None
    try:
        name = ImageName.parse(record.image)
    except ValueError:  # a record that was written by hand
        return None
    return ReleaseImage(entry.name, name.repository, name.reference, entry.alias_of, record.commit)


def release_images(library: Library) -> list[ReleaseImage]:
    """List the releases and aliases that have an image."""
    return [found for entry in library.entries() if (found := release_image(entry)) is not None]


def moves_of_promotion(library: Library, entry: LibraryEntry, alias: str) -> list[TagMove]:
    """List the tag that moves when `alias` becomes an alias of a release; raise ContentError if it cannot.

    It is a tag of the repository of the release's image. The alias of a release without an image has none: a tag of its
    name stays, because nodes that follow it would not find their image.
    """
    image = release_image(entry)
    if image is None:
        return []
    repository = _repository_of(ImageStore(library.directory), image)
    if not is_tag(alias):
        raise ContentError(f"{alias!r} is not a valid tag; choose another alias")
    move = TagMove(repository.name, alias, repository.tags.get(alias, ""), image.digest)
    return [move] if move.before != move.after else []


def moves_of_removal(library: Library, entry: LibraryEntry) -> list[TagMove]:
    """List the tags that end with a release: its name and the others of its image; with an alias, its name."""
    image = release_image(entry)
    repository = ImageStore(library.directory).repository(image.repository) if image is not None else None
    if image is None or repository is None:
        return []
    others = [each for each in release_images(library) if each.release != entry.name]
    is_shared = any(each.digest == image.digest and each.repository == image.repository for each in others)
    only_own = entry.alias_of is not None or is_shared
    return [
        TagMove(image.repository, tag, digest, "")
        for tag, digest in repository.tags.items()
        if digest == image.digest and (tag == entry.name or not only_own)
    ]


@contextmanager
def moved_tags(store: ImageStore, moves: Sequence[TagMove], staging: Path) -> Iterator[None]:
    """Move tags, run the block, and move them back if it raises."""
    before = [found for name in {move.repository for move in moves} if (found := store.repository(name)) is not None]
    for repository in before:
        store.replace(_moved(repository, moves), staging)
    try:
        yield
    except BaseException:
        with suppress(ContentError):
            for repository in before:
                store.replace(repository, staging)
        raise


def _moved(repository: ImageRepository, moves: Sequence[TagMove]) -> ImageRepository:
    own = {move.tag: move.after for move in moves if move.repository == repository.name}
    tags = {tag: digest for tag, digest in {**repository.tags, **own}.items() if digest}
    return replace(repository, tags=tags)


def _repository_of(store: ImageStore, image: ReleaseImage) -> ImageRepository:
    repository = store.repository(image.repository)
    if repository is None or image.digest not in repository.manifests:
        raise ContentError(
            f"{image.repository} has no image {image.digest}, from which the release {image.release} was imported; "
            "netboot content import-image the same file again, by the same name"
        )
    return repository
