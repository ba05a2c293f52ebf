"""Copies the blobs of an image into staging, and verifies each copy: only verified bytes are unpacked or kept.

The kernel copies (`copy_file_range`: on XFS and Btrfs the blob shares its blocks with the archive), and the copy is
read once for its SHA-256. A thread copies the next blob while the one before is unpacked.
"""

import errno
import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from netboot.content.images.image_store import ImageStore
from netboot.content.oci.bundle import Part
from netboot.content.oci.image import ImageDocument, Layer
from netboot.errors import ContentError

_PIECE_BYTES: Final = 4 << 20
_NOT_SUPPORTED: Final = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)


class ImageBlobs:
    """The blobs of the images that are imported; a context manager that ends its thread."""

    def __init__(self, directory: Path, store: ImageStore, *, check_reserve: Callable[[], None]) -> None:
        self._directory = directory
        self._store = store
        self._check_reserve = check_reserve
        self._thread = ThreadPoolExecutor(1)
        self._is_ended = threading.Event()
        self._layers: dict[str, Future[Part]] = {}
        self._staged: dict[str, Path] = {}
        directory.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._is_ended.set()
        self._thread.shutdown(cancel_futures=True)

    def add(self, blob: ImageDocument) -> None:
        """Stage a manifest, index or configuration."""
        if blob.digest not in self._staged and not self._store.has_sound_blob(blob.digest, len(blob.data)):
            path = self._directory / blob.digest.partition(":")[2]
            path.write_bytes(blob.data)
            self._staged[blob.digest] = path

    def request(self, layer: Layer, fault: str) -> None:
        """Begin to stage a layer; `fault` is the message if its bytes have another digest than its own."""
        assert layer.digest is not None
        if layer.digest not in self._layers:
            self._layers[layer.digest] = self._thread.submit(self._stage, layer.part, layer.digest, fault)

    def layer(self, digest: str) -> Part:
        """Wait for a layer; raise ContentError if it is damaged."""
        return self._layers[digest].result()

    def put(self) -> None:
        """Move all verified blobs to their place."""
        for staged in self._layers.values():
            staged.result()
        for digest, path in self._staged.items():
            self._store.put_blob(path, digest)

    def _stage(self, part: Part, digest: str, fault: str) -> Part:
        path = self._directory / digest.partition(":")[2]
        found = hashlib.sha256()
        is_stored = self._store.has_sound_blob(digest, part.size_bytes)
        if is_stored:
            for chunk in part.chunks():
                self._continue()
                found.update(chunk)
        else:
            self._copy(part, path, found)
        if f"sha256:{found.hexdigest()}" != digest:
            raise ContentError(fault.format(found=f"sha256:{found.hexdigest()}"))
        if is_stored:
            return Part.whole(self._store.blob_path(digest))
        self._staged[digest] = path
        return Part.whole(path)

    def _copy(self, part: Part, path: Path, found: "hashlib._Hash") -> None:
        """Copy a part in pieces, and hash what was written."""
        with part.path.open("rb", buffering=0) as source, path.open("x+b", buffering=0) as copy:
            done = 0
            while done < part.size_bytes:
                self._continue()
                count = _copied(
                    source.fileno(), copy.fileno(), part.offset + done, min(_PIECE_BYTES, part.size_bytes - done)
                )
                piece = os.pread(copy.fileno(), count, done) if count else b""
                if not piece:
                    raise ContentError(f"{part.path} became shorter while it was read; import it when it is complete")
                found.update(piece)
                done += len(piece)

    def _continue(self) -> None:
        if self._is_ended.is_set():
            raise ContentError("the import has ended")
        self._check_reserve()


def _copied(source: int, copy: int, offset: int, count: int) -> int:
    """Append bytes of a file at `offset` to a copy; return their number, 0 at the end of the file."""
    try:
        return os.copy_file_range(source, copy, count, offset)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
    data = os.pread(source, count, offset)
    view = memoryview(data)
    while view:
        view = view[os.write(copy, view) :]
    return len(data)
