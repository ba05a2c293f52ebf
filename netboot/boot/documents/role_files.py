"""The Ignition files of `ocne` on this appliance: what they have, since when, and when their secrets end.

`netboot cluster ignition set` records beside a file when it was taken, and fingerprints of its secrets. Without that
record, or if the file was changed since, the modification time of the file counts, which is an estimate. No secret is
kept, in memory or on disk.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from netboot.errors import raise_without_descriptor
from netboot.ignition.check import IgnitionFile, read_ignition
from netboot.ignition.role_file import role_file
from netboot.model.host.role_ignition import Deadline, RoleFile, SecretKind
from netboot.yamlfile.files import SIZE_LIMIT_BYTES

RECORD_SUFFIX: Final = ".taken"

MOST_KNOWN: Final = 64  # contents of files whose verification is remembered

FileStamp = tuple[int, int, int]  # size, time of modification, inode
_LARGEST_RECORD_BYTES: Final = 65_536
_FINGERPRINT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class TakenRecord:
    """When a file was taken. `since` has the first time of each secret that this path had, by its fingerprint."""

    sha256: str  # of the file, in hex
    taken_at: datetime
    salt: bytes = field(repr=False)
    since: Mapping[str, datetime] = field(default_factory=dict)

    def fingerprint(self, kind: SecretKind, digest: bytes) -> str:
        """Return the name of a secret in `since`, from its SHA-256."""
        return hashlib.blake2b(
            digest, key=self.salt, person=kind.encode()[:16], digest_size=_FINGERPRINT_BYTES
        ).hexdigest()

    def as_text(self) -> str:
        since = {name: at.isoformat() for name, at in self.since.items()}
        found = {"sha256": self.sha256, "taken_at": self.taken_at.isoformat(), "salt": self.salt.hex(), "since": since}
        return json.dumps(found, indent=1) + "\n"

    @classmethod
    def parse(cls, text: str) -> "TakenRecord":
        """Read what `as_text` wrote; raise ValueError."""
        try:
            found = json.loads(text)
            since = {str(name): _utc(at) for name, at in found["since"].items()}
            return cls(str(found["sha256"]), _utc(found["taken_at"]), bytes.fromhex(found["salt"])[:64], since)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("is no record of a taken file") from error


@dataclass(frozen=True, slots=True)
class RoleFileRead:
    """One file as it is now; `taken_at` is the modification time if `is_estimate`."""

    path: Path
    content: bytes = field(repr=False)
    sha256: bytes = field(repr=False)  # of the file, also where its content is not kept
    taken_at: datetime
    is_estimate: bool
    ignition: IgnitionFile = field(repr=False)
    file: RoleFile
    deadlines: tuple[Deadline, ...]

    def fault(self, now: datetime) -> str | None:
        """Return why the file must not be served now, because a secret in it has ended."""
        first = min((each for each in self.deadlines if each.at <= now), key=lambda each: each.at, default=None)
        return None if first is None else first.sentence(self.path, self.file.use)


class RoleFiles:
    """Reads the files; one that several hosts have is verified once. Of contents, the newest are remembered."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[IgnitionFile, RoleFile]] = {}  # by SHA-256 of the content
        self._unchanged: dict[Path, tuple[tuple[FileStamp | None, ...], RoleFileRead]] = {}

    def read(self, path: Path) -> RoleFileRead:
        """Read a file; raise OSError, also if it is no regular file of 4 MiB at most. Its result has its problems."""
        content, written_at = _read(path)
        digest = hashlib.sha256(content)
        known = self._known.get(digest.digest())
        if known is None:
            ignition = read_ignition(content)
            known = ignition.without_contents(), role_file(ignition)
            if not ignition.problems:
                self._known[digest.digest()] = known
                for oldest in list(self._known)[:-MOST_KNOWN]:
                    self._known.pop(oldest, None)
        ignition, file = known
        record = read_record(path)
        if record is not None and record.sha256 != digest.hexdigest():
            record = None
        taken_at = written_at if record is None else record.taken_at
        deadlines = tuple(
            Deadline.counted(kind, written_at if since is None else since, is_estimate=since is None)
            for kind, secret in file.secrets.items()
            for since in [None if record is None else record.since.get(record.fingerprint(kind, secret))]
        )
        return RoleFileRead(path, content, digest.digest(), taken_at, record is None, ignition, file, deadlines)

    def read_if_changed(self, path: Path) -> RoleFileRead:
        """Return a file as `read` does, but without its content; read again if it or its record was replaced."""
        stamps = (file_stamp(path), file_stamp(record_path(path)))
        before = self._unchanged.get(path)
        if before is not None and before[0] == stamps:
            return before[1]
        found = replace(self.read(path), content=b"")
        self._unchanged[path] = stamps, found
        return found


def file_stamp(path: Path) -> FileStamp | None:
    """Return what changes where a file is replaced; None: there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def record_path(path: Path) -> Path:
    return path.with_name(path.name + RECORD_SUFFIX)


def read_record(path: Path) -> TakenRecord | None:
    """Read when the file at `path` was taken; None without a record that can be read."""
    try:
        with open(record_path(path), "rb", opener=_without_blocking) as file:
            return TakenRecord.parse(file.read(_LARGEST_RECORD_BYTES).decode())
    except (OSError, ValueError) as error:
        raise_without_descriptor(error)
        return None


def _read(path: Path) -> tuple[bytes, datetime]:
    with open(path, "rb", opener=_without_blocking) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        content = file.read(SIZE_LIMIT_BYTES + 1)
    if len(content) > SIZE_LIMIT_BYTES:  # the registry did not compare it with the cluster either
        raise OSError(errno.EFBIG, f"it is larger than {SIZE_LIMIT_BYTES >> 20} MiB", str(path))
    return content, datetime.fromtimestamp(status.st_mtime, UTC)


def _without_blocking(name: str, flags: int) -> int:
    """Open a file; a FIFO in its place does not block."""
    return os.open(name, flags | os.O_NONBLOCK)


def _utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
