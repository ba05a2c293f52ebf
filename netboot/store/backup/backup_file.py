"""The file of a backup: a tar archive with one member for each table, a manifest, and the checksums of all of them.

    tables/NAME.jsonl.zst   the rows of a table, one JSON array a line, packed by zstd
    manifest.json           versions, time, and of each table its columns, number of rows, size and SHA-256
    SHA256SUMS              as `sha256sum -c` reads it

The manifest comes last, so that a file that was cut has none. Reads no database. No name in an archive becomes a path.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final, Self

import zstandard

from netboot.errors import StoreError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
_LEVEL: Final = 6
_LARGEST_MANIFEST: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 20
_CURE: Final = "use another backup, or copy this one again from where it was made"


class BackupError(StoreError):
    """A file that is no backup, or a damaged one."""

    code = "backup-unusable"


@dataclass(frozen=True, slots=True)
class BackupPart:
    """The rows of one table in a backup."""

    table: str
    columns: Sequence[str]
    rows: int
    size_bytes: int
    sha256: str

    @property
    def member(self) -> str:
        return f"tables/{self.table}.jsonl.zst"


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """What a backup has. `key_digest` is of the key that opens the sealed values; empty: none is sealed."""

    schema_version: int
    netboot_version: str
    appliance: str  # its host name
    taken_at: str  # ISO 8601, UTC
    database: str  # `sqlite` or `postgresql`
    sequences: dict[str, int] = field(default_factory=dict)  # the last number that a table gave, used or not
    key_digest: str = ""
    format: int = FORMAT
    parts: Sequence[BackupPart] = ()

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @classmethod
    def of_json(cls, text: bytes) -> Self:
        """Read a manifest; raise ValueError, TypeError or KeyError if it is none."""
        read = json.loads(text)
        known = {each.name: read[each.name] for each in fields(cls) if each.name in read}
        if known.pop("format") != FORMAT:
            raise ValueError(f"its format is {read['format']}, and this netboot reads format {FORMAT}")
        parts = tuple(BackupPart(**{**part, "columns": tuple(part["columns"])}) for part in known.pop("parts"))
        manifest = cls(**known, parts=parts)
        datetime.fromisoformat(manifest.taken_at)
        return manifest


class BackupWriter:
    """Writes a backup into a file, which need not be seekable: table after table, then `end`."""

    def __init__(self, file: IO[bytes], *, at: datetime, spool: Path | None) -> None:
        """Write to `file`; the packed rows of one table at a time are in a temporary file below `spool`."""
        self._archive = tarfile.TarFile(fileobj=_Counted(file), mode="w", format=tarfile.PAX_FORMAT)  # type: ignore[arg-type]  # it is written to only
        self._at, self._spool = at, spool
        self._parts: list[BackupPart] = []
        self._sums: list[str] = []

    @contextmanager
    def table(self, name: str, columns: Sequence[str]) -> Iterator["RowWriter"]:
        """Let the block add the rows of one table."""
        with TemporaryFile(dir=self._spool) as packed:
            with zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(
                packed, closefd=False
            ) as rows:
                writer = RowWriter(rows)
                yield writer
            size_bytes = packed.tell()
            packed.seek(0)
            digest = hashlib.file_digest(packed, "sha256").hexdigest()
            part = BackupPart(name, tuple(columns), writer.count, size_bytes, digest)
            packed.seek(0)
            self._add(part.member, packed, size_bytes, digest)
            self._parts.append(part)

    def end(self, about: BackupManifest) -> BackupManifest:
        """Write the manifest and the checksums; return the manifest with its parts."""
        manifest = replace(about, parts=tuple(self._parts))
        text = (json.dumps(asdict(manifest), indent=1) + "\n").encode()
        self._add(MANIFEST, io.BytesIO(text), len(text), hashlib.sha256(text).hexdigest())
        sums = "".join(self._sums).encode()
        self._add(SUMS, io.BytesIO(sums), len(sums), "")
        self._archive.close()
        return manifest

    def _add(self, name: str, file: IO[bytes], size_bytes: int, digest: str) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size_bytes, 0o600, int(self._at.timestamp())
        self._archive.addfile(member, file)
        self._sums.append(f"{digest}  {name}\n")


class _Counted:
    """A file that is written from its beginning to its end, and may be a pipe."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._at = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at


