"""Disk operations of the content directory: sizes, syncing, and error messages with a cure."""

import ctypes
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.errors import ContentError, DescriptorsError, NetbootError, lacks_descriptor, read_only_cure

_CHUNK_BYTES: Final = 1 << 20


def tree_size(*roots: Path) -> int:
    """Return the total size of the files below directories, each inode once."""
    seen: dict[tuple[int, int], int] = {}
    for root in roots:
        for parent, _, names in os.walk(root):
            for name in names:
                with suppress(OSError):
                    status = os.lstat(os.path.join(parent, name))  # noqa: PTH118 - 50,000 times
                    seen[status.st_dev, status.st_ino] = status.st_size
    return sum(seen.values())


def file_status(path: str | Path) -> os.stat_result | None:
    """Return the status of a regular file; None for anything else, also a link or a file that was just removed."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"


def sha256(path: Path, progress: Progress = NO_PROGRESS) -> str:
    """Return the SHA-256 of a whole file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            progress.advance(len(chunk))
    return digest.hexdigest()


def cannot_write(directory: Path, error: OSError) -> ContentError:
    """Return the error for a failed write to the content directory, with its cure."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            cure = "the file system is full: netboot content gc, remove a release, or enlarge it"
        case errno.EACCES | errno.EPERM:
            cure = f"run with sudo, or if the daemon cannot write either: chown -R netboot: {directory}"
        case errno.EROFS:
            cure = read_only_cure(directory)
        case errno.EXDEV:
            cure = "media, ostree, .staging and .deltas must be on one file system: mount it at their parent directory"
        case _:
            cure = "check the disk: dmesg"
    return ContentError(f"cannot write below {directory}: {error.strerror}; {cure}")


def cannot_read(path: Path, error: OSError) -> ContentError:
    """Return the error for a source that cannot be read, with its cure."""
    if lacks_descriptor(error):
        return DescriptorsError()
    match error.errno:
        case errno.EACCES | errno.EPERM:
            cure = "let this user read it, or use sudo"
        case errno.ENOENT | errno.ENOTDIR | errno.EISDIR:
            cure = "give the path of a file"
        case _:
            cure = "copy it again; see dmesg"
    return ContentError(f"cannot read {path}: {error.strerror}; {cure}")


def write_fault(directory: Path) -> str | None:
    """Return why this process cannot write below `directory`, with the cure; None if it can. Changes nothing."""
    place = nearest_existing(directory)
    if os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        return None
    code = errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES
    return str(cannot_write(directory, OSError(code, os.strerror(code))))


def full_disk(directory: Path, least_bytes: int) -> str | None:
    """Return that the disk of a directory has less free than this, with the cure; None if it has more. Raises OSError.

    A quota is found by a write only.
    """
    if shutil.disk_usage(nearest_existing(directory)).free >= least_bytes:
        return None
    return str(cannot_write(directory, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))


def nearest_existing(path: Path) -> Path:
    return path if path.exists() else nearest_existing(path.parent)


def http_status(error: BaseException | None) -> int:
    """Return the HTTP status of an OSError: 507 for a full disk, 503 for missing permission, otherwise 500."""
    match error.errno if isinstance(error, OSError) else None:
        case errno.ENOSPC | errno.EDQUOT:
            return 507
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return 503
        case _:
            return 500


@contextmanager
def explaining_write_errors(directory: Path) -> Iterator[None]:
    """Raise each OSError as ContentError with its cure."""
    try:
        yield
    except OSError as error:
        raise cannot_write(directory, error) from error


@contextmanager
def explaining_import_errors(source: Path) -> Iterator[None]:
    """Raise every exception of an import as one ContentError: any byte of a source may be damaged or hostile."""
    try:
        yield
    except NetbootError:
        raise
    except OSError as error:
        raise cannot_read(Path(error.filename or source), error) from error
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else "no reason"
        raise ContentError(
            f"cannot import {source}: it is damaged, or netboot has a fault: {type(error).__name__}: {reason}; "
            "copy it again and compare its checksum"
        ) from error


def sync(path: Path) -> None:
    """Write a file's bytes, or a directory's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """Write all buffers of a file system to disk: one call for 50,000 files, for which fsync takes minutes."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if libc.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
