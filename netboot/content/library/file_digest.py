"""The SHA-256 of a whole file whose pieces are read for another purpose, mostly in order."""

import hashlib
from pathlib import Path
from typing import Final

from netboot.content.library.disk import cannot_read

_CHUNK_BYTES: Final = 1 << 20
_SMALL_GAP_BYTES: Final = 1 << 20  # headers and small members between two pieces


class FileDigest:
    """Hashes the pieces of one file; `finish` reads those that did not come in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._at = 0

    def update(self, offset: int, chunk: bytes) -> None:
        """Hash a piece; one behind more than a small gap is left to `finish`."""
        if self._at < offset <= self._at + _SMALL_GAP_BYTES:
            self._read_until(offset)
        if offset == self._at:
            self._digest.update(chunk)
            self._at += len(chunk)

    def finish(self) -> str:
        """Read the rest of the file and return `sha256:…`; raise ContentError if it cannot be read."""
        self._read_until(None)
        return f"sha256:{self._digest.hexdigest()}"

    def _read_until(self, end: int | None) -> None:
        try:
            with self._path.open("rb", buffering=0) as file:
                file.seek(self._at)
                while chunk := file.read(_CHUNK_BYTES if end is None else min(_CHUNK_BYTES, end - self._at)):
                    self._digest.update(chunk)
                    self._at += len(chunk)
        except OSError as error:
            raise cannot_read(self._path, error) from error
