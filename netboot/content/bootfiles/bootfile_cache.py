"""The bytes of boot files: small ones from memory, checked against the disk; large ones piece by piece.

`fresh` compares by one stat and may run on the loop; `read` and `LargeFile.piece` read the disk and may not.
Must never map a file into memory: who truncates it would end the daemon with SIGBUS.
"""

import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from netboot.content.bootfiles.directories import BootFile
from netboot.errors import ContentError

SMALL_BYTES: Final = 2 << 20  # a network boot program is smaller; the largest are shim and GRUB in one
BUDGET_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class LargeFile:
    """An open file that is read in pieces; who has it closes it."""

    descriptor: int
    size_bytes: int

    def piece(self, offset: int, length: int) -> bytes:
        """Read exactly these bytes; raise ContentError where the file shrank or the disk fails."""
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
        """Give the descriptor back."""
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class _Kept:
    content: bytes
    stamp: tuple[int, int, int]  # inode, size, modification time in ns


class BootFileCache:
    """Small files in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def fresh(self, file: BootFile) -> bytes | None:
        """Return the bytes if they are those on disk; None: ask `read`."""
        kept = self._kept.get(str(file.path))
        if kept is None:
            return None
        try:
            status = file.path.lstat()
        except OSError:
            return None
        return kept.content if _stamp(status) == kept.stamp else None

    def read(self, file: BootFile) -> bytes | LargeFile:
        """Return a small file's bytes, or a large file open; raise ContentError where it is not to be had."""
        path = str(file.path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._kept.pop(path, None)
            raise ContentError(f"cannot open {path}: {error.strerror}; put it back") from error
        with ExitStack() as stack:
            stack.callback(os.close, descriptor)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ContentError(f"cannot serve {path}: it is no regular file any more; put it back")
            opened = LargeFile(descriptor, status.st_size)
            if status.st_size < SMALL_BYTES:
                return self._small(path, opened, _stamp(status))
            stack.pop_all()
            return opened

    def _small(self, path: str, opened: LargeFile, stamp: tuple[int, int, int]) -> bytes:
        kept = self._kept.get(path)
        content = kept.content if kept is not None and kept.stamp == stamp else opened.piece(0, stamp[1])
        if sum(len(other.content) for other in list(self._kept.values())) + len(content) > BUDGET_BYTES:
            self._kept.clear()
        self._kept[path] = _Kept(content, stamp)
        return content


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_ino, status.st_size, status.st_mtime_ns)
