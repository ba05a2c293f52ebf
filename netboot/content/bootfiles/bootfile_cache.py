"""The bytes of boot files: small files from memory, compared with the disk; large files in pieces.

`fresh` compares by one stat and may run on the loop; `read` and `LargeFile.piece` read the disk and may not.
Never maps a file into memory: truncating the file would end the daemon with SIGBUS.
"""

import os
import stat
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from netboot.content.bootfiles.directories import BootFile
from netboot.errors import ContentError

SMALL_BYTES: Final = 2 << 20  # network boot programs are smaller; the largest contain shim and GRUB
BUDGET_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class LargeFile:
    """An open file that is read in pieces; the caller closes it."""

    descriptor: int
    size_bytes: int

    def piece(self, offset: int, length: int) -> bytes:
        """Read exactly `length` bytes; raise ContentError if the file shrank or the disk fails."""
        pieces = []
        while length > 0:
            try:
                got = os.pread(self.descriptor, length, offset)
            except OSError as error:
                raise ContentError(f"cannot read at byte {offset}: {error.strerror}; check the disk") from error
            if not got:
                raise ContentError(f"cannot read at byte {offset}: the file shrank; replace files by renaming")
            pieces.append(got)
            offset += len(got)
            length -= len(got)
        return b"".join(pieces)

    def close(self) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class _CachedFile:
    content: bytes
    stamp: tuple[int, int, int]  # inode, size, modification time in ns


class BootFileCache:
    """Small files in memory."""

    def __init__(self) -> None:
        self._cached: dict[str, _CachedFile] = {}

    def fresh(self, file: BootFile) -> bytes | None:
        """Return the cached bytes if the file on disk is unchanged; None: call `read`."""
        cached = self._cached.get(str(file.path))
        with suppress(OSError):
            if cached is not None and _stamp(file.path.lstat()) == cached.stamp:
                return cached.content
        return None

    def read(self, file: BootFile) -> bytes | LargeFile:
        """Return a small file's bytes, or a large file opened; raise ContentError if it cannot be opened."""
        path = str(file.path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._cached.pop(path, None)
            raise ContentError(f"cannot open {path}: {error.strerror}; put it back") from error
        with ExitStack() as stack:
            stack.callback(os.close, descriptor)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ContentError(f"cannot serve {path}: it is no longer a regular file; put it back")
            opened = LargeFile(descriptor, status.st_size)
            if status.st_size < SMALL_BYTES:
                return self._small(path, opened, _stamp(status))
            stack.pop_all()
            return opened

    def _small(self, path: str, opened: LargeFile, stamp: tuple[int, int, int]) -> bytes:
        cached = self._cached.get(path)
        content = cached.content if cached is not None and cached.stamp == stamp else opened.piece(0, stamp[1])
        if sum(len(other.content) for other in list(self._cached.values())) + len(content) > BUDGET_BYTES:
            self._cached.clear()
        self._cached[path] = _CachedFile(content, stamp)
        return content


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_ino, status.st_size, status.st_mtime_ns)
