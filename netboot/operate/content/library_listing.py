"""Describes the media, releases and aliases of the library. Reads files: call it in a thread."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netboot.content.library.disk import tree_size
from netboot.content.library.library import Library, LibraryEntry
from netboot.content.ostree.repository import read_ref
from netboot.content.serving.withheld_files import WithheldFile
from netboot.errors import ContentError
from netboot.model.release import EntryKind
from netboot.operate.content.content_users import ContentUsers


@dataclass(frozen=True, slots=True)
class ListedContent:
    """A medium, a release or an alias of one; what is not known of one that was copied without an import is None.

    `damaged_files` counts those that are not served because they are damaged.
    """

    name: str
    kind: str  # `boot medium` or `release`
    alias_of: str | None
    aliases: Sequence[str]
    what: str
    architecture: str | None
    kernel: str | None
    ref: str | None
    commit: str | None
    object_count: int | None
    size_bytes: int
    imported_at: str | None
    source: str | None
    source_digest: str | None
    path: str
    used_by: Sequence[str]
    damaged_files: int


@dataclass(frozen=True, slots=True)
class ContentDetails:
    """One entry, the SHA-256 of its files as they were imported, why it must stay, and what of it is not served."""

    entry: ListedContent
    files: Mapping[str, str]
    reasons: Sequence[str]
    damaged: Sequence[WithheldFile] = ()


def damaged_of(entry: LibraryEntry, withheld: Sequence[WithheldFile]) -> list[WithheldFile]:
    """List the files of an entry, or of what it is an alias of, that are not served."""
    owner = (entry.kind, entry.alias_of or entry.name)
    return [each for each in withheld if (each.kind, each.owner) == owner]


def listed(
    entry: LibraryEntry, library: Library, users: ContentUsers, *, withheld: Sequence[WithheldFile] = ()
) -> ListedContent:
    """Describe an entry by its import record, or one that was copied without an import by its files.

    `withheld` are the damaged files of the library that are not served.
    """
    record = entry.record
    ref, commit = _named(entry) if entry.kind is EntryKind.RELEASE else (None, None)
    what = ""
    if record is not None:
        what = record.description or f"{record.ref} {record.commit[:12]}, {record.object_count} objects"
    elif ref and commit:
        what = f"{ref} {commit[:12]}"
    return ListedContent(
        name=entry.name,
        kind=entry.kind.word,
        alias_of=entry.alias_of,
        aliases=library.aliases_of(entry) if entry.alias_of is None else [],
        what=what,
        architecture=(record.architecture if record else None) or None,
        kernel=(record.kernel if record else None) or None,
        ref=ref,
        commit=commit,
        object_count=record.object_count if record and entry.kind is EntryKind.RELEASE else None,
        size_bytes=record.size_bytes if record else tree_size(entry.path),
        imported_at=record.imported_at if record else None,
        source=record.source if record else None,
        source_digest=record.source_digest if record else None,
        path=os.fspath(entry.path),
        used_by=users.names(entry),
        damaged_files=len(damaged_of(entry, withheld)),
    )


def _named(entry: LibraryEntry) -> tuple[str | None, str | None]:
    try:
        return read_ref(entry.path, entry.name)
    except (ContentError, OSError):
        return None, None
