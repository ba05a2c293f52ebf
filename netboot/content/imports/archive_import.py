"""Imports a release: unpacks it into staging, verifies every object, publishes it by one rename. Blocks for minutes.

Other processes verify objects while the next are unpacked. A release never changes: importing the same archive again
does nothing; another commit under the same name is refused. Equal objects that a killed import had unpacked are linked,
like equal objects of another release.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.content.imports.archive_source import Repository, default_name, open_source
from netboot.content.imports.layers import unpack
from netboot.content.library.disk import explaining_import_errors, explaining_write_errors, megabytes, tree_size
from netboot.content.library.file_digest import FileDigest
from netboot.content.library.library import Library, LibraryEntry, Staging, checked_name
from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.content.library.record import Record
from netboot.content.oci.bundle import Part
from netboot.content.oci.image import Image
from netboot.content.ostree.fsck import ArchiveCheck, Checker, evaluate
from netboot.content.ostree.object_table import write_index
from netboot.content.ostree.release_writer import ReleaseWriter
from netboot.content.ostree.repository import read_ref
from netboot.content.ostree.summary import NAME as SUMMARY
from netboot.content.ostree.summary import SIGNATURE, summary_fault
from netboot.content.tar_stream import ByteStream
from netboot.errors import ContentError
from netboot.model.release import EntryKind

_SHOWN_FAULTS: Final = 5


@dataclass(frozen=True, slots=True)
class ImportedRelease:
    """A release that is in the library now.

    `linked_bytes` of it existed already: in this or another release, or unpacked by a killed import.
    """

    name: str
    is_new: bool
    ref: str
    commit: str
    architecture: str
    object_count: int
    size_bytes: int
    linked_bytes: int
    notes: tuple[str, ...] = ()  # remarks for the operator
    source_digest: str = ""  # SHA-256 of the archive file; of a directory its commit or manifest


def import_archive(
    library: Library, path: Path, name: str | None = None, *, now: datetime, progress: Progress = NO_PROGRESS
) -> ImportedRelease:
    """Bring an archive into the library as the release `name`; raise ContentError with reason and cure.

    The default name is that of the file, with the architecture of the image.
    """
    with explaining_import_errors(path):
        return _import(library, path, name, now=now, progress=progress)


def _import(library: Library, path: Path, name: str | None, *, now: datetime, progress: Progress) -> ImportedRelease:
    source = open_source(path)
    architecture = source.architecture if isinstance(source, Image) else ""
    name = checked_name(name or default_name(path, architecture))
    record = Record(
        source=path.resolve().name,
        source_digest=source.digest,
        content_digest=source.digest,
        imported_at=now.isoformat(timespec="seconds"),
        architecture=architecture,
    )
    with library.changing() as staging:
        existing = library.importable(EntryKind.RELEASE, name)
        known = existing.record if existing else None
        # records of early versions have the digest of the content in `source_digest`
        if existing and known and source.digest in (known.content_digest, known.source_digest):
            return _imported(name, known, is_new=False, linked_bytes=known.size_bytes)
        digest = FileDigest(path) if path.is_file() else None
        return _ArchiveImport(staging, source, name, record, progress, digest).run(existing)


def _imported(name: str, record: Record, *, is_new: bool, linked_bytes: int) -> ImportedRelease:
    return ImportedRelease(
        name,
        is_new,
        record.ref,
        record.commit,
        record.architecture,
        record.object_count,
        record.size_bytes,
        linked_bytes,
        source_digest=record.source_digest,
    )


@dataclass(slots=True)
class _ArchiveImport:
    staging: Staging
    source: Image | Repository
    name: str
    record: Record
    progress: Progress
    digest: FileDigest | None  # None: a directory

    def run(self, existing: LibraryEntry | None) -> ImportedRelease:
        before = [path for path in self.staging.take_over() if (path / "objects").is_dir()]
        reused_bytes = tree_size(*before)
        if reused_bytes:
            self.progress.step(f"continuing from {megabytes(reused_bytes)} of an interrupted import", reused_bytes)
            self.progress.advance(reused_bytes)
        self.staging.check_space(max(0, self._needed_bytes() - reused_bytes), self.record.source)
        root = self.staging.make("release")
        donors = [*before, *(entry.path for entry in self.staging.library.entries() if _is_donor(entry))]
        with Checker(root) as checker, explaining_write_errors(self.staging.library.directory):
            writer = ReleaseWriter(root, donors, check_reserve=self.staging.check_reserve, on_complete=checker.give)
            self._unpack(writer)
            writer.finish()
            self.progress.step(f"checking {self.name}", writer.object_bytes)
            check = evaluate(root, self.record.source, checker.gather(self.progress))
        _raise_for_faults(check, self.record.source)
        record = replace(
            self.record,
            source_digest="",
            ref=check.ref,
            commit=check.commit,
            object_count=check.object_count,
            pull_count=check.pull_count,
            size_bytes=check.size_bytes,
        )
        if existing is not None:
            self._compare(existing, check)
            return _imported(self.name, record, is_new=False, linked_bytes=writer.linked_bytes)
        _delete_unreferred(root, check)
        notes = _without_stale_summary(root, self.record.source)
        record = replace(record, source_digest=self.digest.finish() if self.digest else self.record.source_digest)
        record.write(root)
        write_index(root)
        self.staging.publish(root, EntryKind.RELEASE, self.name)
        return replace(_imported(self.name, record, is_new=True, linked_bytes=writer.linked_bytes), notes=notes)

    def _needed_bytes(self) -> int:
        if isinstance(self.source, Image):
            return sum(layer.part.size_bytes for layer in self.source.layers)
        return tree_size(self.source.root)

    def _unpack(self, writer: ReleaseWriter) -> None:
        if isinstance(self.source, Image):
            reader = self.digest.update if self.digest else None
            unpack(self.source, writer, self.record.source, progress=self.progress, reader=reader)
        else:
            _copy(self.source.root, writer, self.progress)

    def _compare(self, existing: LibraryEntry, check: ArchiveCheck) -> None:
        commit = read_ref(existing.path, existing.name)[1]
        if commit != check.commit:
            raise ContentError(
                f"release {existing.name} exists already with commit {commit[:12]}, and {self.record.source} has "
                f"{check.commit[:12]}; a release never changes: choose another name by --name"
            )


def _is_donor(entry: LibraryEntry) -> bool:
    return entry.kind is EntryKind.RELEASE and entry.alias_of is None


def _copy(root: Path, writer: ReleaseWriter, progress: Progress) -> None:
    progress.step(f"copying {root}", tree_size(root))
    for member in _members(root):
        part = Part.whole(root / member)
        writer.put(member, part.size_bytes, ByteStream(part.chunks()))
        progress.advance(part.size_bytes)


def _members(root: Path) -> Iterator[str]:
    """Name the regular files below a directory in order, without following links."""
    for parent, directories, names in os.walk(root):
        directories.sort()
        below = os.path.relpath(parent, root)
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield name if below == "." else f"{below}/{name}"


def _raise_for_faults(check: ArchiveCheck, source: str) -> None:
    if check.is_sound:
        return
    more = len(check.faults) - _SHOWN_FAULTS
    shown = "; ".join(str(fault) for fault in check.faults[:_SHOWN_FAULTS]) + (f"; and {more} more" if more > 0 else "")
    raise ContentError(
        f"{source} holds a damaged OSTree archive: {shown}; "
        "copy it again, or make it again: ocne image create --type ostree"
    )


def _delete_unreferred(root: Path, check: ArchiveCheck) -> None:
    """Delete the objects that nothing refers to: no pull requests them."""
    for name in check.unreferred:
        (root / "objects" / name[:2] / name[2:]).unlink()


def _without_stale_summary(root: Path, source: str) -> tuple[str, ...]:
    """Delete a summary that names another commit than the ref; raise ContentError if it is signed."""
    fault = summary_fault(root)
    if fault is None:
        return ()
    if (root / SIGNATURE).exists():
        raise ContentError(
            f"{source} has a signed summary that must not be served: {fault}; "
            "make both again (ostree summary -u --gpg-sign=KEY), or import it without summary and summary.sig"
        )
    (root / SUMMARY).unlink()
    return (f"its summary is not imported: {fault}",)
