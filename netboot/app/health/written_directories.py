"""Whether commands can still write hosts and Ignition files in their directories, which may be read-only by choice.

An operator may keep them from the daemon: by their owner and mode, without `ReadWritePaths=` in the unit, on a file
system that is mounted read-only. So a directory counts from when this process could write in it; one that it could not
write in since its start, one that is missing, and one whose owner or mode forbids it are no faults. Nothing is written.
"""

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from netboot.telemetry.health import HealthPart, PartState

LEAST_BYTES: Final = 1 << 20  # an Ignition file of a role and its copy are smaller

HOSTS: Final = "hosts-files"
IGNITION: Final = "ignition-files"


class WrittenDirectories:
    """`directories` gives those in force; `part` is their name in the health, and `what` that of their files."""

    def __init__(self, part: str, what: str, directories: Callable[[], Iterable[Path]]) -> None:
        self.part = part
        self._what, self._directories = what, directories
        self._were_writable = {each for each in self._named() if _permits_writing(each)}

    def check(self) -> HealthPart:
        """Return the state of the directories; waits for their disks."""
        return HealthPart.of(self.part, *map(self._fault, self._named()), at_worst=PartState.DEGRADED)

    def _named(self) -> list[Path]:
        return list(dict.fromkeys(self._directories()))

    def _fault(self, directory: Path) -> str | None:
        if not directory.is_dir():
            return None
        if _permits_writing(directory):
            self._were_writable.add(directory)
            if not _is_full(directory):
                return None
            code, cure = errno.ENOSPC, "free some space or inodes on its file system"
        elif directory in self._were_writable and os.statvfs(directory).f_flag & os.ST_RDONLY:
            code = errno.EROFS
            cure = "mount it writable, see dmesg; if it is to be read-only: systemctl restart netboot"
        else:
            return None
        return f"cannot write {self._what} in {directory}: {os.strerror(code)}; {cure}"


def _permits_writing(directory: Path) -> bool:
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK, effective_ids=True)


def _is_full(directory: Path) -> bool:
    """Return whether bytes or inodes are exhausted; a file system without a limit of its own states 0 of 0."""
    disk = os.statvfs(directory)
    lacks_bytes = disk.f_blocks > 0 and disk.f_bavail * disk.f_frsize < LEAST_BYTES
    return lacks_bytes or (disk.f_files > 0 and disk.f_favail == 0)
