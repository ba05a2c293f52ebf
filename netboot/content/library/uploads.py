"""Uploads that may be broken off and taken up again: each a directory below `.uploads`, never served.

The length of what lies on disk is the offset, so that neither a crash nor a power cut can make it a lie. One writer
at a time; another is told that the upload is taken. What is complete is imported elsewhere (`admin.upload_api`).
Blocks: call it off the loop.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from io import FileIO
from pathlib import Path
from typing import Any, Final

from netboot.content.library.disk import http_status, told_as
from netboot.content.library.library import checked_name
from netboot.errors import ContentError

DIRECTORY: Final = ".uploads"
LONGEST_BYTES: Final = 1 << 40
_ID: Final = re.compile(r"[0-9a-f]{32}")


class UploadKind(StrEnum):
    """What it is, and so which import it ends in."""

    ISO = "iso"
    ARCHIVE = "archive"


class UploadState(StrEnum):
    """How far it is."""

    RECEIVING = "receiving"
    IMPORTING = "importing"
    DONE = "done"
    FAILED = "failed"


class UploadError(ContentError):
    """An upload that cannot go on like this; `status` is what HTTP calls it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload. `offset` bytes of `length` are on disk; `result` is the import's, `error` its reason."""

    id: str
    kind: UploadKind
    name: str | None
    length: int
    created_at: str
    state: UploadState = UploadState.RECEIVING
    offset: int = 0
    result: dict[str, Any] | None = None
    error: str | None = None


class Uploads:
    """The uploads of one content directory."""

    def __init__(self, content: Path) -> None:
        self._root = content / DIRECTORY
        self._taken: set[str] = set()

    def begin(self, asked: dict[str, Any], *, id_: str, now: str) -> Upload:
        """Begin an upload of `kind`, `length` and optional `name`; raise UploadError for what makes no sense."""
        upload = Upload(id_, _kind(asked), _name(asked), _length(asked), now)
        if upload.kind is UploadKind.ARCHIVE and upload.name is None:
            raise UploadError(400, "an archive needs a name, as ock-1.31-amd64: it does not know its own")
        with _refused_as(self._root.parent):
            free = shutil.disk_usage(_existing(self._root)).free
            if upload.length > free:
                raise UploadError(
                    507, f"{upload.length} bytes do not fit: {self._root.parent} has {free} free; make room"
                )
            try:
                self._directory(id_).mkdir(parents=True)
                self._root.chmod(0o700)
                self.data(upload).touch()
                self._write(upload)
            except OSError:
                shutil.rmtree(self._directory(id_), ignore_errors=True)
                raise
        return upload

    def all(self) -> list[Upload]:
        """List the uploads, oldest first."""
        if not self._root.is_dir():
            return []
        found = [self._read(path.name) for path in self._root.iterdir() if _ID.fullmatch(path.name)]
        return sorted((upload for upload in found if upload), key=lambda upload: upload.created_at)

    def get(self, id_: str) -> Upload:
        """Find an upload; raise UploadError where there is none."""
        upload = self._read(id_) if _ID.fullmatch(id_) else None
        if upload is None:
            raise UploadError(404, "no such upload; POST /api/v1/uploads begins one")
        return upload

    def data(self, upload: Upload) -> Path:
        """Say where its bytes lie."""
        return self._directory(upload.id) / "data"

    @contextmanager
    def receiving(self, id_: str, offset: int, *, announced: int | None) -> Iterator["Receiver"]:
        """Take an upload for writing from `offset` on; raise UploadError where that is not where it stands.

        `announced` is how many bytes are to come, None where the sender does not say.
        """
        upload = self.get(id_)
        if upload.state is not UploadState.RECEIVING:
            raise UploadError(422, f"the upload is {upload.state}; begin another")
        if id_ in self._taken:
            raise UploadError(409, "somebody else writes to this upload now; ask for its offset and wait")
        if offset != upload.offset:
            raise UploadError(409, f"the upload stands at {upload.offset}, not at {offset}; go on from there")
        if announced is not None and offset + announced > upload.length:
            raise UploadError(400, f"{offset + announced} bytes are more than the {upload.length} that were announced")
        self._taken.add(id_)
        try:
            with _refused_as(self._root.parent):
                opened = FileIO(self.data(upload), "ab")
            with opened as file:
                yield Receiver(file, upload.length - offset, self._root.parent)
        finally:
            self._taken.discard(id_)

    def move(self, upload: Upload, state: UploadState, **more: Any) -> Upload:
        """Put a new state on record; what ended gives its bytes back."""
        moved = replace(upload, state=state, **more)
        with _refused_as(self._root.parent):
            self._write(moved)
            if state in (UploadState.DONE, UploadState.FAILED):
                self.data(upload).unlink(missing_ok=True)
        return moved

    def remove(self, id_: str) -> None:
        """Forget an upload and its bytes; raise UploadError while it is written to or imported."""
        upload = self.get(id_)
        if id_ in self._taken or upload.state is UploadState.IMPORTING:
            raise UploadError(409, "the upload is in use; wait for its end")
        shutil.rmtree(self._directory(id_), ignore_errors=True)

    def _directory(self, id_: str) -> Path:
        return self._root / id_

    def _read(self, id_: str) -> Upload | None:
        try:
            told = json.loads((self._directory(id_) / "upload.json").read_text())
            upload = Upload(**told | {"kind": UploadKind(told["kind"]), "state": UploadState(told["state"])})
            offset = self.data(upload).stat().st_size if upload.state is UploadState.RECEIVING else upload.length
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return replace(upload, offset=offset)

    def _write(self, upload: Upload) -> None:
        path = self._directory(upload.id) / "upload.json"
        fresh = path.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump(asdict(upload), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)


@dataclass(slots=True)
class Receiver:
    """The open end of an upload. Blocks: call it off the loop."""

    file: FileIO
    room: int
    content: Path

    def take(self, chunk: bytes) -> None:
        """Write the next bytes; raise UploadError where there are more than were announced, or no room on disk."""
        if len(chunk) > self.room:
            raise UploadError(400, "more bytes came than were announced; what was announced is kept")
        view = memoryview(chunk)
        with _refused_as(self.content):
            while view:
                view = view[self.file.write(view) :]
        self.room -= len(chunk)

    def sync(self) -> None:
        """Have on disk what was written: it is about to be acknowledged."""
        with _refused_as(self.content):
            os.fsync(self.file.fileno())


@contextmanager
def _refused_as(directory: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into UploadError: 507 for a full disk, 503 for a read-only one."""
    try:
        with told_as(directory):
            yield
    except UploadError:
        raise
    except ContentError as error:
        cause = error.__cause__
        raise UploadError(http_status(cause), str(error)) from cause


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _kind(asked: dict[str, Any]) -> UploadKind:
    try:
        return UploadKind(asked.get("kind", ""))
    except ValueError:
        raise UploadError(400, f"kind is one of {', '.join(UploadKind)}") from None


def _name(asked: dict[str, Any]) -> str | None:
    name = asked.get("name")
    try:
        return None if name is None else checked_name(str(name))
    except ContentError as error:
        raise UploadError(400, str(error)) from None


def _length(asked: dict[str, Any]) -> int:
    length = asked.get("length")
    if not isinstance(length, int) or isinstance(length, bool) or not 0 < length <= LONGEST_BYTES:
        raise UploadError(400, "length is the file's size in bytes")
    return length
