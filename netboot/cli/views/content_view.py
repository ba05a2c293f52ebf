"""The library's content as text and JSON."""

import os
from collections.abc import Sequence
from typing import Any, Final

import click

from netboot.content.imports.verify import Verdict
from netboot.content.library.disk import tree_size
from netboot.content.library.library import Library, LibraryEntry
from netboot.content.ostree.repository import read_ref
from netboot.errors import ContentError
from netboot.model.release import EntryKind

_SHOWN_FAULTS: Final = 20


def entry_view(entry: LibraryEntry, library: Library, *, used_by: Sequence[str]) -> dict[str, Any]:
    """Describe a medium or release; one that was copied without an import by its files."""
    record = entry.record
    ref, commit = _named(entry) if entry.kind is EntryKind.RELEASE else (None, None)
    what = ""
    if record is not None:
        what = record.description or f"{record.ref} {record.commit[:12]}, {record.object_count} objects"
    elif ref and commit:
        what = f"{ref} {commit[:12]}"
    return {
        "name": entry.name,
        "kind": entry.kind.word,
        "alias_of": entry.alias_of,
        "aliases": library.aliases_of(entry) if entry.alias_of is None else [],
        "what": what,
        "architecture": (record.architecture if record else None) or None,
        "kernel": (record.kernel if record else None) or None,
        "ref": ref,
        "commit": commit,
        "object_count": record.object_count if record and entry.kind is EntryKind.RELEASE else None,
        "size_bytes": record.size_bytes if record else tree_size(entry.path),
        "imported_at": record.imported_at if record else None,
        "source": record.source if record else None,
        "source_digest": record.source_digest if record else None,
        "path": os.fspath(entry.path),
        "used_by": list(used_by),
    }


def _named(entry: LibraryEntry) -> tuple[str | None, str | None]:
    try:
        return read_ref(entry.path, entry.name)
    except (ContentError, OSError):
        return None, None


def verdict_view(verdict: Verdict, repaired: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": verdict.name,
        "kind": verdict.kind.word,
        "ok": verdict.is_sound,
        "checked": verdict.checked,
        "faults": dict(verdict.faults),
        "repaired": list(repaired),
        "notes": list(verdict.notes),
    }


def print_verdict(verdict: Verdict, repaired: tuple[str, ...]) -> None:
    """Print the result of a verification, one line per damaged file."""
    if repaired:
        click.echo(f"{verdict.name}: {len(repaired)} replaced: {', '.join(repaired[:_SHOWN_FAULTS])}")
    for member, what in verdict.faults.items():
        click.echo(f"{verdict.name}: {member}: {what}")
    things = "objects" if verdict.kind is EntryKind.RELEASE else "files"
    if verdict.is_sound and not verdict.checked:
        click.echo(f"{verdict.name}: no damage found; it has no import record")
    elif verdict.is_sound:
        click.echo(f"{verdict.name}: sound, {verdict.checked} {things}")
    else:
        click.echo(
            f"{verdict.name}: {len(verdict.faults)} bad; netboot content verify {verdict.name} --repair-from SOURCE"
        )
    for note in verdict.notes:
        click.echo(f"{verdict.name}: note: {note}")
