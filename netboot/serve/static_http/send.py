"""The bytes of a served file: small ones in memory, large ones by sendfile, no faster than a machine's rate.

A connection with TLS has no sendfile: its bytes are read and written, piece by piece.

Every operation that may wait for a disk runs in a thread.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from io import FileIO
from typing import Final

from netboot.content.serving.bodies import SMALL_BODY_BYTES, open_file, read_cached
from netboot.content.serving.served_file import ServedFile, etag_of
from netboot.errors import DescriptorsError
from netboot.serve.net.descriptors import DescriptorUser, is_scarce, may_use
from netboot.serve.static_http.conditional import FileAnswer, refusal
from netboot.serve.static_http.shares import Shares

SLICE_BYTES: Final = 8 * 1024 * 1024
SLICE_TIMEOUT_S: Final = 120.0  # a reader slower than 70 kB/s is disconnected or hangs; other machines need its slot
FIRST_PIECE_BYTES: Final = 64 * 1024  # sent together with the head of a large file
PIECE_BYTES: Final = 256 * 1024  # copied at once: more does not fit into the processor's cache and delays an offer
_RETRY: Final = ("Retry-After", "5")
NO_DESCRIPTOR: Final = refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too few descriptors are left; retry", _RETRY)
TLS_PIECE_BYTES: Final = 64 * 1024  # encrypted at once


@dataclass(slots=True)
class SentCount:
    """How many bytes of an answer were sent until now."""

    bytes: int = 0


def is_large(file: ServedFile) -> bool:
    """Return whether a file is copied by the kernel rather than held in memory."""
    return file.body is None and file.size_bytes > SMALL_BODY_BYTES


class LargeFiles:
    """The large files that are open, by machine: one of each while descriptors are scarce."""

    def __init__(self) -> None:
        self._of_machine = Counter[str]()

    @asynccontextmanager
    async def opened(self, file: ServedFile, answer: FileAnswer, machine: str) -> AsyncIterator[tuple[FileIO, bytes]]:
        """Open a file, and read the bytes to send with the head.

        Raise FileChangedError, DescriptorsError, another ContentError, or OSError.
        """
        self._of_machine[machine] += 1
        try:
            opened, first = await asyncio.to_thread(_open, file, answer, is_first=self._of_machine[machine] == 1)
            with opened:
                yield opened, first
        finally:
            self._of_machine[machine] -= 1
            if not self._of_machine[machine]:
                del self._of_machine[machine]


def _open(file: ServedFile, answer: FileAnswer, *, is_first: bool) -> tuple[FileIO, bytes]:
    opened = FileIO(open_file(file), "rb")
    number = opened.fileno()
    try:
        if not may_use(number, DescriptorUser.LARGE_FILE) or (is_scarce(number) and not is_first):
            raise DescriptorsError
        return opened, os.pread(number, min(answer.length, FIRST_PIECE_BYTES), answer.start)
    except (DescriptorsError, OSError):
        opened.close()
        raise


async def copy_rest(
    transport: asyncio.Transport,
    opened: FileIO,
    answer: FileAnswer,
    *,
    count: SentCount,
    drained: Callable[[], Awaitable[None]],
    machine: str = "",
    shares: Shares | None = None,
) -> int:
    """Send an answer's bytes after those in `count`, no faster than the machine's rate, and count them.

    `drained` waits until the kernel has accepted what was written, as far as the transport shows it.
    Returns the number of all sent bytes. They are fewer than the answer's length if the reader disconnected or hangs,
    or the file was overwritten. Then the caller aborts the connection, so that the reader detects it.
    """
    as_opened = etag_of(os.fstat(opened.fileno()))
    is_tls = transport.get_extra_info("sslcontext") is not None
    slice_bytes = shares.slice_bytes(SLICE_BYTES) if shares else SLICE_BYTES
    try:
        while count.bytes < answer.length and etag_of(os.fstat(opened.fileno())) == as_opened:
            wanted = min(slice_bytes, answer.length - count.bytes)
            if shares is not None:
                await asyncio.sleep(shares.charge(machine, wanted, time.monotonic()))
            async with asyncio.timeout(SLICE_TIMEOUT_S):
                end = count.bytes + wanted
                if is_tls:
                    send = _write_slice(transport, opened, answer.start, count=count, end=end, drained=drained)
                else:
                    send = _copy_slice(transport, opened, answer.start, count=count, end=end)
                is_complete = await send
            if not is_complete:
                break
    except (OSError, RuntimeError, TimeoutError):  # RuntimeError: the transport closes already
        pass
    return count.bytes


async def _copy_slice(transport: asyncio.Transport, opened: FileIO, start: int, *, count: SentCount, end: int) -> bool:
    """Copy piece by piece up to `end`, with other tasks in between; return False if the file ends before.

    `start` is the position of the answer's first byte. If the reader is slower, asyncio waits for it. All earlier bytes
    are sent already: if a reader disconnects while asyncio's sendfile waits for them, it makes asyncio log a fault of
    its own (CPython 3.11: two ends set one future).
    """
    while count.bytes < end:
        at, left = start + count.bytes, end - count.bytes
        piece = _copy_now(transport, opened, at, most_bytes=min(PIECE_BYTES, left))
        if piece is None:
            opened.seek(at)
            try:
                await asyncio.get_running_loop().sendfile(transport, opened, at, left, fallback=False)
            finally:  # asyncio sets the position, also if the reader disconnects
                count.bytes += opened.seek(0, os.SEEK_CUR) - at
        elif not piece:
            return False  # the file ends here
        else:
            count.bytes += piece
            await asyncio.sleep(0)
    return True


async def _write_slice(
    transport: asyncio.Transport,
    opened: FileIO,
    start: int,
    *,
    count: SentCount,
    end: int,
    drained: Callable[[], Awaitable[None]],
) -> bool:
    """Read and write piece by piece up to `end`, as `_copy_slice`; what a slow reader does not take is one piece."""
    while count.bytes < end:
        at, most_bytes = start + count.bytes, min(TLS_PIECE_BYTES, end - count.bytes)
        piece = read_cached(opened.fileno(), most_bytes, at)
        if piece is None:
            piece = await asyncio.to_thread(os.pread, opened.fileno(), most_bytes, at)
        if not piece:
            return False  # the file ends here
        if transport.is_closing():
            raise ConnectionResetError
        transport.write(piece)
        await drained()
        count.bytes += len(piece)
        await asyncio.sleep(0)
    return True


def _copy_now(transport: asyncio.Transport, opened: FileIO, start: int, *, most_bytes: int) -> int | None:
    """Copy what the socket accepts at once; None if it accepts nothing, or earlier bytes have to be sent first."""
    if transport.get_write_buffer_size():
        return None
    try:
        return os.sendfile(transport.get_extra_info("socket").fileno(), opened.fileno(), start, most_bytes)
    except BlockingIOError:
        return None
