"""The blobs of an import before it is published: each a verified file in staging, named by its digest.

A sound blob of the store is not written again, and a damaged one is replaced. What a killed import had staged is
hashed, and kept if it is whole.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.content.images.image_store import ImageStore
from netboot.content.library.disk import (
    cannot_read,
    explaining_write_errors,
    file_status,
    megabytes,
    sha256,
    sync_file_system,
    tree_size,
)
from netboot.content.library.library import Staging
from netboot.content.library.progress import Progress
from netboot.errors import ContentError
from netboot.model.image_name import is_digest

_DIRECTORY: Final = "blobs"


@dataclass(frozen=True, slots=True)
class Blob:
    digest: str
    size_bytes: int


class StagedBlobs:
    def __init__(self, staging: Staging, store: ImageStore, *, damaged: Collection[str] | None = None) -> None:
        """`damaged` are the blobs of the store that are staged again, if all were verified; None: none was yet."""
        self._staging, self._store = staging, store
        self._damaged, self._is_verified = set(damaged or ()), damaged is not None
        self._sound: set[str] = set()  # of the store: read once, also if many images have it
        self._directory = staging.make(_DIRECTORY)
        self.new_bytes = 0  # that were published

    def take_over(self, progress: Progress) -> None:
        """Take the whole blobs of killed imports."""
        before = self._staging.take_over()
        size = tree_size(*before)
        if size:
            progress.step(f"checking {megabytes(size)} of an interrupted import", size)
        for directory in before:
            for path in sorted(directory.iterdir()):
                if file_status(path) is None or not is_digest(f"sha256:{path.name}"):
                    continue
                if sha256(path, progress) == path.name:
                    path.rename(self._directory / path.name)

    def blob_size(self, digest: str) -> int | None:
        """Return the size of a blob in staging or in the store; None if it is in neither."""
        status = file_status(self._path(digest))
        if status is None and digest not in self._damaged:
            status = file_status(self._store.blob_path(digest))
        return status.st_size if status is not None else None

    def has_sound_blob(self, digest: str, size_bytes: int) -> bool:
        """Return whether a blob is in staging, or in the store and not damaged: then its source need not be read."""
        if self.blob_size(digest) != size_bytes:
            return False
        if self._is_verified or digest in self._sound or file_status(self._path(digest)) is not None:
            return True
        (self._sound if self._store.has_sound_blob(digest, size_bytes) else self._damaged).add(digest)
        return digest in self._sound

    def read_blob(self, digest: str, most_bytes: int) -> bytes:
        """Read a small blob of staging or of the store; raise ContentError if it is larger."""
        path = self._path(digest)
        if file_status(path) is None:
            return self._store.read_blob(digest, most_bytes)
        if path.stat().st_size > most_bytes:
            raise ContentError(f"{digest} is larger than {most_bytes} bytes and is no manifest")
        return path.read_bytes()

    def chunks(self, digest: str) -> Iterator[bytes]:
        """Read a blob of staging or of the store in pieces."""
        path = self._path(digest) if file_status(self._path(digest)) else self._store.blob_path(digest)
        try:
            with path.open("rb", buffering=0) as file:
                while chunk := file.read(1 << 20):
                    yield chunk
        except OSError as error:
            raise cannot_read(path, error) from error

    def put(self, pieces: Iterable[bytes], size_bytes: int, *, wanted: str = "") -> Blob:
        """Write a file of a source; raise ContentError if its digest is not `wanted`, or if it does not fit."""
        self._staging.check_space(size_bytes, "this image")
        incoming, found = self._directory / "incoming", hashlib.sha256()
        with explaining_write_errors(self._staging.library.directory), incoming.open("wb", buffering=0) as file:
            for piece in pieces:
                self._staging.check_reserve()
                found.update(piece)
                file.write(piece)
        digest = f"sha256:{found.hexdigest()}"
        if wanted and digest != wanted:
            incoming.unlink()
            raise ContentError(f"the blob {wanted} is damaged, its checksum is {digest}")
        incoming.rename(self._path(digest))
        return Blob(digest, size_bytes)

    def publish(self, digests: Iterable[str]) -> None:
        """Move blobs to the store, after all of them are on disk; a sound one of the store stays."""
        with explaining_write_errors(self._staging.library.directory):
            sync_file_system(self._directory)
        for digest in digests:
            if (staged := file_status(self._path(digest))) is not None:
                self.new_bytes += 0 if self._store.has_blob(digest) else staged.st_size
                self._store.put_blob(self._path(digest), digest)

    def repair(self, digest: str) -> bool:
        """Replace a damaged blob of the store by the staged one; return False if none is staged."""
        if file_status(self._path(digest)) is None:
            return False
        self._store.replace_blob(self._path(digest), digest)
        return True

    def _path(self, digest: str) -> Path:
        return self._directory / digest.removeprefix("sha256:")
