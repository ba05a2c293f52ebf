"""Removes, promotes and collects content; used by the commands and by the daemon. Blocks: call it off the loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    """What was removed, and the size of its files."""

    removed: str
    kind: EntryKind
    size_bytes: int

    @property
    def entry(self) -> EntryName:
        return (self.kind, self.removed)


@dataclass(frozen=True, slots=True)
class PromotedContent:
    """An alias, and what it is an alias of now."""

    alias: str
    name: str
    kind: EntryKind

    @property
    def entry(self) -> EntryName:
        return (self.kind, self.alias)


@dataclass(frozen=True, slots=True)
class CollectedContent:
    """How many remains of unfinished work were deleted, and their size."""

    deleted: int
    size_bytes: int


def remove_content(library: Library, name: str, users: Callable[[], ContentUsers]) -> RemovedContent:
    """Remove a medium, a release or an alias; raise ContentRefusedError with every reason if it is used."""
    with library.changing() as staging:
        entry = library.find(name)
        reasons = removal_reasons(entry, library, users())
        if reasons:
            raise ContentRefusedError("\n".join(f"cannot remove {name}: {reason}" for reason in reasons))
        freed = 0 if entry.alias_of else tree_size(entry.path)
        staging.remove(entry)
    return RemovedContent(name, entry.kind, freed)


def removal_reasons(entry: LibraryEntry, library: Library, users: ContentUsers) -> list[str]:
    """List why an entry must stay, each with its cure."""
    reasons = users.reasons(entry)
    if entry.alias_of is None and (aliases := library.aliases_of(entry)):
        reasons.append(f"it is also called {', '.join(aliases)}; netboot content promote another, or remove it")
    return reasons


def promote_content(library: Library, name: str, alias: str, users: Callable[[], ContentUsers]) -> PromotedContent:
    """Make `alias` an alias of an entry; raise ContentRefusedError while machines install or pull by that alias."""
    with library.changing() as staging:
        entry = library.find(name)
        if running := users().running(entry.kind, alias):
            raise ContentRefusedError(f"cannot move {alias}: {'; '.join(running)}; wait until they have ended")
        staging.promote(entry, alias)
    return PromotedContent(alias, entry.alias_of or name, entry.kind)


def collect_content(library: Library, pulls: Sequence[str]) -> CollectedContent:
    """Delete the remains of unfinished work; raise ContentRefusedError while machines pull."""
    if pulls:
        raise ContentRefusedError(
            f"cannot collect: machines are pulling now ({', '.join(pulls)}); wait until they are done"
        )
    with library.changing() as staging:
        return CollectedContent(*staging.collect())
