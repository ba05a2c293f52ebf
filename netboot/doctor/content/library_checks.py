"""Checks of boot media and releases: whole, of one build, as they were imported, and used.

The quick pass reads small files, sizes and the times of directories; `check_digests` reads every byte.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from netboot.boot.documents.host_content import content_problem
from netboot.content.images.image_check import ImageCheck
from netboot.content.images.image_store import ImageStore
from netboot.content.imports.verify import verify
from netboot.content.library.library import Library, LibraryEntry
from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.content.library.uploads import Uploads, UploadState
from netboot.content.media.boot_media import (
    INITRD,
    KERNEL,
    STAGE2,
    TREEINFO,
    check_medium,
    medium_architecture,
    stage2_named,
    text_of,
)
from netboot.content.media.installer_files import check_stage2, initrd_modules, kernel_release
from netboot.content.media.medium_facts import treeinfo_values
from netboot.content.ostree.deltas import lacking_deltas
from netboot.content.ostree.object_table import is_as_imported
from netboot.content.ostree.repository import check_release, read_ref, summary_fault
from netboot.doctor.content.content_facts import ContentFacts
from netboot.doctor.content.image_checks import image_finding
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.errors import ContentError
from netboot.model.host.host import Host
from netboot.model.release import EntryKind
from netboot.model.words import shown_size

MEDIA: Final = "content.media"
RELEASES: Final = "content.releases"
DIGESTS: Final = "content.digests"
UNFINISHED: Final = "content.unfinished"
UNUSED: Final = "content.unused"
HOST_CONTENT: Final = "content.hosts"
_VERIFY: Final = "netboot content verify {name}, then --repair FILE"
_STALE_UPLOAD: Final = timedelta(hours=1)


def check_host_content(facts: ContentFacts) -> Iterator[DoctorFinding]:
    """Find media and releases that hosts name and that cannot be served."""
    users: dict[tuple[str | None, str | None], list[Host]] = {}
    for host in facts.registry.hosts:
        users.setdefault((host.boot_media, None), []).append(host)
        users.setdefault((None, host.local_release), []).append(host)
    if (inspecting := facts.registry.policy.inspect_media) is not None:
        users.setdefault((inspecting, None), [])
    for (medium, release), hosts in users.items():
        problem = content_problem(facts.directory, medium, release)
        if problem is not None:
            what, _, cure = str(problem).rpartition("; ")
            names = [*(host.name for host in hosts[:10]), *([] if hosts else ["hosts.inspect_media"])]
            evidence = (f"used by {', '.join(names)}",)
            yield DoctorFinding(HOST_CONTENT, Level.PROBLEM, what or cure, evidence, cure)


def check_media(facts: ContentFacts, entries: Iterable[LibraryEntry]) -> Iterator[DoctorFinding]:
    """Find media that are incomplete, of several builds, or not as they were imported."""
    for entry in entries:
        if entry.kind is EntryKind.MEDIUM and entry.alias_of is None:
            is_used = entry.name in used_names(facts)
            level = Level.PROBLEM if is_used else Level.WARNING
            for what, cure in _medium_faults(facts.directory, entry, is_used=is_used):
                yield DoctorFinding(MEDIA, level, f"boot medium {entry.name}: {what}", (str(entry.path),), cure)


def _medium_faults(directory: Path, entry: LibraryEntry, *, is_used: bool) -> Iterator[tuple[str, str]]:
    """Yield each fault and its cure; what a medium in use lacks, `content.hosts` reports."""
    again = f"netboot content import-iso FILE --name {entry.name}, after netboot content remove {entry.name}"
    try:
        check_medium(directory, entry.name)
    except ContentError as error:
        if not is_used:
            yield str(error).partition("; ")[0].removeprefix(f"boot medium {entry.name} "), again
        return
    try:
        check_stage2(_file(entry.path, STAGE2))
    except ContentError as error:
        yield str(error), again
        return
    except OSError as error:
        yield f"{error.filename}: {error.strerror}", "chmod -R a+rX " + str(entry.path)
        return
    record = entry.record
    if record is not None and record.files:
        sizes = [_size(entry.path / member) for member in record.files]
        missing = [member for member, size in zip(record.files, sizes, strict=True) if size is None]
        if missing:
            yield f"{' and '.join(missing)} of its import are missing", _VERIFY.format(name=entry.name)
        elif sum(size or 0 for size in sizes) != record.size_bytes:
            found = sum(size or 0 for size in sizes)
            what = f"its files have {found} bytes, and {record.size_bytes} were imported"
            yield what, _VERIFY.format(name=entry.name)
        yield from _treeinfo_faults(directory, entry)
        return
    yield from _treeinfo_faults(directory, entry)
    yield from _build_faults(entry.path, again)


def _treeinfo_faults(directory: Path, entry: LibraryEntry) -> Iterator[tuple[str, str]]:
    """Compare a `.treeinfo` with the files beside it: Anaconda requests the stage 2 that it names."""
    text = text_of(entry.path / TREEINFO)
    wanted = stage2_named(text)
    cure = f"copy {TREEINFO} and the images from one ISO, or delete {TREEINFO}: one is generated"
    if wanted is not None and not (entry.path / wanted).is_file():
        yield f"{TREEINFO} names {wanted} as stage 2, and there is no such file", cure
    stated, built_for = treeinfo_values(text).get("arch"), medium_architecture(directory, entry.name)
    if stated and built_for and stated != built_for:
        yield f"{TREEINFO} is of a medium for {stated}, and the kernel is built for {built_for}", cure


def _build_faults(root: Path, cure: str) -> Iterator[tuple[str, str]]:
    """Compare kernel and initrd of a medium that was copied by hand: an import does it before it publishes one."""
    release = kernel_release(_file(root, KERNEL))
    modules = initrd_modules(_file(root, INITRD), release) if release else frozenset()
    if modules and release not in modules:
        yield f"the kernel is {release}, and the initrd has modules of {', '.join(sorted(modules))} only", cure


def check_releases(facts: ContentFacts, entries: Iterable[LibraryEntry]) -> Iterator[DoctorFinding]:
    """Find releases without ref or commit, changed since their import, with a stale summary, or without a delta."""
    lacking = {each.name for each in lacking_deltas(Library(facts.directory))} if facts.makes_deltas else set()
    for entry in entries:
        if entry.kind is not EntryKind.RELEASE or entry.alias_of is not None:
            continue
        is_used = entry.name in used_names(facts)
        for level, what, cure in _release_faults(facts.directory, entry, is_used=is_used):
            yield DoctorFinding(RELEASES, level, f"release {entry.name}: {what}", (str(entry.path),), cure)
        if entry.name in lacking:
            what = "it has no static delta to its commit or no summary yet, so each install pulls every object alone"
            cure = "the daemon generates them in the background with ostree; journalctl -u netboot has a failure"
            yield DoctorFinding(RELEASES, Level.NOTE, f"release {entry.name}: {what}", (str(entry.path),), cure)


def _release_faults(directory: Path, entry: LibraryEntry, *, is_used: bool) -> Iterator[tuple[Level, str, str]]:
    """Yield each fault and its cure; what a release in use lacks, `content.hosts` reports."""
    try:
        check_release(directory, entry.name)
        ref, commit = read_ref(entry.path, entry.name)
    except ContentError as error:
        what, _, cure = str(error).rpartition("; ")
        if not is_used:
            yield Level.WARNING, what.removeprefix(f"release {entry.name} ") or cure, cure
        return
    except OSError as error:
        if not is_used:
            yield Level.WARNING, f"{error.filename}: {error.strerror}", f"chmod -R a+rX {entry.path}"
        return
    verify_it, record = _VERIFY.format(name=entry.name), entry.record
    if record is not None and record.commit != commit:
        what = f"refs/heads/{ref} names {commit[:12]}…, and {record.commit[:12]}… was imported"
        yield Level.WARNING, what, f"{verify_it}; or import the release again"
    elif record is not None and record.pull_count and not is_as_imported(entry.path):
        yield Level.WARNING, "objects came, went or were replaced since its import", verify_it
    if (stale := summary_fault(entry.path)) is not None:
        yield Level.WARNING, f"its summary is not served: {stale}", f"ostree summary -u --repo={entry.path}"


def check_digests(facts: ContentFacts, progress: Progress = NO_PROGRESS) -> Iterator[DoctorFinding]:
    """Read every byte of media, releases and images, and compare their checksums."""
    for entry in Library(facts.directory).entries():
        if entry.alias_of is not None:
            continue
        verdict = verify(entry, progress)
        if verdict.is_sound:
            continue
        level = Level.PROBLEM if entry.name in used_names(facts) else Level.WARNING
        evidence = tuple(f"{member}: {what}" for member, what in list(verdict.faults.items())[:10])
        sentence = f"{entry.kind.word} {entry.name}: {len(verdict.faults)} of its files are damaged or missing"
        yield DoctorFinding(DIGESTS, level, sentence, evidence, _VERIFY.format(name=entry.name))
    for of_image in ImageCheck(ImageStore(facts.directory)).verify_all(progress):
        if not of_image.is_sound:
            yield image_finding(DIGESTS, facts, of_image.name, of_image.faults)


def check_unfinished(directory: Path, now: datetime) -> Iterator[DoctorFinding]:
    """Find what interrupted imports and uploads left. Raises OSError if it may not be read."""
    library = Library(directory)
    if not library.is_being_changed() and (remains := library.remains()):
        sentence = f"{len(remains)} interrupted imports left files; the next import continues from them"
        evidence = tuple(str(path) for path in remains[:10])
        yield DoctorFinding(UNFINISHED, Level.NOTE, sentence, evidence, "import again, or netboot content gc")
    uploads = Uploads(directory)
    for upload in uploads.all():
        if upload.state is not UploadState.RECEIVING:
            continue
        last = datetime.fromtimestamp(uploads.data(upload).stat().st_mtime, now.tzinfo)
        if now - last > _STALE_UPLOAD:
            got = f"{shown_size(upload.offset)} of {shown_size(upload.length)}"
            sentence = f"the upload of {upload.name or f'an {upload.kind}'} stopped at {got}, {last:%Y-%m-%d %H:%M} UTC"
            cure = f"continue it, or DELETE /api/v1/uploads/{upload.id}; it is deleted at {upload.expires_at}"
            yield DoctorFinding(UNFINISHED, Level.NOTE, sentence, (f"upload {upload.id}",), cure)


def check_unused(facts: ContentFacts, entries: Iterable[LibraryEntry]) -> Iterator[DoctorFinding]:
    """Find media and releases that no host names, also by no alias."""
    used = used_names(facts)
    for entry in entries:
        if entry.alias_of is None and entry.name not in used:
            sentence = f"no host uses the {entry.kind.word} {entry.name}"
            cure = f"netboot content remove {entry.name}, if no installed host is to be installed again from it"
            yield DoctorFinding(UNUSED, Level.NOTE, sentence, (str(entry.path),), cure)


def used_names(facts: ContentFacts) -> frozenset[str]:
    """Name the media and releases that hosts name, and those to which such names lead."""
    hosts = list(facts.registry.hosts)
    named: Mapping[EntryKind, set[str | None]] = {
        EntryKind.MEDIUM: {*(host.boot_media for host in hosts), facts.registry.policy.inspect_media},
        EntryKind.RELEASE: {host.local_release for host in hosts},
    }
    found = {(kind, name) for kind, names in named.items() for name in names if name is not None}
    return frozenset(
        {name for _, name in found} | {kind.path(facts.directory, name).resolve().name for kind, name in found}
    )


def _file(root: Path, names: Iterable[str]) -> Path:
    """Return the file of a medium that `check_medium` found under one of these names."""
    return next(path for name in names if (path := root / name).is_file())


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
