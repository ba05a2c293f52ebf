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
from netboot.errors import ContentError, raise_without_descriptor

SMALL_BYTES: Final = 2 << 20  # loaders are smaller; the largest contain shim and GRUB
BUDGET_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class LargeFile:
    """An open file that is read in pieces; the caller closes it."""

    descriptor: int
    size_bytes: int

    def piece(self, offset: int, length: int) -> bytes:
        """Read exactly `length` bytes; raise ContentError if the file shrank or the disk fails."""
        try:
            piece = os.pread(self.descriptor, length, offset)
        except OSError as error:
            raise ContentError(f"cannot read at byte {offset}: {error.strerror}; check the disk") from error
        if len(piece) < length:
            raise ContentError(f"cannot read at byte {offset}: the file shrank; replace files by renaming")
        return piece

    def close(self) -> None:
        os.close(self.descriptor)


_Stamp = tuple[int, int, int]  # inode, size, modification time in ns


class BootFileCache:
    def __init__(self) -> None:
        self._cached: dict[str, tuple[_Stamp, bytes]] = {}

    def fresh(self, file: BootFile) -> bytes | None:
        """Return the cached bytes if the file on disk is unchanged; None: call `read`."""
        with suppress(OSError, KeyError):
            stamp, content = self._cached[str(file.path)]
            if _stamp(file.path.lstat()) == stamp:
                return content
        return None

    def read(self, file: BootFile) -> bytes | LargeFile:
        """Return a small file's bytes, or a large file opened; raise ContentError if it cannot be opened.

        DescriptorsError: it may be there.
        """
        path = str(file.path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise_without_descriptor(error)
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

    def _small(self, path: str, opened: LargeFile, stamp: _Stamp) -> bytes:
        cached_stamp, content = self._cached.get(path, (None, b""))
        if cached_stamp != stamp:
            content = opened.piece(0, opened.size_bytes)
        if sum(len(other) for _, other in list(self._cached.values())) + len(content) > BUDGET_BYTES:
            self._cached.clear()
        self._cached[path] = (stamp, content)
        return content


def _stamp(status: os.stat_result) -> _Stamp:
    return (status.st_ino, status.st_size, status.st_mtime_ns)
