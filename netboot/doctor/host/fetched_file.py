"""Requests one static file by HTTP as a machine does: HEAD, then GET on the same connection. Blocks.

Counts and hashes the bytes as they come, so a file of any size takes no memory. Follows no redirect and uses no proxy,
as iPXE, GRUB and EDK2.
"""

import hashlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Timer
from typing import Final
from urllib.parse import urlsplit

_TIMEOUT_S: Final = 10.0  # without a byte
_LONGEST_S: Final = 600.0  # for a whole file
_LONGEST_HEAD_S: Final = 30.0  # for the head of an answer: a server may send one byte after the other
_PIECE_BYTES: Final = 1 << 20
_KEPT_BYTES: Final = 1 << 16  # of the body: a ref, a .treeinfo


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """What a server sent. `status` is 0 if it did not answer; `error`: why the answer is not whole."""

    url: str
    status: int = 0
    stated_bytes: int | None = None  # Content-Length of the HEAD request
    size_bytes: int = 0
    sha256: str = ""
    head: bytes = b""
    error: str = ""

    @property
    def is_whole(self) -> bool:
        return self.status == 200 and not self.error and self.stated_bytes == self.size_bytes

    @property
    def fault(self) -> str | None:
        """Return what is wrong with the answer itself; None: nothing."""
        if self.error:
            return f"no answer: {self.error}" if not self.status else f"the answer stops: {self.error}"
        if self.status != 200:
            return f"HTTP status {self.status}"
        if self.stated_bytes is None:
            return "without Content-Length, which firmware and GRUB need"
        if self.stated_bytes != self.size_bytes:
            return f"{self.size_bytes} bytes came, and HEAD stated {self.stated_bytes}"
        return None


def fetch(
    url: str, *, timeout_s: float = _TIMEOUT_S, head_s: float = _LONGEST_HEAD_S, longest_s: float = _LONGEST_S
) -> FetchedFile:
    """Request a file; every failure is in the result."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    status = 0
    try:
        with _ended_after(connection, head_s):
            connection.request("HEAD", parts.path)
            answer = connection.getresponse()
            answer.read()
        length = answer.headers.get("Content-Length")
        if answer.status != 200:
            return FetchedFile(url, answer.status)
        with _ended_after(connection, head_s):
            connection.request("GET", parts.path)
            answer = connection.getresponse()
        status, began_s = answer.status, time.monotonic()
        digest, size_bytes, head = hashlib.sha256(), 0, b""
        while piece := answer.read1(_PIECE_BYTES):  # what has come; `read` waits for the whole piece
            digest.update(piece)
            size_bytes += len(piece)
            head += piece[: _KEPT_BYTES - len(head)]
            if time.monotonic() - began_s > longest_s:
                return FetchedFile(url, status, error=f"not sent in {longest_s:g} s")
        stated = int(length) if length is not None and length.isdecimal() else None
        return FetchedFile(url, status, stated, size_bytes, digest.hexdigest(), head)
    except (OSError, HTTPException, ValueError) as error:  # ValueError: a size or a name that is none
        return FetchedFile(url, status, error=str(error) or type(error).__name__)
    finally:
        connection.close()


@contextmanager
def _ended_after(connection: HTTPConnection, seconds: float) -> Iterator[None]:
    """Break the connection if the block takes longer, however often a byte comes."""

    def end() -> None:
        if connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
