"""Generates the from-empty static delta and the summary of each release in the background, with `ostree`.

With them a pull is a few large files instead of 50,000 small ones; a client whose libostree cannot use them pulls as
before. They are generated in `.deltas`, where `objects` is a link to that of the release, and moved into the release
when complete, the delta first and the summary last. An interrupted run is repeated; existing files are not generated
again. Objects of the release are never written to. `ostree` runs at the lowest priority: machines that boot come first.
"""

import asyncio
import base64
import fcntl
import json
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from netboot.content.library.disk import (
    explaining_write_errors,
    megabytes,
    sha256,
    sync,
    sync_file_system,
    tree_size,
    write_fault,
)
from netboot.content.library.library import Library, LibraryBusyError, LibraryEntry
from netboot.content.ostree.repository import SIGNATURE, SUMMARY, read_ref, summary_fault
from netboot.errors import ContentError
from netboot.model.release import EntryKind

DIGESTS: Final = ".netboot.deltas"  # beside the release's files, never served
_SCRATCH: Final = ".deltas"
_TIMEOUT_S: Final = 4 * 3600.0  # xz over gigabytes at the lowest priority
_BUSY_INTERVAL_S: Final = 2.0
_BUSY_TRIES: Final = 1800
_SPARE_BYTES: Final = 64 << 20
_DERIVED: Final = ("deltas", "delta-indexes", SUMMARY)  # in the order in which they are published

log = structlog.get_logger()


def lacking_deltas(library: Library) -> list[LibraryEntry]:
    """List the releases without a delta to their commit or without a summary; empty if unreadable. Blocks."""
    try:
        entries = library.entries()
    except ContentError:
        return []
    return [each for each in entries if each.kind is EntryKind.RELEASE and not each.alias_of and not _has_delta(each)]


async def keep_deltas(library: Library, changed: asyncio.Event) -> None:
    """Generate missing deltas now and whenever `changed` is set, until cancelled. A failure is logged.

    If the directory cannot be written, that is logged once, not for each release.
    """
    fault_before: str | None = None
    while True:
        changed.clear()
        lacking = await asyncio.to_thread(lacking_deltas, library)
        fault = await asyncio.to_thread(write_fault, library.directory) if lacking else None
        if fault is not None and fault != fault_before:
            releases = ", ".join(entry.name for entry in lacking)
            log.warning("content.delta_failed", release=releases, reason=f"{fault}; or set content.deltas: false")
        fault_before = fault
        for entry in lacking if fault is None else ():
            try:
                await make_delta(library, entry)
            except ContentError as error:
                log.warning("content.delta_failed", release=entry.name, reason=str(error))
            else:
                log.info("content.delta_made", release=entry.name)
        await changed.wait()


async def make_delta(library: Library, entry: LibraryEntry) -> None:
    """Generate delta and summary of one release; raise ContentError if that fails, or another process does it."""
    with _scratch(library) as scratch:
        commit = await asyncio.to_thread(_prepare, library, entry, scratch)
        await _ostree("static-delta", "generate", f"--repo={scratch}", "--empty", f"--to={commit}")
        await _ostree("summary", "-u", f"--repo={scratch}")
        for _ in range(_BUSY_TRIES):
            with suppress(LibraryBusyError):  # an import runs
                await asyncio.to_thread(_publish, library, entry, scratch, commit)
                return
            await asyncio.sleep(_BUSY_INTERVAL_S)
        raise ContentError(f"{library.directory} is locked all the time; the delta of {entry.name} is discarded")


def delta_member(commit: str) -> str:
    """Return the name of the superblock of the from-empty delta to a commit (base64 with `_` for `/`)."""
    name = base64.b64encode(bytes.fromhex(commit)).decode().rstrip("=").replace("/", "_")
    return f"deltas/{name[:2]}/{name[2:]}/superblock"


def _has_delta(entry: LibraryEntry) -> bool:
    """Return whether nothing is to be generated: also for a signed summary, and for a release that cannot be read."""
    try:
        _, commit = read_ref(entry.path, entry.name)
    except (ContentError, OSError):
        return True
    is_complete = (entry.path / SUMMARY).is_file() and (entry.path / delta_member(commit)).is_file()
    return (entry.path / SIGNATURE).is_file() or (is_complete and summary_fault(entry.path) is None)


