"""What the content directory needs of a disk: sizes, syncing, and a refusal to write said so that it can be cured."""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from netboot.errors import ContentError, NetbootError


def tree_size(*roots: Path) -> int:
    """Add the sizes of the files below directories, each inode once."""
    seen: dict[tuple[int, int], int] = {}
    for root in roots:
        for parent, _, names in os.walk(root):
            for name in names:
                with suppress(OSError):
                    status = os.lstat(os.path.join(parent, name))  # noqa: PTH118 - 50,000 times
                    seen[status.st_dev, status.st_ino] = status.st_size
    return sum(seen.values())


def megabytes(size_bytes: int) -> str:
    """Write a size for people."""
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"


def cannot_write(directory: Path, error: OSError) -> ContentError:
    """Say why the content directory does not take a file, and what to do."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            cure = "the file system is full: netboot content gc, remove a release, or enlarge it"
        case errno.EACCES | errno.EPERM:
            cure = f"run with sudo; if the daemon cannot write either: chown -R netboot: {directory}"
        case errno.EROFS:
            cure = (
                "mount it writable; if only the daemon sees it read-only, its unit has ProtectSystem=strict: "
                f"systemctl edit netboot, add [Service] ReadWritePaths={directory}, and restart"
            )
        case errno.EXDEV:
            cure = "media, ostree, .staging and .deltas lie on one file system: mount it at the directory above them"
        case _:
            cure = "look at the disk: dmesg"
    return ContentError(f"cannot write below {directory}: {error.strerror}; {cure}")


def cannot_read(path: Path, error: OSError) -> ContentError:
    """Say why a source cannot be read, and what to do."""
    cure = "run it as a user who may" if error.errno in (errno.EACCES, errno.EPERM) else "copy it anew; see dmesg"
    return ContentError(f"cannot read {path}: {error.strerror}; {cure}")


def write_fault(directory: Path) -> str | None:
    """Say why this process cannot write below `directory`, and what to do; None where it can. Changes nothing."""
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent
    if os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        return None
    code = errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES
    return str(cannot_write(directory, OSError(code, os.strerror(code))))


def http_status(error: BaseException | None) -> int:
    """Say what a refusal of the operating system is in HTTP: 507 full, 503 not to be written or read, else 500."""
    match error.errno if isinstance(error, OSError) else None:
        case errno.ENOSPC | errno.EDQUOT:
            return 507
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return 503
        case _:
            return 500


@contextmanager
def told_as(directory: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into ContentError."""
    try:
        yield
    except OSError as error:
        raise cannot_write(directory, error) from error


@contextmanager
def one_sentence(source: Path) -> Iterator[None]:
    """Turn whatever an import raises into one ContentError: any byte of a source may be damaged or hostile."""
    try:
        yield
    except NetbootError:
        raise
    except OSError as error:
        raise cannot_read(Path(error.filename or source), error) from error
    except Exception as error:
        what = str(error).splitlines()[0] if str(error) else "no reason"
        raise ContentError(
            f"cannot import {source}: it is damaged, or netboot has a fault: {type(error).__name__}: {what}; "
            "copy it again and compare its checksum"
        ) from error


def sync_file(path: Path) -> None:
    """Have a file's bytes on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Have a directory's entries on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """Have all that was written to a file system on disk: one call for 50,000 files, where fsync would take minutes."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs is None:
            os.sync()
        elif syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
