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
        try:
            found = self._problem(directory)
        except OSError as error:
            found = error.errno or errno.EIO, "see dmesg for the state of its disk"
        if found is None:
            return None
        code, cure = found
        return f"cannot write {self._what} in {directory}: {os.strerror(code)}; {cure}"

    def _problem(self, directory: Path) -> tuple[int, str] | None:
        """Return the error of the next write and its cure; raise OSError if the disk cannot be examined."""
        if not os.path.isdir(directory):  # noqa: PTH112 - Path.is_dir raises if a directory above it forbids to look
            return None
        if _permits_writing(directory):
            self._were_writable.add(directory)
            return (errno.ENOSPC, "free some space or inodes on its file system") if _is_full(directory) else None
        if directory in self._were_writable and os.statvfs(directory).f_flag & os.ST_RDONLY:
            return errno.EROFS, "mount it writable, see dmesg, or if it is to be read-only: systemctl restart netboot"
        return None


def _permits_writing(directory: Path) -> bool:
    return os.path.isdir(directory) and os.access(directory, os.W_OK | os.X_OK, effective_ids=True)  # noqa: PTH112 - as above


def _is_full(directory: Path) -> bool:
    """Return whether bytes or inodes are exhausted; a file system without a limit of its own states 0 of 0."""
    disk = os.statvfs(directory)
    lacks_bytes = disk.f_blocks > 0 and disk.f_bavail * disk.f_frsize < LEAST_BYTES
    return lacks_bytes or (disk.f_files > 0 and disk.f_favail == 0)