@contextmanager
def _scratch(library: Library) -> Iterator[Path]:
    """Hold an empty directory under a lock; the remains of an earlier run are removed."""
    scratch = library.directory / _SCRATCH
    own = scratch / "repository"
    with ExitStack() as stack:
        with explaining_write_errors(library.directory):
            scratch.mkdir(exist_ok=True)
            lock = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ContentError("another process generates a delta; wait until it has ended") from None
        shutil.rmtree(own, ignore_errors=True)
        stack.callback(shutil.rmtree, own, ignore_errors=True)
        yield own


def _prepare(library: Library, entry: LibraryEntry, scratch: Path) -> str:
    """Create a repository whose objects are those of the release; return its commit."""
    ref, commit = read_ref(entry.path, entry.name)
    needed = tree_size(entry.path / "objects") + _SPARE_BYTES
    if shutil.disk_usage(library.directory).free < needed:
        raise ContentError(
            f"cannot generate the delta of {entry.name}: it may need {megabytes(needed)} in {library.directory}; "
            "enlarge the file system, or set content.deltas: false"
        )
    with explaining_write_errors(library.directory):
        for name in ("refs/heads", "refs/mirrors", "refs/remotes", "tmp", "state", "extensions"):
            (scratch / name).mkdir(parents=True)
        shutil.copyfile(entry.path / "config", scratch / "config")
        head = scratch / "refs" / "heads" / ref
        head.parent.mkdir(parents=True, exist_ok=True)
        head.write_text(commit + "\n")
        (scratch / "objects").symlink_to((entry.path / "objects").resolve())
    return commit


async def _ostree(*arguments: str) -> None:
    command = ("nice", "-n", "19", "ostree", *arguments)
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE)
    except OSError as error:
        raise ContentError(f"cannot run nice: {error.strerror}; install coreutils") from error
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            _, stderr = await process.communicate()
    except TimeoutError:
        what = f"ostree {arguments[0]} took more than {_TIMEOUT_S:.0f} s"
        raise ContentError(f"{what}; set content.deltas: false") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if process.returncode != 0:
        lines = stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit {process.returncode}"
        cure = "install the package ostree" if process.returncode == 127 else "netboot content verify"
        raise ContentError(f"ostree {arguments[0]} failed: {reason}; {cure}, or set content.deltas: false")


def _publish(library: Library, entry: LibraryEntry, scratch: Path, commit: str) -> None:
    """Move delta and summary into the release if its commit is unchanged; raise LibraryBusyError during an import."""
    with library.changing() as staging, explaining_write_errors(library.directory):
        if not entry.path.is_dir() or read_ref(entry.path, entry.name)[1] != commit:
            raise ContentError(f"{entry.name} was removed while its delta was generated")
        _move(scratch, entry.path, staging.directory)


def delta_digests(release: Path) -> dict[str, str]:
    """Read the SHA-256 of each file of a release's delta and of its summary; empty if they were not recorded."""
    try:
        read = json.loads((release / DIGESTS).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(read, dict):
        return {}
    return {name: digest for name, digest in read.items() if isinstance(digest, str) and ".." not in name.split("/")}


def remove_delta(release: Path, old: Path) -> None:
    """Move delta and summary of a release into the directory `old`; a pull gets single objects until they are made."""
    for name in (SUMMARY, "delta-indexes", "deltas", DIGESTS):  # first the summary that names the delta
        with suppress(FileNotFoundError):
            (release / name).rename(old / name)
    sync(release)


def _record_digests(scratch: Path, release: Path) -> None:
    """Write the digests of what was made, so that later damage is found; a signed summary is another's."""
    made = [scratch / SUMMARY, *(path for name in _DERIVED[:2] for path in sorted((scratch / name).rglob("*")))]
    digests = {path.relative_to(scratch).as_posix(): sha256(path) for path in made if path.is_file()}
    (release / DIGESTS).write_text(json.dumps(digests, indent=1) + "\n")
    (release / DIGESTS).chmod(0o644)  # whatever the umask


def _move(scratch: Path, release: Path, old: Path) -> None:
    _record_digests(scratch, release)
    for path in scratch.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    sync_file_system(scratch)  # a published file is complete, and so never generated again
    for name in _DERIVED:
        generated, place = scratch / name, release / name
        if generated.exists():
            if place.is_dir():
                place.rename(old / name)  # of an earlier, interrupted run
            generated.rename(place)
            sync(release)  # the delta before the summary that names it
