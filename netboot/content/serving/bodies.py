"""The bytes of served files: the loop never waits for a disk; small bodies are cached in bounded memory.

`read_now` returns what the page cache contains, otherwise None; `read_later` then reads the file in a thread. A file
that differs from its index entry raises FileChangedError: its length is wrong, so no byte of it may be sent.
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
    """The file on disk is not the file of the index: replaced, rewritten or removed."""


def open_file(file: ServedFile) -> int:
    """Open a served file and return its descriptor; raise FileChangedError if it differs from its index entry."""
    try:
        descriptor = os.open(file.path, _OPEN_FLAGS)
    except OSError as error:
        if error.errno not in _GONE:
            raise ContentError(f"cannot open {file.path}: {error.strerror}") from error
        raise FileChangedError(f"cannot open {file.path}: {error.strerror}; copy it again") from error
    try:
        _compare(file, os.fstat(descriptor))
    except FileChangedError:
        os.close(descriptor)
        raise
    return descriptor


def check_unchanged(file: ServedFile) -> None:
    """Raise FileChangedError if the file differs from its index entry: before a reply that needs no byte of the file.

    A 304 for a ref or summary that was replaced would keep a machine at an old release. A file that is named by its
    checksum is not checked.
    """
    if file.is_immutable or file.body is not None:
        return
    try:
        status = os.lstat(file.path)
    except OSError as error:
        raise FileChangedError(f"cannot read {file.path}: {error.strerror}; copy it again") from error
    _compare(file, status)


def _compare(file: ServedFile, status: os.stat_result) -> None:
    is_checksum = "-" not in file.etag  # of an object whose name is its checksum
    is_same = file.size_bytes == status.st_size if is_checksum else file.etag == etag_of(status)
    if not is_same or not stat.S_ISREG(status.st_mode):
        raise FileChangedError(f"{file.path} was changed since it was listed; it is read again")


class Bodies:
    """A cache of immutable small bodies: the most recently used, up to `capacity_bytes`."""

    def __init__(self, capacity_bytes: int = CACHE_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        # by path and ETag: a path may get other bytes
        self._cached: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._cached_bytes = 0

    def clear(self) -> None:
        self._cached.clear()
        self._cached_bytes = 0

    def read_now(self, file: ServedFile) -> bytes | None:
        """Return the whole of a small file if no disk is read; otherwise, and for a larger file, None."""
        if file.body is not None:
            return file.body
        key = (file.path, file.etag)
        cached = self._cached.get(key)
        if cached is not None:
            self._cached.move_to_end(key)
            return cached
        if file.size_bytes > SMALL_BODY_BYTES:
            return None
        descriptor = open_file(file)
        try:
            body = read_cached(descriptor, file.size_bytes)
        finally:
            os.close(descriptor)
        if body is not None and file.is_immutable:
            self._cache(key, body)
        return body

    def read_later(self, file: ServedFile) -> bytes:
        """Read the whole of a small file. Blocks: call it in a thread. Raises FileChangedError."""
        descriptor = open_file(file)
        try:
            body = os.pread(descriptor, file.size_bytes + 1, 0)
        except OSError as error:
            raise ContentError(f"cannot read {file.path}: {error.strerror}; check the disk") from error
        finally:
            os.close(descriptor)
        if len(body) != file.size_bytes:
            raise FileChangedError(f"{file.path} was changed while it was read; it is read again")
        return body

    def _cache(self, key: tuple[str, str], body: bytes) -> None:
        self._cached[key] = body
        self._cached_bytes += len(body)
        while self._cached_bytes > self._capacity_bytes:
            _, dropped = self._cached.popitem(last=False)
            self._cached_bytes -= len(dropped)


def read_cached(descriptor: int, size_bytes: int, start: int = 0) -> bytes | None:
    """Read what the page cache contains; None if the disk must be read, or the file is short."""
    buffer = bytearray(size_bytes)
    try:
        length = os.preadv(descriptor, [buffer], start, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            return None
        length = os.preadv(descriptor, [buffer], start)  # tmpfs does not support RWF_NOWAIT, and never blocks
    return bytes(buffer) if length == size_bytes else None
