"""Writes the file objects of a release in threads: hashes each, verifies its name, links or deflates it.

The calling thread reads the layers and gives an object with its content; small ones in batches, large ones in pieces,
so that at most some 64 MB wait. hashlib and ISA-L release the interpreter's lock. An object that another release has is
linked if its content is equal; equal names alone are not trusted: the other file may be damaged.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from netboot.content.imports.ostree_image.file_object import FileObject
from netboot.content.library.disk import file_status
from netboot.content.ostree.object_check import check_object
from netboot.content.tar_stream import ByteStream
from netboot.content.unpacking import INFLATE_ERROR, fast_zlib
from netboot.errors import ContentError

_MOST_THREADS: Final = 16
_LARGE_BYTES: Final = 1 << 20  # given in pieces
_BATCH_BYTES: Final = 1 << 18
_BATCH_OBJECTS: Final = 64
_WAITING_BYTES: Final = 64 << 20
_PIPE_PIECES: Final = 8
_POLL_S: Final = 0.5
_MOST_OVERHEAD_BYTES: Final = 1 << 16  # by which deflate may enlarge a batch's object
_LEVEL: Final = 1  # measured: docs/performance.md, Import of an image
_MODE: Final = 0o644
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class FileObjectWriter:
    """The file objects below one staging directory; a context manager that ends its threads."""

    def __init__(self, root: Path, donors: Sequence[Path], *, check_reserve: Callable[[], None]) -> None:
        """Write below `root`; `donors` are releases whose equal objects are linked.

        `check_reserve` is called before each write, and raises if the disk is almost full.
        """
        self._root = os.fspath(root)
        self._donors = [os.fspath(donor) for donor in donors]
        self._check_reserve = check_reserve
        self._threads = ThreadPoolExecutor(min(len(os.sched_getaffinity(0)), _MOST_THREADS))
        self._lock = threading.Condition()
        self._waiting_bytes = 0
        self._faults: list[tuple[int, BaseException]] = []
        self._count = 0
        self._batch: list[tuple[FileObject, bytes]] = []
        self._batch_bytes = 0
        self._made: set[str] = set()
        self.sizes: dict[str, int] = {}  # of each written object: `<64 hex>.filez`
        self.linked_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def put(self, found: FileObject, stream: ByteStream) -> None:
        """Take an object, and its content from the stream; raise the fault of an object that was given before."""
        self._make_directory(found.member)
        if found.size_bytes > _LARGE_BYTES:
            self._flush()
            self._put_large(found, stream)
            return
        self._batch.append((found, stream.take(found.size_bytes)))
        self._batch_bytes += found.size_bytes
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_OBJECTS:
            self._flush()

    def finish(self) -> None:
        """Wait until all objects are written; raise the fault of the first bad one."""
        self._flush()
        self._threads.shutdown()
        self._raise_fault()

    def _flush(self) -> None:
        batch, size = self._batch, self._batch_bytes
        self._batch, self._batch_bytes = [], 0
        if batch:
            self._submit(size, self._write_batch, batch)
        self._raise_fault()

    def _put_large(self, found: FileObject, stream: ByteStream) -> None:
        pipe = _Pipe()
        self._submit(0, self._write_large, found, pipe)
        try:
            for piece in stream.pieces(found.size_bytes):
                pipe.put(piece)
        except BaseException:
            pipe.end(is_whole=False)
            raise
        pipe.end(is_whole=True)
        self._raise_fault()

    def _submit(self, size_bytes: int, work: Callable[..., None], *arguments: Any) -> None:
        with self._lock:
            self._lock.wait_for(lambda: not self._waiting_bytes or self._waiting_bytes + size_bytes <= _WAITING_BYTES)
            self._waiting_bytes += size_bytes
        self._count += 1
        number = self._count

        def done(future: Future[None]) -> None:
            with self._lock:
                self._waiting_bytes -= size_bytes
                if not future.cancelled() and (fault := future.exception()) is not None:
                    self._faults.append((number, fault))
                self._lock.notify_all()

        self._threads.submit(work, *arguments).add_done_callback(done)

    def _raise_fault(self) -> None:
        if self._faults:
            self._threads.shutdown(cancel_futures=True)
            raise min(self._faults, key=lambda each: each[0])[1]

    def _make_directory(self, member: str) -> None:
        directory = member[:10]  # objects/ab
        if directory not in self._made:
            Path(self._root, directory).mkdir(parents=True, exist_ok=True)
            self._made.add(directory)

    def _write_batch(self, batch: Sequence[tuple[FileObject, bytes]]) -> None:
        for found, content in batch:
            if self._faults:
                return
            digest = hashlib.sha256(_hashed_header(found))
            digest.update(content)
            _check_name(found, digest.hexdigest())
            header = found.stored_header()
            if not self._link(found, partial(_is_equal, found, header, content)):
                data = b"" if found.is_link else _deflated(content)
                with suppress(FileExistsError):  # another layer has it too: its content is the same
                    self._write_new(f"{self._root}/{found.member}", [header + data])
                    self._done(found, len(header) + len(data))

    def _write_large(self, found: FileObject, pipe: "_Pipe") -> None:
        """Hash and deflate the pieces as they arrive; a name that differs removes the file."""
        try:
            if self._is_written(found) or self._link(found, partial(_is_sound, found)):
                _check_large(found, pipe.pieces())
                return
            path = f"{self._root}/{found.member}.new"
            pack = fast_zlib.compressobj(_LEVEL, fast_zlib.DEFLATED, -fast_zlib.MAX_WBITS)
            digest = hashlib.sha256(_hashed_header(found))

            def packed() -> Iterator[bytes]:
                yield found.stored_header()
                for piece in pipe.pieces():
                    digest.update(piece)
                    if data := pack.compress(piece):
                        yield data
                yield pack.flush()

            try:
                size = self._write_new(path, packed())
            except FileExistsError:  # another layer has it too, and it is being written
                _check_large(found, pipe.pieces())
                return
            _check_name(found, digest.hexdigest())
            Path(path).rename(f"{self._root}/{found.member}")
            self._done(found, size)
        except _CutOffError:
            return  # the reader raises why
        finally:
            pipe.abandon()

    def _is_written(self, found: FileObject) -> bool:
        return f"{found.checksum}.filez" in self.sizes

    def _link(self, found: FileObject, is_equal: Callable[[str], bool]) -> bool:
        """Link an equal object of a donor; False if there is none."""
        for donor in self._donors:
            existing = f"{donor}/{found.member}"
            with suppress(OSError):  # unreadable, too many links, or linking is not permitted
                status = file_status(existing)
                if status is not None and status.st_mode & _MODE == _MODE and is_equal(existing):
                    try:
                        os.link(existing, f"{self._root}/{found.member}")
                    except FileExistsError:
                        return True
                    self._done(found, status.st_size, is_linked=True)
                    return True
        return False

    def _write_new(self, path: str, pieces: Iterable[bytes]) -> int:
        descriptor = os.open(path, _NEW, _MODE)
        size = 0
        try:
            for piece in pieces:
                self._check_reserve()
                size += len(piece)
                while piece:
                    piece = piece[os.write(descriptor, piece) :]
            os.fchmod(descriptor, _MODE)
        finally:
            os.close(descriptor)
        return size

    def _done(self, found: FileObject, size_bytes: int, *, is_linked: bool = False) -> None:
        with self._lock:
            self.sizes[f"{found.checksum}.filez"] = size_bytes
            self.linked_bytes += size_bytes if is_linked else 0


class _CutOffError(Exception):
    """The reader failed before the end of a large object."""


@dataclass(slots=True)
class _Pipe:
    """The pieces of one large object, from the reader to the thread that writes it."""

    _queue: queue.Queue[bytes | bool] = field(default_factory=lambda: queue.Queue(_PIPE_PIECES))
    _is_abandoned: threading.Event = field(default_factory=threading.Event)

    def put(self, piece: bytes | bool) -> None:
        """Give a piece; it is discarded if nobody reads any more."""
        while not self._is_abandoned.is_set():
            with suppress(queue.Full):
                self._queue.put(piece, timeout=_POLL_S)
                return

    def end(self, *, is_whole: bool) -> None:
        self.put(is_whole)

    def pieces(self) -> Iterator[bytes]:
        """Yield the pieces; raise _CutOffError if the last did not come."""
        while not isinstance(piece := self._queue.get(), bool):
            yield piece
        if not piece:
            raise _CutOffError

    def abandon(self) -> None:
        self._is_abandoned.set()
        with suppress(queue.Empty):
            self._queue.get_nowait()


def _hashed_header(found: FileObject) -> bytes:
    try:
        return found.hashed_header()
    except ContentError as error:
        raise ContentError(f"{found.entry}: {error}") from error


def _check_large(found: FileObject, pieces: Iterable[bytes]) -> None:
    digest = hashlib.sha256(_hashed_header(found))
    for piece in pieces:
        digest.update(piece)
    _check_name(found, digest.hexdigest())


def _check_name(found: FileObject, checksum: str) -> None:
    if checksum != found.checksum:
        what = f"target {os.fsdecode(found.target)!r}" if found.is_link else f"content ({found.size_bytes} bytes)"
        raise ContentError(
            f"{found.entry}: it is not the object of its name, its checksum is {checksum}: its mode "
            f"({found.mode & 0o7777:o}), owner ({found.uid}:{found.gid}), {what} or extended attributes "
            f"({len(found.xattrs)} bytes) are not those of the commit"
        )


def _deflated(content: bytes) -> bytes:
    pack = fast_zlib.compressobj(_LEVEL, fast_zlib.DEFLATED, -fast_zlib.MAX_WBITS)
    return bytes(pack.compress(content) + pack.flush())


def _is_equal(found: FileObject, header: bytes, content: bytes, path: str) -> bool:
    """Return whether a file is this object: the same header, and data that inflates to its content."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - 50,000 times
        if file.read(len(header)) != header:
            return False
        data = file.read(len(content) + _MOST_OVERHEAD_BYTES) or b""
    if found.is_link:
        return not data
    inflate = fast_zlib.decompressobj(-fast_zlib.MAX_WBITS)
    try:
        return bool(inflate.decompress(data, len(content) + 1) == content and inflate.eof)
    except INFLATE_ERROR:
        return False


def _is_sound(found: FileObject, path: str) -> bool:
    with suppress(ContentError), open(path, "rb") as file:  # noqa: PTH123 - once for each object
        check_object(f"{found.checksum}.filez", file)
        return True
    return False
