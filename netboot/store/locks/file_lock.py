"""A lock on a file, exclusive for the daemon or shared by commands: flock(2), which the kernel releases at a crash.

The file stays when the lock is released: if it were removed, two daemons could lock two files of one name.
"""

import fcntl
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from netboot.errors import NO_RIGHT, StoreError
from netboot.store.failure import cannot_open

_OWNER_BYTES: Final = 1024


class FileLock:
    """The lock file beside `subject`: a control socket or a SQLite store, with links resolved."""

    def __init__(self, subject: Path) -> None:
        resolved = subject.resolve()
        self.path = resolved.with_name(f"{resolved.name}.lock")
        self._descriptor: int | None = None

    async def take(self, *, owner: str | None) -> bool:
        """Take the lock exclusively for the daemon `owner`, or shared if it is None; return False if it is held.

        Raises StoreError if the file cannot be opened. A command proceeds without the lock if the file does not exist
        and it may not make it: then no daemon has ever run.
        """
        descriptor = self._open(is_command=owner is None)
        if descriptor is None:
            if owner is None:
                return True
            raise StoreError(f"cannot make the lock {self.path}: no right to its directory; {NO_RIGHT}")
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if owner is None else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        if owner is not None:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, owner.encode()[:_OWNER_BYTES], 0)
        self._descriptor = descriptor
        return True

    async def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    async def owner(self) -> str:
        with suppress(OSError, UnicodeDecodeError):
            return self.path.read_text() or "another daemon"
        return "another daemon"

    async def watch(self, _verify: Callable[[], Awaitable[bool]]) -> None:
        """Do nothing: the kernel keeps the lock as long as the process runs."""

    def _open(self, *, is_command: bool) -> int | None:
        try:
            return open_or_make(self.path, 0o640)
        except PermissionError as error:
            if not os.path.exists(self.path):  # noqa: PTH110 - Path.exists raises if its directory may not be searched
                return None
            with suppress(OSError):
                if is_command:
                    return os.open(self.path, os.O_RDONLY)
            raise cannot_open("the lock", self.path, error) from error
        except OSError as error:
            raise cannot_open("the lock", self.path, error) from error


def open_or_make(path: Path, mode: int) -> int:
    """Open a file for reading and writing; make it and its directories if it is missing. Raises OSError.

    A new file belongs to the owner of its directory: a command of root must not lock out the daemon's user.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, mode)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    if os.geteuid() == 0:
        parent = path.parent.stat()
        os.fchown(descriptor, parent.st_uid, parent.st_gid)
    return descriptor


def held_by(subject: Path) -> str | None:
    """Read which daemon holds the lock beside `subject`; None: none does. Raises StoreError if it may not be read."""
    path = FileLock(subject).path
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError as error:
        raise cannot_open("the lock", path, error) from error
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, _OWNER_BYTES, 0).decode("utf-8", "replace") or "another daemon"
    finally:
        os.close(descriptor)
    return None
