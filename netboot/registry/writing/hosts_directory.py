"""Writes and deletes files of the directory in which commands declare hosts: atomically, one command at a time.

A reader finds the old text of a file or the new one, also if the writer is killed (rename(2)). No link is followed. The
directory itself is locked (flock(2)); the kernel releases the lock at a crash.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.errors import NO_RIGHT, HostsNotWritableError, read_only_cure

LOCK_S: Final = 10.0  # a change reads all hosts files: 5,000 hosts take two seconds
_TRY_AGAIN_S: Final = 0.05
_DRAFT: Final = ".netboot-draft"  # hidden, so no reader takes it for a hosts file
_MODE: Final = 0o640


@dataclass(frozen=True, slots=True)
class HostsDirectory:
    """The directory, locked for this command."""

    path: Path
    descriptor: int

    def apply(self, changes: Mapping[str, str | None]) -> None:
        """Write each named file, or delete it where the text is None: all, or none if one fails.

        A process that is killed in between leaves some of them, each whole.
        """
        done: list[tuple[str, str | None]] = []
        try:
            for name, text in changes.items():
                done.append((name, self._text(name)))
                self._put(name, text)
        except OSError as error:
            for name, before in reversed(done):
                with suppress(OSError):
                    self._put(name, before)
            with suppress(OSError):
                os.unlink(_DRAFT, dir_fd=self.descriptor)
            raise _not_writable(self.path, error) from error

    def _text(self, name: str) -> str | None:
        try:
            return (self.path / name).read_text()
        except FileNotFoundError:
            return None

    def _put(self, name: str, text: str | None) -> None:
        if text is None:
            os.unlink(name, dir_fd=self.descriptor)
        else:
            self._write_draft(text.encode())
            os.rename(_DRAFT, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        os.fsync(self.descriptor)

    def _write_draft(self, content: bytes) -> None:
        """Write the draft anew; it belongs to the directory's group, so that the daemon can read what root wrote."""
        with suppress(FileNotFoundError):  # of a command that was killed
            os.unlink(_DRAFT, dir_fd=self.descriptor)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(_DRAFT, flags, _MODE, dir_fd=self.descriptor), "wb") as draft:
            owner = os.fstat(self.descriptor)
            with suppress(PermissionError):
                os.fchown(draft.fileno(), owner.st_uid if os.geteuid() == 0 else -1, owner.st_gid)
            os.fchmod(draft.fileno(), _MODE)  # whatever the umask is
            draft.write(content)
            draft.flush()
            os.fsync(draft.fileno())


@contextmanager
def locked_directory(path: Path) -> Iterator[HostsDirectory]:
    """Open and lock the directory; raise HostsNotWritableError if it is not there, or locked for `LOCK_S`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _not_writable(path, error) from error
    try:
        _lock(path, descriptor)
        yield HostsDirectory(path, descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path, descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise HostsNotWritableError(
                    f"cannot change {path}: another command has changed it for {LOCK_S:.0f} s; try again"
                ) from None
            time.sleep(_TRY_AGAIN_S)
        else:
            return


def _not_writable(path: Path, error: OSError) -> HostsNotWritableError:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            cure = (
                f"make it: install -d -m 770 -g netboot {path}, then systemctl restart netboot, "
                f"or without the service: mkdir {path}"
            )
        case errno.EACCES | errno.EPERM:
            cure = f"{NO_RIGHT}, or if the service may not: chgrp netboot {path} && chmod 770 {path}"
        case errno.EROFS:
            cure = read_only_cure(path)
        case errno.ENOSPC | errno.EDQUOT:
            cure = "free some space"
        case _:
            cure = "correct this, then try again"
    return HostsNotWritableError(f"cannot write in {path}: {error.strerror}; {cure}")
