"""Repairs damaged files from other content of this appliance. Blocks: reads and verifies what it uses.

A file is replaced by rename, never written to: by a hard link to a sound one, which is verified under its new name.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from netboot.content.library.disk import explaining_write_errors, sha256, sync
from netboot.content.library.library import Library, LibraryEntry, Staging
from netboot.content.ostree.deltas import remove_delta
from netboot.content.ostree.object_check import check_object
from netboot.content.ostree.object_table import object_member
from netboot.content.ostree.repository import HEADS
from netboot.content.serving.withheld_files import REFS, WithheldFile
from netboot.errors import ContentError
from netboot.model.release import EntryKind

_FILE_MODE = 0o644
_OBJECTS = "objects/"


def repair_locally(library: Library, damaged: Sequence[WithheldFile]) -> list[str]:
    """Replace what other media or releases have; return the paths. A damaged delta is removed: it is made again.

    A damaged ref is written as its import recorded it.

    Raises LibraryBusyError while another process changes the library, ContentError if it cannot be written.
    """
    with library.changing() as staging, explaining_write_errors(library.directory):
        entries = [entry for entry in library.entries() if entry.alias_of is None]
        return [file.path for file in damaged if _is_repaired(file, entries, staging)]


def _is_repaired(file: WithheldFile, entries: Sequence[LibraryEntry], staging: Staging) -> bool:
    entry = next((each for each in entries if (each.kind, each.name) == (file.kind, file.owner)), None)
    if entry is None:
        return False
    if file.is_of_delta:
        old = staging.directory / f"delta of {entry.name}"
        old.mkdir(exist_ok=True)  # another file of it was damaged too
        remove_delta(entry.path, old)
        return True
    if entry.kind is EntryKind.RELEASE and file.member.startswith(REFS):
        return _is_ref_written(file.member, entry, staging)
    place = Path(file.path)
    with suppress(OSError):  # a wrong mode, of a file that is sound otherwise
        place.chmod(_FILE_MODE)
    if _is_sound(place, file.member, entry):
        return True
    new = staging.directory / "sound"
    for candidate in _candidates(file, entry, entries):
        new.unlink(missing_ok=True)
        with suppress(OSError):
            os.link(candidate, new)
            if _is_sound(new, file.member, entry):
                place.parent.mkdir(parents=True, exist_ok=True)
                new.replace(place)
                sync(place.parent)
                return True
    return False


def _is_ref_written(member: str, entry: LibraryEntry, staging: Staging) -> bool:
    """Write the ref that was imported, as the record of the import has it, if its commit is sound."""
    record = entry.record
    if record is None or not record.commit or member != f"{HEADS}/{record.ref}":
        return False
    commit = object_member(f"{record.commit}.commit")
    if not _is_sound(entry.path / commit, commit, entry):
        return False
    new, place = staging.directory / "ref", entry.path / member
    new.write_text(f"{record.commit}\n")
    new.chmod(_FILE_MODE)
    sync(new)
    place.parent.mkdir(parents=True, exist_ok=True)
    new.replace(place)
    sync(place.parent)
    return True


def _candidates(file: WithheldFile, entry: LibraryEntry, entries: Sequence[LibraryEntry]) -> Iterator[Path]:
    """Yield other files that should have the same bytes."""
    if entry.kind is EntryKind.RELEASE:
        yield from (other.path / file.member for other in entries if other.kind is entry.kind and other != entry)
        return
    wanted = entry.record.files.get(file.member) if entry.record is not None else None
    for other in entries:
        if other.kind is entry.kind and other.record is not None:
            same = (member for member, digest in other.record.files.items() if digest == wanted)
            yield from (other.path / member for member in same if (other, member) != (entry, file.member))


def _is_sound(path: Path, member: str, entry: LibraryEntry) -> bool:
    """Verify the bytes at `path` as those of a member of an entry."""
    try:
        if entry.kind is EntryKind.MEDIUM:
            return entry.record is not None and sha256(path) == entry.record.files.get(member)
        with path.open("rb") as opened:
            check_object(member.removeprefix(_OBJECTS).replace("/", ""), opened)
    except (OSError, ContentError):
        return False
    return True
