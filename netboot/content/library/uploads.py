"""Resumable uploads: each is a directory below `.uploads`, never served.

The offset is the size of the file on disk, so it is right after a crash or a power cut. One writer at a time; a second
gets 409. `operate.content.upload_imports` imports a complete upload. An upload to which nobody writes expires.
Blocks: call it off the loop.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import Any, Final, Self, assert_never

from netboot.content.library.disk import cannot_write, http_status, nearest_existing, sync
from netboot.content.library.library import checked_name
from netboot.content.library.progress import ProgressReport
from netboot.errors import ContentError
from netboot.model.image_name import ImageName

DIRECTORY: Final = ".uploads"
LONGEST_BYTES: Final = 1 << 40
UNFINISHED_KEPT: Final = timedelta(days=7)  # after its last byte
ENDED_KEPT: Final = timedelta(days=30)  # its outcome
_ID: Final = re.compile(r"[0-9a-f]{32}")


class UploadKind(StrEnum):
    """The kind of file, which selects the import."""

    ISO = "iso"
    ARCHIVE = "archive"  # an OSTree archive
    IMAGE = "image"  # an OSTree commit in a container image
    IMAGES = "images"  # container images


_KINDS: Final[Mapping[str, str]] = {
    ".iso": UploadKind.ISO,
    ".tar": UploadKind.ARCHIVE,
    ".tgz": UploadKind.IMAGES,  # of `ocne catalog mirror`
}


class UploadState(StrEnum):
    RECEIVING = "receiving"
    IMPORTING = "importing"
    DONE = "done"
    FAILED = "failed"


class UploadError(ContentError):
    """An upload request that is refused; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload. `offset` of `length` bytes are on disk; `result` or `error` is the outcome of the import.

    `metadata` is what its sender wrote of it. At `expires_at` it is deleted; an upload that is imported has none.
    `progress` is that of its import while it runs.
    """

    id: str
    kind: UploadKind
    name: str | None
    length: int
    created_at: str
    state: UploadState = UploadState.RECEIVING
    offset: int = 0
    result: dict[str, Any] | None = None
    error: str | None = None
    metadata: str = ""
    expires_at: str | None = None
    progress: ProgressReport | None = None
    image: str | None = None  # the name of a container image, `olcne/ui:1.33`

    @property
    def has_ended(self) -> bool:
        """It was imported, or cannot be."""
        return self.state in (UploadState.DONE, UploadState.FAILED)


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """A file to upload: its kind and size, the name of its medium or release, and that of its container image."""

    kind: UploadKind
    length: int
    name: str | None = None
    metadata: str = ""
    image: str | None = None

    @classmethod
    def read(cls, described: Mapping[str, str], length: int, *, metadata: str = "") -> Self:
        """Read the keys `kind`, `name`, `image` and `filename`; raise UploadError for an invalid one.

        Without `kind`, the suffix of the file's name selects it. `metadata` is the text that had these keys.
        """
        kind = described.get("kind") or _KINDS.get(Path(described.get("filename", "")).suffix.lower())
        if kind not in tuple(UploadKind):
            raise UploadError(400, f"the metadata kind must be one of {', '.join(UploadKind)}")
        try:
            name = checked_name(described["name"]) if described.get("name") else None
            image = str(ImageName.parse(described["image"])) if described.get("image") else None
        except (ContentError, ValueError) as error:
            raise UploadError(400, str(error)) from None
        if length <= 0:
            raise UploadError(400, "the length must be the file's size in bytes")
        if length > LONGEST_BYTES:
            raise UploadError(413, f"{length} bytes are more than an upload may have, {LONGEST_BYTES}")
        if kind in (UploadKind.ARCHIVE, UploadKind.IMAGE) and name is None:
            raise UploadError(400, f"an {kind} needs a name, for example ock-1.31-amd64: the file contains none")
        return cls(UploadKind(kind), length, name, metadata, image)


class Uploads:
    def __init__(self, content: Path) -> None:
        self._root = content / DIRECTORY
        self._in_use: set[str] = set()
        self._moving = Lock()  # its receiver and, at a start, its import move one upload at the same time

    @property
    def open_count(self) -> int:
        """How many uploads a client writes to now."""
        return len(self._in_use)

    def begin(self, request: UploadRequest, *, id_: str, now: str) -> Upload:
        """Begin an upload; raise UploadError if it does not fit, or cannot be written."""
        upload = Upload(
            id_, request.kind, request.name, request.length, now, metadata=request.metadata, image=request.image
        )
        with _refusing_write_errors(self._root.parent):
            free = shutil.disk_usage(nearest_existing(self._root)).free
            if upload.length > free:
                raise UploadError(
                    507, f"{upload.length} bytes do not fit: {self._root.parent} has {free} free; free some space"
                )
            try:
                self._directory(id_).mkdir(parents=True)
                self._root.chmod(0o700)
                self.data(upload).touch()
                self._write(upload)
            except OSError:
                shutil.rmtree(self._directory(id_), ignore_errors=True)
                raise
        return self.get(id_)

    def all(self) -> list[Upload]:
        """List the uploads, oldest first."""
        paths = self._root.iterdir() if self._root.is_dir() else ()  # glob would hide that it cannot be read
        found = [self._read(path.name) for path in paths if _ID.fullmatch(path.name)]
        return sorted((upload for upload in found if upload), key=lambda upload: upload.created_at)

    def get(self, id_: str) -> Upload:
        """Find an upload; raise UploadError if there is none."""
        upload = self._read(id_) if _ID.fullmatch(id_) else None
        if upload is None:
            raise UploadError(404, "no such upload; POST /api/v1/uploads begins one")
        return upload

    def data(self, upload: Upload) -> Path:
        """Return the path of its bytes."""
        return self._directory(upload.id) / "data"

    @contextmanager
    def receiving(self, id_: str, offset: int, *, announced: int | None) -> Iterator["Receiver"]:
        """Open an upload for writing at `offset`; raise UploadError if that is not its current offset.

        `announced` is the number of bytes that follow, None if the sender does not announce it.
        """
        upload = self.get(id_)
        if upload.state is not UploadState.RECEIVING:
            raise UploadError(422, f"the upload is {upload.state}; begin another")
        if id_ in self._in_use:
            raise UploadError(409, "another client is writing to this upload; query its offset and wait")
        if offset != upload.offset:
            raise UploadError(409, f"the offset of the upload is {upload.offset}, not {offset}; continue from there")
        if announced is not None and offset + announced > upload.length:
            raise UploadError(400, f"{offset + announced} bytes are more than the announced {upload.length}")
        self._in_use.add(id_)
        try:
            with _refusing_write_errors(self._root.parent):
                opened = FileIO(self.data(upload), "ab")
            with opened as file:
                yield Receiver(file, upload.length - offset, self._root.parent)
        finally:
            self._in_use.discard(id_)

    def move(self, upload: Upload, state: UploadState, **more: Any) -> Upload:
        """Write a new state to disk; delete the bytes of an upload that ended. One that has ended stays as it is."""
        with self._moving, _refusing_write_errors(self._root.parent):
            stored = self.get(upload.id)
            if stored.has_ended:
                return stored
            moved = replace(stored, state=state, **more)
            self._write(moved)
            if moved.has_ended:
                self.data(upload).unlink(missing_ok=True)
            return self.get(upload.id)

    def remove(self, id_: str) -> None:
        """Delete an upload and its bytes; raise UploadError while it is written to or imported."""
        upload = self.get(id_)
        if id_ in self._in_use or upload.state is UploadState.IMPORTING:
            raise UploadError(409, "the upload is in use; wait for its end")
        shutil.rmtree(self._directory(id_), ignore_errors=True)

    def expire(self, now: datetime) -> list[Upload]:
        """Delete the uploads that have expired, and return them."""
        expired = [
            upload
            for upload in self.all()
            if upload.expires_at and datetime.fromisoformat(upload.expires_at) <= now and upload.id not in self._in_use
        ]
        for upload in expired:
            shutil.rmtree(self._directory(upload.id), ignore_errors=True)
        return expired

    def _directory(self, id_: str) -> Path:
        return self._root / id_

    def _read(self, id_: str) -> Upload | None:
        try:
            fields = json.loads((self._directory(id_) / "upload.json").read_text())
            upload = Upload(**fields | {"kind": UploadKind(fields["kind"]), "state": UploadState(fields["state"])})
            is_open = upload.state is UploadState.RECEIVING
            offset = self.data(upload).stat().st_size if is_open else upload.length
            return replace(upload, offset=offset, expires_at=self._expires_at(upload))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _expires_at(self, upload: Upload) -> str | None:
        match upload.state:
            case UploadState.RECEIVING:
                path, kept = self.data(upload), UNFINISHED_KEPT
            case UploadState.IMPORTING:
                return None
            case UploadState.DONE | UploadState.FAILED:
                path, kept = self._directory(upload.id) / "upload.json", ENDED_KEPT
            case _:
                assert_never(upload.state)
        return (datetime.fromtimestamp(int(path.stat().st_mtime), UTC) + kept).isoformat()

    def _write(self, upload: Upload) -> None:
        path = self._directory(upload.id) / "upload.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(upload)))
        sync(fresh)
        fresh.rename(path)


@dataclass(slots=True)
class Receiver:
    """The open end of an upload. Blocks: call it off the loop."""

    file: FileIO
    remaining_bytes: int
    content: Path

    def write(self, chunk: bytes) -> None:
        """Write the next bytes; raise UploadError if there are more than announced, or the disk is full."""
        if len(chunk) > self.remaining_bytes:
            raise UploadError(400, "more bytes were sent than announced; the announced bytes are kept")
        view = memoryview(chunk)
        with _refusing_write_errors(self.content):
            while view:
                view = view[self.file.write(view) :]
        self.remaining_bytes -= len(chunk)

    def sync(self) -> None:
        """Write the received bytes to disk before they are acknowledged."""
        with _refusing_write_errors(self.content):
            os.fsync(self.file.fileno())


@contextmanager
def _refusing_write_errors(directory: Path) -> Iterator[None]:
    """Raise each OSError as UploadError: 507 for a full disk, 503 for a read-only disk."""
    try:
        yield
    except OSError as error:
        raise UploadError(http_status(error), str(cannot_write(directory, error))) from error
