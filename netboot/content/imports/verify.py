"""Verifies media and releases of the library, and repairs them from a source. Blocks: reads every byte.

The objects of a release are verified by their names, the files of a medium by the checksums in its record. A repair
replaces a file and never writes to it: the same inode may be an object of another release.
"""

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from netboot.content.imports.appliance_source import ApplianceSource
from netboot.content.imports.archive_source import OstreeImageError, Repository, open_source
from netboot.content.imports.iso import members_on
from netboot.content.imports.layers import REPOSITORY
from netboot.content.imports.ostree_image.ostree_import import unpacked_release
from netboot.content.library.disk import explaining_write_errors, sha256, sync
from netboot.content.library.library import LibraryEntry, Staging
from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.content.media.boot_media import TREEINFO, check_medium, made_treeinfo
from netboot.content.media.installer_files import check_stage2
from netboot.content.media.iso_image import IsoImage, read_volume
from netboot.content.oci.bundle import Part
from netboot.content.oci.image import Image, layer_chunks
from netboot.content.ostree.fsck import check_archive
from netboot.content.ostree.object_check import check_object
from netboot.content.ostree.repository import SUMMARY, read_ref, summary_fault
from netboot.content.tar_stream import ByteStream, tar_members
from netboot.errors import ContentError
from netboot.model.release import EntryKind
from netboot.model.urls import MEDIA_ROOT, RELEASES_ROOT


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for one medium or release. `faults` maps each bad file to its fault."""

    name: str
    kind: EntryKind
    checked: int  # files or objects
    faults: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        return not self.faults


def verify(entry: LibraryEntry, progress: Progress = NO_PROGRESS) -> Verdict:
    """Check every file of a medium, or every object of a release."""
    try:
        if entry.kind is EntryKind.MEDIUM:
            return _verify_medium(entry, progress)
        check = check_archive(entry.path, entry.name, progress)
    except ContentError as error:
        return Verdict(entry.name, entry.kind, 0, {".": str(error)})
    record = entry.record
    faults = check.faults.copy()
    if record is not None and record.commit != check.commit:
        faults[f"refs/heads/{check.ref}"] = f"it names {check.commit}, and {record.commit} was imported"
    if (stale := summary_fault(entry.path)) is not None:
        faults[SUMMARY] = f"{stale}; it is not served; ostree summary -u --repo={entry.path}"
    has_more = check.unreferred and not faults
    notes = (f"{len(check.unreferred)} objects that nothing refers to",) if has_more else ()
    return Verdict(entry.name, entry.kind, check.object_count, faults, notes)


def _verify_medium(entry: LibraryEntry, progress: Progress) -> Verdict:
    record = entry.record
    if record is None or not record.files:
        check_medium(entry.path.parents[1], entry.name)
        stage2 = entry.path / "images/install.img"
        if stage2.is_file():
            check_stage2(stage2)
        note = "it was not imported, so it has no checksums to compare; netboot content import-iso FILE"
        return Verdict(entry.name, entry.kind, 0, {}, (note,))
    progress.step(f"checking {entry.name}", record.size_bytes)
    faults = {}
    for member, wanted in record.files.items():
        try:
            found = sha256(entry.path / member, progress)
        except OSError as error:
            faults[member] = f"it cannot be read: {error.strerror}"
        else:
            if found != wanted:
                faults[member] = f"its bytes have the checksum {found}, not {wanted}"
    return Verdict(entry.name, entry.kind, len(record.files), faults)


def repair(
    staging: Staging, entry: LibraryEntry, verdict: Verdict, source: Path | ApplianceSource, *, progress: Progress
) -> tuple[str, ...]:
    """Replace bad files of a medium or release from an ISO, archive, directory or appliance; return those replaced.

    Uses no file of the source that is not verified; the other files stay unchanged.
    """
    new = staging.directory / "new"
    repaired = []
    if isinstance(source, ApplianceSource):
        found = _from_appliance(entry, verdict, source, new)
    elif entry.kind is EntryKind.MEDIUM:
        found = _from_iso(entry, verdict, source, new)
    else:
        found = _from_archive(verdict, _archive(staging, entry, source, progress), new)
    progress.step(f"repairing {entry.name}", 0)
    with explaining_write_errors(staging.library.directory):
        for member in found:
            (entry.path / member).parent.mkdir(parents=True, exist_ok=True)
            new.chmod(0o644)
            sync(new)
            new.replace(entry.path / member)
            sync((entry.path / member).parent)
            repaired.append(member)
            if len(repaired) == len(verdict.faults):
                break
    return tuple(repaired)


def _from_appliance(entry: LibraryEntry, verdict: Verdict, appliance: ApplianceSource, new: Path) -> Iterator[str]:
    """Write each good file to `new` in turn, and yield its member name."""
    wanted = entry.record.files if entry.record else {}
    for member in verdict.faults:
        if entry.kind is EntryKind.MEDIUM:
            path = f"/{MEDIA_ROOT}/{entry.name}/{member}"
            if member in wanted and appliance.fetch(path, new) and sha256(new) == wanted[member]:
                yield member
        elif member.startswith("objects/") and appliance.fetch(f"/{RELEASES_ROOT}/{entry.name}/{member}", new):
            with new.open("rb") as file:
                try:
                    check_object(member[8:10] + member[11:], file)
                except ContentError:
                    continue  # bad there too
            yield member


def _from_iso(entry: LibraryEntry, verdict: Verdict, source: Path, new: Path) -> Iterator[str]:
    """Write each good file to `new` in turn, and yield its member name."""
    record = entry.record
    wanted = record.files if record else {}
    volume = read_volume(source)
    with IsoImage(source) as image:
        on_iso = members_on(image, volume)
        for member in verdict.faults:
            new.unlink(missing_ok=True)
            if member in on_iso and image.copy(on_iso[member], new, NO_PROGRESS) == wanted.get(member):
                yield member
    if TREEINFO in verdict.faults and TREEINFO not in on_iso and record is not None:  # generated by the import
        version = next((word for word in record.description.split() if word[0].isdecimal()), "")
        generated = made_treeinfo(entry.path, version) or b""
        if hashlib.sha256(generated).hexdigest() == wanted.get(TREEINFO):
            new.write_bytes(generated)
            yield TREEINFO


def _archive(staging: Staging, entry: LibraryEntry, source: Path, progress: Progress) -> Image | Repository:
    """Open the archive from which a release is repaired; of the OCK image, unpack it into staging."""
    try:
        return open_source(source)
    except OstreeImageError:
        commit = entry.record.commit if entry.record else read_ref(entry.path, entry.name)[1]
        return Repository(unpacked_release(staging, source, commit, progress=progress), f"ostree:{commit}")


def _from_archive(verdict: Verdict, opened: Image | Repository, new: Path) -> Iterator[str]:
    wanted = {member for member in verdict.faults if member.startswith("objects/")}
    candidates = _in_directory(opened, wanted) if isinstance(opened, Repository) else _in_image(opened, wanted)
    for member, stream, size in candidates:
        new.unlink(missing_ok=True)
        with new.open("x+b") as file:
            file.writelines(stream.pieces(size))
            file.seek(0)
            try:
                check_object(member[8:10] + member[11:], file)
            except ContentError:
                continue  # bad in the source too
        yield member


def _in_directory(repository: Repository, wanted: set[str]) -> Iterator[tuple[str, ByteStream, int]]:
    for member in sorted(wanted):
        path = repository.root / member
        if path.is_file():
            part = Part.whole(path)
            yield member, ByteStream(part.chunks()), part.size_bytes


def _in_image(image: Image, wanted: set[str]) -> Iterator[tuple[str, ByteStream, int]]:
    """Yield the wanted objects of every layer. Each is verified by its name, so no layer has to be read to its end."""
    for layer in image.layers:
        stream = ByteStream(layer_chunks(layer, "the archive", NO_PROGRESS))
        for member in tar_members(stream):
            name = posixpath.normpath(member.name).lstrip("/").removeprefix(REPOSITORY + "/")
            if name in wanted:
                yield name, stream, member.size_bytes
            else:
                stream.skip(member.size_bytes)
