"""Imports a release: unpacks it into staging, verifies every object, publishes it by one rename. Blocks for minutes.

Other processes verify objects while the next are unpacked. A release never changes: importing the same archive again
does nothing; another commit under the same name is refused. Equal objects that a killed import had unpacked are linked,
like equal objects of another release.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.content.imports.archive_source import Repository, default_name, open_source
from netboot.content.imports.layers import unpack
from netboot.content.library.disk import explaining_import_errors, explaining_write_errors, megabytes, sha256, tree_size
from netboot.content.library.library import Library, LibraryEntry, Staging, checked_name
from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.content.library.record import Record
from netboot.content.oci.bundle import Part
from netboot.content.oci.image import Image
from netboot.content.ostree.fsck import ArchiveCheck, Checker, evaluate
from netboot.content.ostree.object_table import write_index
from netboot.content.ostree.release_writer import ReleaseWriter
from netboot.content.ostree.repository import SIGNATURE, SUMMARY, read_ref, summary_fault
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
            if known and source.digest in (known.content_digest, known.source_digest):
                return imported_release(name, known, is_new=False, linked_bytes=known.size_bytes)
            return _ArchiveImport(staging, source, path, name, record, progress).run(existing)


def imported_release(
    name: str, record: Record, *, is_new: bool, linked_bytes: int, notes: tuple[str, ...] = ()
) -> ImportedRelease:
    """Return the result for a release of this record."""
    return ImportedRelease(
        name,
        is_new,
        record.ref,
        record.commit,
        record.architecture,
        record.object_count,
        record.size_bytes,
        linked_bytes,
        notes,
        record.source_digest,
    )


@dataclass(slots=True)
class _ArchiveImport:
    staging: Staging
    source: Image | Repository
    path: Path
    name: str
    record: Record
    progress: Progress

    def run(self, existing: LibraryEntry | None) -> ImportedRelease:
        before = [path for path in self.staging.take_over() if (path / "objects").is_dir()]
        reused_bytes = tree_size(*before)
        if reused_bytes:
            self.progress.step(f"continuing from {megabytes(reused_bytes)} of an interrupted import", reused_bytes)
            self.progress.advance(reused_bytes)
        self.staging.check_space(max(0, self.source.size_bytes - reused_bytes), self.record.source)
        root = self.staging.make("release")
        known = self.staging.library.entries()
        donors = [*before, *(each.path for each in known if each.kind is EntryKind.RELEASE and not each.alias_of)]
        with Checker(root) as checker:
            with explaining_write_errors(self.staging.library.directory):
                writer = ReleaseWriter(root, donors, check_reserve=self.staging.check_reserve, on_complete=checker.give)
                self._unpack(writer)
                writer.finish()
            source_digest = self._source_digest()  # while the last objects are checked
            self.progress.step(f"checking {self.name}", writer.object_bytes)
            check = evaluate(root, self.record.source, checker.gather(self.progress))
        _raise_for_faults(check, self.record.source)
        record = replace(
            self.record,
            source_digest=source_digest,
            ref=check.ref,
            commit=check.commit,
            object_count=check.object_count,
            pull_count=check.pull_count,
            size_bytes=check.size_bytes,
        )
        if existing is not None:
            commit = read_ref(existing.path, existing.name)[1]
            if commit != check.commit:
                raise ContentError(
                    f"release {existing.name} exists already with commit {commit[:12]}, and {self.record.source} has "
                    f"{check.commit[:12]}; a release never changes: choose another name by --name"
                )
            return imported_release(self.name, record, is_new=False, linked_bytes=writer.linked_bytes)
        for member in check.unreferred:  # no pull requests them
            (root / member).unlink()
        notes = _without_stale_summary(root, self.record.source)
        record.write(root)
        write_index(root)
        self.staging.publish(root, EntryKind.RELEASE, self.name)
        return imported_release(self.name, record, is_new=True, linked_bytes=writer.linked_bytes, notes=notes)

    def _source_digest(self) -> str:
        if not self.path.is_file():
            return self.source.digest
        self.progress.step(f"reading the checksum of {self.record.source}", self.path.stat().st_size)
        return f"sha256:{sha256(self.path, self.progress)}"

    def _unpack(self, writer: ReleaseWriter) -> None:
        if isinstance(self.source, Image):
            unpack(self.source, writer, self.record.source, progress=self.progress)
        else:
            root = self.source.root
            self.progress.step(f"copying {root}", self.source.size_bytes)
            for path in sorted(root.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    part = Part.whole(path)
                    writer.put(path.relative_to(root).as_posix(), part.size_bytes, ByteStream(part.chunks()))
                    self.progress.advance(part.size_bytes)


def _raise_for_faults(check: ArchiveCheck, source: str) -> None:
    if not check.faults:
        return
    faults = [f"{member}: {what}" for member, what in check.faults.items()]
    more = len(faults) - _SHOWN_FAULTS
    shown = "; ".join(faults[:_SHOWN_FAULTS]) + (f"; and {more} more" if more > 0 else "")
    raise ContentError(
        f"{source} holds a damaged OSTree archive: {shown}; "
        "copy it again, or make it again: ocne image create --type ostree"
    )


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
