"""Where the records of each boot are: `DIRECTORY/MACHINE/TIME.log` and `DIRECTORY/MACHINE/TIME.pcapng`.

MACHINE is the name of a host, or the MAC of a machine that no file declares; TIME is when the boot began. Read by the
daemon and, without one, by commands. Blocks: called in threads.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from netboot.errors import NetbootError
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.store.failure import DISK_CURES

Owner = HostName | Mac

PART: Final = ".part"  # how the name of a record ends that is written anew
_VERIFIED_BYTES: Final = 4096
_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_MAC_DIRECTORY: Final = re.compile(r"[0-9a-f]{2}(-[0-9a-f]{2}){5,7}")


class RecordKind(StrEnum):
    """What a file has of a boot; the value is how its name ends."""

    LOG = "log"
    CAPTURE = "pcapng"


class NoRecordError(NetbootError):
    """No record of this kind is kept of a machine or boot."""


def cure_of(error: OSError) -> str:
    """Return what to do about a record that cannot be written."""
    return DISK_CURES.get(error.errno or 0, "see records.directory")


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One file of one boot."""

    kind: RecordKind
    began_at: datetime
    path: Path
    size_bytes: int
    written_at: datetime  # when it was last

    @property
    def is_of_unregistered(self) -> bool:
        """Return whether its machine had no host of the files, and is kept by its MAC."""
        return _MAC_DIRECTORY.fullmatch(self.path.parent.name) is not None

    @property
    def boot(self) -> Path:
        """Return what the paths of all records of the boot begin with."""
        return self.path.with_suffix("")


@dataclass(frozen=True, slots=True)
class RecordFiles:
    directory: Path

    def path_of(self, owner: Owner, began_at: datetime, kind: RecordKind) -> Path:
        """Return the file for a boot that began at this time."""
        return self._directory_of(owner) / f"{began_at.astimezone(UTC):{_TIME}}.{kind}"

    def of(self, owner: Owner, kind: RecordKind) -> list[StoredRecord]:
        """List the records of a machine of one kind, the oldest boot first."""
        return [record for record in self.all_of(owner) if record.kind is kind]

    def all_of(self, owner: Owner) -> list[StoredRecord]:
        """List the records of a machine, the oldest boot first."""
        return _in_order(_records_in(self._directory_of(owner)))

    def verify_writable(self) -> None:
        """Write a block where the records are, and delete it; raise OSError."""
        self.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        part = self.directory / f"verified{PART}"
        try:
            part.write_bytes(bytes(_VERIFIED_BYTES))
        finally:
            part.unlink(missing_ok=True)

    def remove_parts(self) -> None:
        """Delete what a killed daemon was writing anew; the records themselves are whole."""
        for path in [*self.directory.glob(f"*{PART}"), *self.directory.glob(f"*/*{PART}")]:
            path.unlink(missing_ok=True)

    def all(self) -> list[StoredRecord]:
        """List the records of all machines, the oldest boot first, and of a boot the capture first.

        A directory of somebody else has none, as `lost+found` of a file system of its own.
        """
        try:
            machines = list(self.directory.iterdir())
        except FileNotFoundError:
            return []
        return _in_order(record for machine in machines for record in _readable_records_in(machine))

    def _directory_of(self, owner: Owner) -> Path:
        return self.directory / (owner.hyphenated if isinstance(owner, Mac) else owner)


def of_boot(records: Sequence[StoredRecord], boot: int) -> StoredRecord | None:
    """Return the record of a boot: 0 is the last one, -1 the one before, 1 the oldest, as in journalctl(1)."""
    index = boot - 1 if boot > 0 else boot + len(records) - 1
    return records[index] if 0 <= index < len(records) else None


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a record to append to it, and make it if there is none; raise OSError."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def append(descriptor: int, data: bytes, *, size_bytes: int) -> None:
    """Append all bytes to a record of this size, or none: raise OSError."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        os.ftruncate(descriptor, size_bytes)
        raise


def _in_order(records: Iterator[StoredRecord]) -> list[StoredRecord]:
    return sorted(records, key=lambda record: (record.began_at, record.kind is RecordKind.LOG))


def _readable_records_in(directory: Path) -> Iterator[StoredRecord]:
    with suppress(PermissionError):
        yield from _records_in(directory)


def _records_in(directory: Path) -> Iterator[StoredRecord]:
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in directory.iterdir():
            with suppress(OSError, ValueError):  # deleted meanwhile; another file
                name, _, suffix = path.name.rpartition(".")
                kind, began_at = RecordKind(suffix), datetime.strptime(name, _TIME).replace(tzinfo=UTC)
                status = path.stat()
                written_at = datetime.fromtimestamp(status.st_mtime, UTC)
                if stat.S_ISREG(status.st_mode):
                    yield StoredRecord(kind, began_at, path, status.st_size, written_at)