class RowWriter:
    """The rows of one table, as they are written."""

    def __init__(self, packed: IO[bytes] | zstandard.ZstdCompressionWriter) -> None:
        self._packed = packed
        self.count = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows of JSON values."""
        self._packed.write(
            b"".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for row in rows)
        )
        self.count += len(rows)


class BackupReader:
    """A backup that is opened; `manifest` is verified by its checksum, the rows by `verify`."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        """Read the manifest of the backup in `file`, called `path` in messages; raise BackupError."""
        self.path = path
        self._file = file
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            self._archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - the caller closes the file
            for member in self._archive:
                self._members[member.name] = member
        except tarfile.ReadError as error:
            if not self._members:
                raise BackupError(
                    f"{path} is no backup of netboot ({error}); name a file of netboot store backup"
                ) from None
            self._raise_cut()
        self.manifest = self._read_manifest()

    def verify(self) -> None:
        """Compare every part with its checksum; raise BackupError, which names the first damaged one."""
        for part in self.manifest.parts:
            digest = hashlib.sha256()
            with self._part(part) as packed:
                while chunk := packed.read(_CHUNK_BYTES):
                    digest.update(chunk)
            if digest.hexdigest() != part.sha256:
                raise self._damaged(part.member, f"its bytes have the checksum {digest.hexdigest()}")

    def rows(self, part: BackupPart, *, at_once: int = 1000) -> Iterator[list[list[Any]]]:
        """Yield the rows of a table; raise BackupError if they are not as the manifest has them."""
        count, rows = 0, list[list[Any]]()
        with self._part(part) as packed, zstandard.ZstdDecompressor().stream_reader(packed) as unpacked:
            try:
                for line in io.BufferedReader(unpacked):
                    row = json.loads(line)
                    if not isinstance(row, list) or len(row) != len(part.columns):
                        raise ValueError(f"row {count + 1} has other columns")
                    rows.append(row)
                    count += 1
                    if len(rows) == at_once:
                        yield rows
                        rows = []
            except (ValueError, zstandard.ZstdError, tarfile.ReadError) as error:
                raise self._damaged(part.member, str(error)) from error
        if count != part.rows:
            raise self._damaged(part.member, f"it has {count} rows, and the manifest states {part.rows}")
        yield rows

    def _part(self, part: BackupPart) -> IO[bytes]:
        member = self._members.get(part.member)
        packed = self._archive.extractfile(member) if member is not None and member.isreg() else None
        if packed is None:
            raise self._damaged(part.member, "it is missing")
        return packed

    def _read_manifest(self) -> BackupManifest:
        if MANIFEST not in self._members or SUMS not in self._members:
            self._raise_cut()
        text, sums = self._small(MANIFEST), self._small(SUMS)
        own = f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n"
        if own.encode() not in sums:
            raise self._damaged(MANIFEST, f"its bytes have another checksum than the one in {SUMS}")
        try:
            manifest = BackupManifest.of_json(text)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._damaged(MANIFEST, str(error)) from error
        if "".join([*(f"{part.sha256}  {part.member}\n" for part in manifest.parts), own]).encode() != sums:
            raise self._damaged(SUMS, f"it has other checksums than {MANIFEST}")
        return manifest

    def _small(self, name: str) -> bytes:
        file = self._archive.extractfile(self._members[name])
        return file.read(_LARGEST_MANIFEST) if file is not None else b""

    def _raise_cut(self) -> None:
        last = list(self._members)[-1] if self._members else "its beginning"
        raise BackupError(f"{self.path} is cut off, or damaged, in or behind {last}: it has no manifest; {_CURE}")

    def _damaged(self, member: str, what: str) -> BackupError:
        return BackupError(f"{self.path} is damaged: {member}: {what}; {_CURE}")


@contextmanager
def opened_backup(path: Path) -> Iterator[BackupReader]:
    """Open a backup; raise BackupError if it cannot be read, or is none."""
    try:
        with path.open("rb") as file:
            yield BackupReader(path, file)
    except OSError as error:
        raise BackupError(f"cannot read {path}: {error.strerror}; name a file of netboot store backup") from error
