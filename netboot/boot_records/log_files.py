"""Where the log of each boot is, and what it has: `DIRECTORY/MACHINE/TIME.log`, one line of JSON for each line.

MACHINE is the name of a host, or the MAC of a machine that no file declares; TIME is when the boot began. Read by the
daemon and, without one, by commands. Blocks: called in threads.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from netboot.model.boot.log_line import LogLine
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac

Owner = HostName | Mac

READ_AT_ONCE_BYTES: Final = 256 * 1024
_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_SUFFIX: Final = ".log"
_MAC_DIRECTORY: Final = re.compile(r"[0-9a-f]{2}(-[0-9a-f]{2}){5,7}")


@dataclass(frozen=True, slots=True)
class StoredBoot:
    """The log of one boot."""

    began_at: datetime
    path: Path
    size_bytes: int
    written_at: datetime  # when its last line was

    @property
    def is_of_unregistered(self) -> bool:
        """Return whether its machine had no host of the files, and is kept by its MAC."""
        return _MAC_DIRECTORY.fullmatch(self.path.parent.name) is not None


@dataclass(frozen=True, slots=True)
class LogFiles:
    directory: Path

    def path_of(self, owner: Owner, began_at: datetime) -> Path:
        """Return the file for a boot that began at this time."""
        return self._directory_of(owner) / f"{began_at.astimezone(UTC):{_TIME}}{_SUFFIX}"

    def boots_of(self, owner: Owner) -> list[StoredBoot]:
        """List the boots of a machine that have a log, oldest first."""
        return _boots_in(self._directory_of(owner))

    def all_boots(self) -> list[StoredBoot]:
        """List the boots of all machines that have a log, oldest first."""
        try:
            machines = list(self.directory.iterdir())
        except FileNotFoundError:
            return []
        return sorted((boot for machine in machines for boot in _boots_in(machine)), key=lambda boot: boot.began_at)

    def read(self, boot: StoredBoot, offset: int) -> tuple[list[LogLine], int]:
        """Read lines from an offset on, and return the offset of the next one; no lines: there are none yet.

        A file that was deleted to keep the budget has none.
        """
        try:
            with boot.path.open("rb") as file:
                file.seek(offset)
                data = file.read(READ_AT_ONCE_BYTES)
        except FileNotFoundError:
            return [], offset
        whole = data[: data.rfind(b"\n") + 1]
        found = (LogLine.of_json(line.decode("utf-8", "replace")) for line in whole.splitlines())
        return [line for line in found if line is not None], offset + len(whole)

    def _directory_of(self, owner: Owner) -> Path:
        return self.directory / (owner.hyphenated if isinstance(owner, Mac) else owner)


def _boots_in(directory: Path) -> list[StoredBoot]:
    boots = []
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in directory.iterdir():
            with suppress(FileNotFoundError, ValueError):  # deleted meanwhile; another file
                status = path.stat()
                began_at = datetime.strptime(path.name, f"{_TIME}{_SUFFIX}").replace(tzinfo=UTC)
                written_at = datetime.fromtimestamp(status.st_mtime, UTC)
                boots.append(StoredBoot(began_at, path, status.st_size, written_at))
    return sorted(boots, key=lambda boot: boot.began_at)
