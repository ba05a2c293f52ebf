"""The bytes of served files: read without ever waiting for a disk on the loop, small ones kept in bounded memory.

`read_now` gives what the page cache has and None for the rest, which `read_later` reads in a thread. A file that is
no longer what the index knows raises FileChangedError: the index promised its length, so nothing of it may be sent.
"""

import errno
import os
import stat
from collections import OrderedDict
from typing import Final

from netboot.content.serving.served_file import ServedFile, etag_of
from netboot.errors import ContentError

SMALL_BODY_BYTES: Final = 64 * 1024
CACHE_BYTES: Final = 32 * 1024 * 1024
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENXIO})


class FileChangedError(ContentError):
    """The file on disk is not the one of the index: replaced, rewritten or gone."""


def open_file(file: ServedFile) -> int:
    """Open a served file and give its descriptor; raise FileChangedError where it is not what the index knows."""
    try:
        descriptor = os.open(file.path, _OPEN_FLAGS)
    except OSError as error:
        if error.errno not in _GONE:
            raise ContentError(f"cannot open {file.path}: {error.strerror}") from error
        raise FileChangedError(f"cannot open {file.path}: {error.strerror}; copy it again") from error
    if _is_unchanged(file, os.fstat(descriptor)):
        return descriptor
    os.close(descriptor)
    raise FileChangedError(f"{file.path} was changed since it was listed; it is looked up anew")


def check_unchanged(file: ServedFile) -> None:
    """Raise FileChangedError where the index is behind the disk: before an answer that needs no byte of the file.

    A 304 for a ref or summary that was replaced meanwhile would keep a machine at an old release. What is named by
    its checksum is not looked at.
    """
    if file.is_immutable or file.body is not None:
        return
    try:
        status = os.lstat(file.path)
    except OSError as error:
        raise FileChangedError(f"cannot look at {file.path}: {error.strerror}; copy it again") from error
    if not _is_unchanged(file, status):
        raise FileChangedError(f"{file.path} was changed since it was listed; it is looked up anew")


def _is_unchanged(file: ServedFile, status: os.stat_result) -> bool:
    is_checksum = "-" not in file.etag  # of an object whose name is what it holds
    is_same = file.size_bytes == status.st_size if is_checksum else file.etag == etag_of(status)
    return is_same and stat.S_ISREG(status.st_mode)


class Bodies:
    """Small bodies, the most recently used `capacity_bytes` of those that cannot change."""

    def __init__(self, capacity_bytes: int = CACHE_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()  # by path and ETag: a name may get other bytes
        self._kept_bytes = 0

    def clear(self) -> None:
        """Forget every body, after a reload."""
        self._kept.clear()
        self._kept_bytes = 0

    def read_now(self, file: ServedFile) -> bytes | None:
        """Give the whole of a small file if that takes no wait; None where it may, or where it is not small."""
        if file.body is not None:
            return file.body
        key = (file.path, file.etag)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        if file.size_bytes > SMALL_BODY_BYTES:
            return None
        descriptor = open_file(file)
        try:
            body = _read_cached(descriptor, file.size_bytes)
        finally:
            os.close(descriptor)
        if body is not None:
            self._keep(file, body)
        return body

    def read_later(self, file: ServedFile) -> bytes:
        """Read the whole of a small file. Blocks: call it in a thread. Raises FileChangedError."""
        descriptor = open_file(file)
        try:
            body = os.pread(descriptor, file.size_bytes + 1, 0)
        except OSError as error:
            raise ContentError(f"cannot read {file.path}: {error.strerror}; look at the disk's health") from error
        finally:
            os.close(descriptor)
        if len(body) != file.size_bytes:
            raise FileChangedError(f"{file.path} was changed while it was read; it is looked up anew")
        return body

    def _keep(self, file: ServedFile, body: bytes) -> None:
        if not file.is_immutable:
            return
        self._kept[file.path, file.etag] = body
        self._kept_bytes += len(body)
        while self._kept_bytes > self._capacity_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped)


def _read_cached(descriptor: int, size_bytes: int) -> bytes | None:
    """Read what the page cache holds; None where the disk would have to turn, or the file is short."""
    buffer = bytearray(size_bytes)
    try:
        length = os.preadv(descriptor, [buffer], 0, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return None
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):  # tmpfs knows no RWF_NOWAIT, and needs none
            length = os.preadv(descriptor, [buffer], 0)
        else:
            return None
    return bytes(buffer) if length == size_bytes else None
