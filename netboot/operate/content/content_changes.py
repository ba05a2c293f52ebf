"""Removes, promotes and collects content; used by the commands and by the daemon. Blocks: call it off the loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netboot.content.images.image_collection import CollectedImages, collect_images
from netboot.content.images.image_store import ImageStore
from netboot.content.images.release_images import (
    TagMove,
    moved_tags,
    moves_of_promotion,
    moves_of_removal,
    release_images,
)
from netboot.content.library.disk import tree_size
from netboot.content.library.library import Library, LibraryEntry
from netboot.errors import ContentError
from netboot.model.release import EntryKind, EntryName
from netboot.operate.content.content_users import ContentUsers


class ContentRefusedError(ContentError):
    """A change of content, or a verification, that is refused now, with every reason."""

    code = "content-refused"


@dataclass(frozen=True, slots=True)
class RemovedContent:
    """What was removed, and the size of its files. `kind` is None for an image, whose blobs stay until `gc`."""

    removed: str
    kind: EntryKind | None
    size_bytes: int

    @property
    def entry(self) -> EntryName | None:
        return (self.kind, self.removed) if self.kind is not None else None


@dataclass(frozen=True, slots=True)
class PromotedContent:
    """An alias, what it is an alias of now, and the tags that moved with it."""

    alias: str
    name: str
    kind: EntryKind
    tags: Sequence[TagMove] = ()

    @property
    def entry(self) -> EntryName:
        return (self.kind, self.alias)


@dataclass(frozen=True, slots=True)
class CollectedContent:
    """How many remains of unfinished work were deleted, and their size; and the images that nothing names."""

    deleted: int
    size_bytes: int
    images: CollectedImages


def remove_content(library: Library, name: str, users: Callable[[], ContentUsers]) -> RemovedContent:
    """Remove a medium, a release or an alias; raise ContentRefusedError with every reason if it is used."""
    with library.changing() as staging:
        entry = library.find(name)
        reasons = removal_reasons(entry, library, users())
        if reasons:
            raise ContentRefusedError("\n".join(f"cannot remove {name}: {reason}" for reason in reasons))
        freed = 0 if entry.alias_of else tree_size(entry.path)
        with moved_tags(ImageStore(library.directory), moves_of_removal(library, entry), staging.directory):
            staging.remove(entry)
    return RemovedContent(name, entry.kind, freed)


def removal_reasons(entry: LibraryEntry, library: Library, users: ContentUsers) -> list[str]:
    """List why an entry must stay, each with its cure."""
    reasons = users.reasons(entry)
    if entry.alias_of is None and (aliases := library.aliases_of(entry)):
        reasons.append(f"it is also called {', '.join(aliases)}; netboot content promote another, or remove it")
    return reasons


def promote_content(library: Library, name: str, alias: str, users: Callable[[], ContentUsers]) -> PromotedContent:
    """Make `alias` an alias of an entry; raise ContentRefusedError while machines install or pull by that alias.

    If the release was an image, the tag `alias` of its repository moves first, and back if the alias cannot be made.
    """
    with library.changing() as staging:
        entry = library.find(name)
        if running := users().running(entry.kind, alias):
            raise ContentRefusedError(f"cannot move {alias}: {'; '.join(running)}; wait until they have ended")
        library.check_alias(entry, alias)
        moves = moves_of_promotion(library, entry, alias)
        with moved_tags(ImageStore(library.directory), moves, staging.directory):
            staging.promote(entry, alias)
    return PromotedContent(alias, entry.alias_of or name, entry.kind, moves)


def collect_content(library: Library, pulls: Sequence[str] = (), pulled_blobs: Sequence[str] = ()) -> CollectedContent:
    """Delete the remains of unfinished work, and images that nothing names and no machine pulls (`pulled_blobs`).

    Raises ContentRefusedError while machines pull a release.
    """
    if pulls:
        raise ContentRefusedError(
            f"cannot collect: machines are pulling now ({', '.join(pulls)}); wait until they are done"
        )
    with library.changing() as staging:
        deleted, size_bytes = staging.collect()
        images = collect_images(
            ImageStore(library.directory), release_images(library), pulled=pulled_blobs, staging=staging.directory
        )
        return CollectedContent(deleted, size_bytes, images)
