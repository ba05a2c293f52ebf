"""One TCP connection of a simulated machine: requests out, heads and bodies in. Every wait is bounded."""

import asyncio
import re
from collections.abc import Callable
from typing import Final

from netboot.probe.http.agents import HttpAgent
from netboot.probe.http.response_head import LARGEST_HEAD_BYTES, MalformedHeadError, ResponseHead, parse_head

CONNECT_TIMEOUT_S: Final = 10.0
_READ_BYTES: Final = 64 << 10
_LONGEST_PAUSE_S: Final = 1.0
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")  # int() takes a sign: a negative size never ends
_MOST_TRAILERS: Final = 64


class ConnectionFailedError(Exception):
    """The connection was refused, closed too early, or idle for too long; the text is the reason."""


class HttpConnection:
    """A connection to one server, for one request after the other."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, agent: HttpAgent, bytes_per_s: float | None
    ) -> None:
        self._reader, self._writer, self._agent = reader, writer, agent
        self._bytes_per_s = bytes_per_s
        self.requests = 0

    @classmethod
    async def open(
        cls, server: tuple[str, int], agent: HttpAgent, *, source: str | None, bytes_per_s: float | None
    ) -> "HttpConnection":
        """Connect from the machine's address."""
        local = None if source is None else (source, 0)
        connecting = asyncio.open_connection(*server, local_addr=local, limit=_READ_BYTES)
        try:
            reader, writer = await asyncio.wait_for(connecting, CONNECT_TIMEOUT_S)
        except TimeoutError:
            raise ConnectionFailedError(f"no TCP connection in {CONNECT_TIMEOUT_S:.0f} s") from None
        except OSError as error:
            raise ConnectionFailedError(f"no TCP connection: {error.strerror or error}") from None
        except ValueError:  # IDNA does not encode the name
            raise ConnectionFailedError("no TCP connection: the name of the server is none") from None
        return cls(reader, writer, agent, bytes_per_s)

    @property
    def is_usable(self) -> bool:
        """False once the server closed it."""
        return not self._reader.at_eof() and not self._writer.is_closing()

    async def request(self, request: bytes) -> ResponseHead:
        """Send a request and read the head of its response."""
        self.requests += 1
        try:
            self._writer.write(request)
            await asyncio.wait_for(self._writer.drain(), self._agent.idle_s)
            head = await asyncio.wait_for(self._read_head(), self._agent.idle_s)
        except TimeoutError:
            raise ConnectionFailedError(f"no response in {self._agent.idle_s:.0f} s") from None
        except OSError as error:
            raise ConnectionFailedError(f"the connection broke: {error.strerror or error}") from None
        return parse_head(head, self._agent)

    async def read_body(self, head: ResponseHead, write: Callable[[bytes], object]) -> None:
        """Read the body by its framing: chunks, its length, or until the server closes."""
        if head.is_chunked:
            while size := await self._chunk_size():
                await self._read_exactly(size, write)
                await self._line()
            await self._skip_trailers()
        elif head.length is not None:
            await self._read_exactly(head.length, write)
        else:
            while data := await self._some(_READ_BYTES):
                write(data)

    def close(self) -> None:
        """Close the connection at once."""
        self._writer.close()

    async def _read_head(self) -> bytes:
        head = b""
        while not head.endswith((b"\r\n\r\n", b"\n\n")):
            try:
                line = await self._reader.readline()
            except ValueError:
                raise MalformedHeadError("a line of the head is too long") from None
            if not line.endswith(b"\n"):
                raise ConnectionFailedError(f"the server closed the connection after {len(head)} bytes of a head")
            head += line
            if len(head) > LARGEST_HEAD_BYTES:
                raise MalformedHeadError(f"the head is longer than {LARGEST_HEAD_BYTES >> 10} kB")
        return head

    async def _line(self) -> bytes:
        try:
            return (await asyncio.wait_for(self._reader.readline(), self._agent.idle_s)).rstrip(b"\r\n")
        except (TimeoutError, OSError, ValueError) as error:
            raise ConnectionFailedError(f"a chunk broke off: {error!r}") from None

    async def _skip_trailers(self) -> None:
        for _ in range(_MOST_TRAILERS):
            if not await self._line():
                return
        raise ConnectionFailedError(f"more than {_MOST_TRAILERS} fields follow the chunks")

    async def _chunk_size(self) -> int:
        size = (await self._line()).partition(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(size):
            raise ConnectionFailedError("a chunk has no size")
        return int(size, 16)

    async def _read_exactly(self, size_bytes: int, write: Callable[[bytes], object]) -> None:
        missing = size_bytes
        while missing:
            data = await self._some(min(missing, _READ_BYTES))
            if not data:
                raise ConnectionFailedError(
                    f"the server closed the connection after {size_bytes - missing} of {size_bytes} bytes"
                )
            missing -= len(data)
            write(data)

    async def _some(self, most_bytes: int) -> bytes:
        if self._bytes_per_s:
            most_bytes = min(most_bytes, max(1, int(self._bytes_per_s * _LONGEST_PAUSE_S)))
        try:
            data = await asyncio.wait_for(self._reader.read(most_bytes), self._agent.idle_s)
        except TimeoutError:
            raise ConnectionFailedError(f"no further byte in {self._agent.idle_s:.0f} s") from None
        except OSError as error:
            raise ConnectionFailedError(f"the connection broke: {error.strerror or error}") from None
        if self._bytes_per_s:
            await asyncio.sleep(min(len(data) / self._bytes_per_s, _LONGEST_PAUSE_S))
        return data
