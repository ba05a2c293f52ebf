"""Imports a release: unpacks it into staging, proves every object, puts it in place by one rename. Blocks for minutes.

Objects are proved by other processes while the next are unpacked. A release never changes: the same archive again is
fine and does nothing, another commit under the same name is refused. What an import that was killed had unpacked is
linked where it is equal, like the objects of another release.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.content.imports.archive_source import Repository, default_name, open_source, repository_part
from netboot.content.imports.layers import unpack
from netboot.content.library.disk import megabytes, one_sentence, told_as, tree_size
from netboot.content.library.file_digest import FileDigest
from netboot.content.library.library import Entry, Kind, Library, Staging, checked_name
from netboot.content.library.progress import NoProgress, Progress
from netboot.content.library.record import Record
from netboot.content.oci.image import Image
from netboot.content.ostree.fsck import ArchiveCheck, Checker, judged
from netboot.content.ostree.release_writer import ReleaseWriter
from netboot.content.ostree.repository import read_ref
from netboot.content.ostree.summary import NAME as SUMMARY
from netboot.content.ostree.summary import SIGNATURE, summary_fault
from netboot.content.tar_stream import ByteStream
from netboot.errors import ContentError

_SHOWN_FAULTS: Final = 5


@dataclass(frozen=True, slots=True)
class ImportedRelease:
    """A release that is in the library now.

    `linked_bytes` of it were there already: in this or another release, or left by an import that was killed.
    """

    name: str
    is_new: bool
    ref: str
    commit: str
    architecture: str
    object_count: int
    size_bytes: int
    linked_bytes: int
    notes: tuple[str, ...] = ()  # what a person should know of it
    source_digest: str = ""  # SHA-256 of the archive's file as it was imported; of a directory its commit or manifest


def import_archive(
    library: Library, path: Path, name: str | None = None, *, now: datetime, progress: Progress | None = None
) -> ImportedRelease:
    """Bring an archive into the library as the release `name`; raise ContentError saying what is wrong and what to do.

    Without a name it is called after its file, with the architecture of the image.
    """
    with one_sentence(path):
        return _import(library, path, name, now=now, progress=progress or NoProgress())


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
        library.check_not_of(Kind.MEDIUM, name)
        there = library.get(Kind.RELEASE, name)
        if (
            there is not None
            and (known := there.record) is not None
            and source.digest
            in (
                known.content_digest,
                known.source_digest,  # as it was called before
            )
        ):
            return _already(there, known)
        digest = FileDigest(path) if path.is_file() else None
        return _Import(staging, source, name, record, progress, digest).run(there)


def _already(entry: Entry, record: Record) -> ImportedRelease:
    if entry.alias_of is not None:
        raise ContentError(_is_alias(entry))
    return ImportedRelease(
        entry.name,
        False,
        record.ref,
        record.commit,
        record.architecture,
        record.object_count,
        record.size_bytes,
        record.size_bytes,
        source_digest=record.source_digest,
    )


def _is_alias(entry: Entry) -> str:
    return (
        f"{entry.name} is another name of {entry.alias_of}; "
        "import under a name of its own, then netboot content promote"
    )


@dataclass(slots=True)
class _Import:
    staging: Staging
    source: Image | Repository
    name: str
    record: Record
    progress: Progress
    digest: FileDigest | None  # None: a directory

    def run(self, there: Entry | None) -> ImportedRelease:
        if there is not None and there.alias_of is not None:
            raise ContentError(_is_alias(there))
        before = [path for path in self.staging.take_over() if (path / "objects").is_dir()]
        there_bytes = tree_size(*before)
        if there_bytes:
            self.progress.step(f"going on from {megabytes(there_bytes)} of an import that was broken off", there_bytes)
            self.progress.advance(there_bytes)
        self.staging.check_space(max(0, self._needed_bytes() - there_bytes), self.record.source)
        root = self.staging.make("release")
        donors = [*before, *(entry.path for entry in self.staging.library.entries() if _is_donor(entry))]
        with Checker(root) as checker, told_as(self.staging.library.directory):
            writer = ReleaseWriter(root, donors, keep_room=self.staging.keep_room, on_complete=checker.give)
            self._unpack(writer)
            writer.finish()
            self.progress.step(f"checking {self.name}", writer.object_bytes)
            check = judged(root, self.record.source, checker.gather(self.progress))
        _raise_for_faults(check, self.record.source)
        if there is not None:
            self._compare(there, check)
            return self._imported(check, writer, is_new=False)
        _leave_out(root, check)
        notes = _without_stale_summary(root, self.record.source)
        record = replace(
            self.record,
            source_digest=self.digest.finish() if self.digest else self.record.source_digest,
            ref=check.ref,
            commit=check.commit,
            object_count=check.object_count,
            size_bytes=check.size_bytes,
        )
        record.write(root)
        self.staging.publish(root, Kind.RELEASE, self.name)
        done = self._imported(check, writer, is_new=True)
        return replace(done, notes=notes, source_digest=record.source_digest)

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

    def _compare(self, there: Entry, check: ArchiveCheck) -> None:
        commit = read_ref(there.path, there.name)[1]
        if commit != check.commit:
            raise ContentError(
                f"release {there.name} is there already with commit {commit[:12]}, and {self.record.source} has "
                f"{check.commit[:12]}; a release never changes: choose another name by --name"
            )

    def _imported(self, check: ArchiveCheck, writer: ReleaseWriter, *, is_new: bool) -> ImportedRelease:
        return ImportedRelease(
            self.name,
            is_new,
            check.ref,
            check.commit,
            self.record.architecture,
            check.object_count,
            check.size_bytes,
            writer.linked_bytes,
        )


def _is_donor(entry: Entry) -> bool:
    return entry.kind is Kind.RELEASE and entry.alias_of is None


def _copy(root: Path, writer: ReleaseWriter, progress: Progress) -> None:
    progress.step(f"copying {root}", tree_size(root))
    for member in _members(root):
        part = repository_part(root, member)
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


def _leave_out(root: Path, check: ArchiveCheck) -> None:
    """Delete what nothing refers to: nobody will ask for it."""
    for name in check.unreferred:
        (root / "objects" / name[:2] / name[2:]).unlink()


def _without_stale_summary(root: Path, source: str) -> tuple[str, ...]:
    """Delete a summary that names another commit than the ref; raise ContentError where it is signed."""
    fault = summary_fault(root)
    if fault is None:
        return ()
    if (root / SIGNATURE).exists():
        raise ContentError(
            f"{source} has a signed summary that no machine may be given: {fault}; "
            "make both again (ostree summary -u --gpg-sign=KEY), or import it without summary and summary.sig"
        )
    (root / SUMMARY).unlink()
    return (f"its summary is left out: {fault}",)
