"""One connection of a machine that fetches content: bytes in, answers out, in the order of the requests.

If the page cache has the requested file, head and body are sent at once in one write, without a task or a thread; if
the reply needs a disk or time, a task sends it. At the first well-formed request for anything else, aiohttp takes the
connection over and keeps it. If `static_http.head` refuses a request, the refusal is sent and recorded, and the
connection is closed. Never waits for a disk on the loop, never holds more than one read and one small body of a client.
RFC 9112 §9.3 (keep-alive, pipelining).
"""

import asyncio
import time
from http import HTTPStatus
from typing import Final, Protocol, assert_never

from netboot.content.serving.bodies import FileChangedError, check_unchanged
from netboot.content.serving.served_file import ServedFile
from netboot.errors import ContentError
from netboot.serve.static_http.conditional import (
    FileAnswer,
    answer_for,
    busy,
    head_of,
    head_of_whole,
    not_found,
    refusal,
    unreadable,
)
from netboot.serve.static_http.content_handler import ContentHandler
from netboot.serve.static_http.head import LONGEST_HEAD_BYTES, ContentRequest, Judgement, read_head
from netboot.serve.static_http.refused import HEAD_TIMEOUT, RefusalReason, Refused
from netboot.serve.static_http.send import SLICE_TIMEOUT_S, copy_rest, is_large, open_large, read_small
from netboot.serve.static_http.turns import ComeBackError

HEAD_TIMEOUT_S: Final = 20.0  # from the first byte of a head to its last
LINE_TIMEOUT_S: Final = 3.0  # from the first byte of a head to the end of its first line, which comes in one segment
LINGER_S: Final = 1.0  # what a refused client still sends is read so long: a reset would take the answer from it
IDLE_TIMEOUT_S: Final = 75.0  # between two requests
_REQUESTS_PER_TURN: Final = 16  # a client that pipelines hundreds must not hold up an offer


class ConnectionOwner(Protocol):
    """Who holds the connections: `engine.ContentEngine`."""

    handler: ContentHandler

    def admits(self, machine: str, transport: asyncio.Transport) -> bool:
        """Return whether a machine may have one more connection."""
        ...

    def opened(self, connection: "ContentConnection") -> None:
        """Take a connection in."""

    def closed(self, connection: "ContentConnection") -> None:
        """Forget a connection: it ended, or went to aiohttp."""

    def start(self, task: asyncio.Task[None]) -> None:
        """Hold an answer that takes its time."""

    def other_protocol(self) -> asyncio.Protocol:
        """Make the protocol that takes over connections with any other request."""
        ...


class _Lingering(asyncio.Protocol):
    """A connection that was refused: nothing it sends is kept, and it is closed when its client closes, or soon."""

    def __init__(self, transport: asyncio.Transport) -> None:
        transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_S, transport.abort)


class ContentConnection(asyncio.Protocol):
    """One connection: one request after the other, in the order in which they came."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._handler = owner.handler
        self._transport: asyncio.Transport
        self._remote = ""
        self._buffer = b""
        self._is_busy = False  # a task answers, or the next turn of the loop will
        self._is_resting = False  # the machine has had its rate
        self._is_blocked = False  # the reader does not take what was written
        self._is_held_back = False  # we do not read: it pipelines more than it reads
        self._is_ending = False  # the answer under way is the last
        self._is_handed_over = False  # aiohttp has it
        self._peer_is_done = False  # it sends nothing more, but may still read
        self._unblocked: asyncio.Future[None] | None = None
        self._since = 0.0  # monotonic: when the head under way began, or the last answer left

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; asyncio has set TCP_NODELAY."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # blocked is whatever the kernel does not take
        peer = transport.get_extra_info("peername")
        self._remote = peer[0] if peer else ""
        self._since = time.monotonic()
        self._owner.opened(self)
        if not self._owner.admits(self._remote, transport):
            self._handler.record_refused(self._remote, RefusalReason.CONNECTIONS)
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End; a task that still sends finds the transport closed."""
        self._wake()
        self._owner.closed(self)

    def data_received(self, data: bytes) -> None:
        """Take what came and answer what is whole."""
        if not self._buffer and not self._is_busy:
            self._since = time.monotonic()
        self._buffer += data
        self._work()

    def eof_received(self) -> bool:
        """Answer what was requested before closing: `printf … | nc -N` is a client too."""
        self._peer_is_done = True
        return self._has_to_wait()

    def pause_writing(self) -> None:
        """Stop answering: the reader is slower than the disk."""
        self._is_blocked = True

    def resume_writing(self) -> None:
        """Go on answering."""
        self._is_blocked = False
        self._since = time.monotonic()
        self._wake()
        self._work()

    def close_if_overdue(self, now: float) -> None:
        """Let go of a reader that stands still, a head that does not end, a connection that nobody uses."""
        if self._is_busy or self._is_resting:
            return  # the task has timeouts of its own
        waited_s = now - self._since
        if self._is_blocked or self._transport.is_closing():
            if waited_s > SLICE_TIMEOUT_S:
                self._transport.abort()
        elif self._buffer:
            if waited_s > (HEAD_TIMEOUT_S if b"\n" in self._buffer else LINE_TIMEOUT_S):
                self._refuse(HEAD_TIMEOUT)
        elif waited_s > IDLE_TIMEOUT_S:
            self._transport.close()

    def close_when_idle(self) -> None:
        """Close after the answer under way, or now."""
        self._is_ending = True
        if not self._is_busy:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _work(self) -> None:
        """Answer the whole requests in the buffer, some in each turn, as long as nothing has to be waited for."""
        for _ in range(_REQUESTS_PER_TURN):
            if not self._take_one():
                break
        else:
            self._go_on_next_turn()
        if self._peer_is_done and not self._has_to_wait():
            self._transport.close()
        self._read_on_or_hold_back()

    def _read_on_or_hold_back(self) -> None:
        """Read nothing more of a client that pipelines while it has to wait; once handed over, reading is aiohttp's."""
        if self._is_handed_over:
            return
        if self._has_to_wait() and len(self._buffer) > LONGEST_HEAD_BYTES:
            self._transport.pause_reading()
            self._is_held_back = True
        elif self._is_held_back:
            self._transport.resume_reading()
            self._is_held_back = False

    def _take_one(self) -> bool:
        """Act on the head at the beginning of the buffer; False where there is nothing more to do now."""
        if not self._buffer or self._has_to_wait() or self._transport.is_closing():
            return False
        match read_head(self._buffer):
            case ContentRequest() as request:
                self._buffer = self._buffer[request.length :]
                self._is_ending = self._is_ending or request.is_last
                self._answer(request)
                return True
            case Judgement.INCOMPLETE:
                return False
            case Judgement.OTHER:
                self._hand_over()
            case Refused() as refused:
                self._refuse(refused)
            case unexpected:
                assert_never(unexpected)
        return False

    def _has_to_wait(self) -> bool:
        return self._is_busy or self._is_blocked or self._is_resting

    def _go_on_next_turn(self) -> None:
        self._is_busy = True
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_busy = False
        if not self._transport.is_closing():
            self._work()

    def _answer(self, request: ContentRequest) -> None:
        """Answer from memory and page cache, or leave it to a task."""
        file = self._handler.content.find(request.path)
        if file is None or (request.is_get and is_large(file)):
            self._answer_by_task(request, file)
            return
        if request.is_plain:
            self._answer_whole(request, file)
            return
        answer = answer_for(file, request.method, request.fields.get)
        body: bytes | None
        try:
            if request.is_get and answer.length:
                body = self._handler.bodies.read_now(file)
            else:
                check_unchanged(file)
                body = answer.text
        except ContentError:  # the task finds the file again, or logs the error
            body = None
        if body is None:
            self._answer_by_task(request, file)
        else:
            self._write(request, file, answer, body=answer.piece_of(body))

    def _answer_whole(self, request: ContentRequest, file: ServedFile) -> None:
        """Send a small file as it is: each object of a pull, so nothing is made here that it does not need."""
        try:
            body = self._handler.bodies.read_now(file)
        except ContentError:
            body = None
        if body is None:
            self._answer_by_task(request, file)
            return
        self._transport.write(head_of_whole(file, int(time.time()), is_last=self._is_ending) + body)
        self._wrote(file, HTTPStatus.OK, len(body))

    def _write(self, request: ContentRequest, file: ServedFile | None, answer: FileAnswer, *, body: bytes) -> None:
        if self._transport.is_closing():
            return  # the client went away meanwhile
        head = head_of(answer, int(time.time()), is_last=self._is_ending)
        self._transport.write(head + body if request.is_get else head)
        sent = answer.length if request.is_get else 0
        self._wrote(file, answer.status, sent)

    def _wrote(self, file: ServedFile | None, status: HTTPStatus, bytes_sent: int) -> None:
        self._handler.emit(self._remote, file, status=status, bytes_sent=bytes_sent, began=self._since)
        self._since = time.monotonic()
        if self._is_ending:
            self._transport.close()
        elif self._handler.turns.has_rate and (delay_s := self._handler.turns.charge(self._remote, bytes_sent)):
            self._is_resting = True
            asyncio.get_running_loop().call_later(delay_s, self._rested)

    def _rested(self) -> None:
        self._is_resting = False
        self._since = time.monotonic()
        if not self._transport.is_closing():
            self._work()

    def _answer_by_task(self, request: ContentRequest, file: ServedFile | None) -> None:
        self._is_busy = True
        self._owner.start(asyncio.create_task(self._answer_later(request, file)))

    async def _answer_later(self, request: ContentRequest, file: ServedFile | None) -> None:
        try:
            await self._answer_waiting(request, file)
        except BaseException:  # a stop, or a fault of ours: the client must see a closed connection
            self._transport.abort()
            raise
        self._go_on()

    async def _answer_waiting(self, request: ContentRequest, file: ServedFile | None) -> None:
        """Answer what needs a disk, a directory or time."""
        try:
            try:
                await self._send(request, file or await self._handler.content.find_new(request.path))
            except FileChangedError:
                await self._send(request, await self._handler.content.find_new(request.path))
        except FileChangedError:  # it changes while it is read: it is being copied in
            await self._send(request, None)
        except ComeBackError as error:
            answer = busy(error.retry_after_s)
            self._write(request, None, answer, body=answer.text)
        except (ContentError, OSError) as error:
            self._handler.record_unreadable(request.path, error)
            answer = unreadable()
            self._write(request, None, answer, body=answer.text)

    async def _send(self, request: ContentRequest, file: ServedFile | None) -> None:
        if file is None:
            answer = not_found()
            self._write(request, None, answer, body=answer.text)
            return
        answer = answer_for(file, request.method, request.fields.get)
        if not request.is_get or not answer.length:
            check_unchanged(file)
            self._write(request, file, answer, body=answer.text)
        elif is_large(file):
            async with self._handler.turns.turn(self._remote, request.fields.get("user-agent", "")):
                if not self._transport.is_closing():  # it may have gone while it waited
                    await self._send_large(file, answer)
        else:
            body = await read_small(file, self._handler.bodies)
            self._write(request, file, answer, body=answer.piece_of(body))

    async def _send_large(self, file: ServedFile, answer: FileAnswer) -> None:
        opened, first = await open_large(file, answer)
        with opened:
            self._transport.write(head_of(answer, int(time.time()), is_last=self._is_ending) + first)
            await self._drained()
            sent = await copy_rest(
                self._transport, opened, answer, sent=len(first), machine=self._remote, turns=self._handler.turns
            )
        self._handler.emit(self._remote, file, status=answer.status, bytes_sent=sent, began=self._since)
        self._since = time.monotonic()
        if sent < answer.length:
            self._transport.abort()
        elif self._is_ending:
            self._transport.close()

    async def _drained(self) -> None:
        """Wait until the kernel has what was written, for as long as a reader may stand still."""
        if self._is_blocked:
            self._unblocked = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._unblocked], timeout=SLICE_TIMEOUT_S)

    def _wake(self) -> None:
        if self._unblocked is not None and not self._unblocked.done():
            self._unblocked.set_result(None)

    def _refuse(self, refused: Refused) -> None:
        """Answer, say that nothing more is answered, and close when the client has read it."""
        if refused.status is HTTPStatus.BAD_REQUEST:
            self._handler.counters.request_malformed()
        self._handler.record_refused(self._remote, refused.reason)
        answer = refusal(refused.status, refused.text)
        self._transport.write(head_of(answer, int(time.time()), is_last=True) + answer.text)
        self._owner.closed(self)
        self._is_handed_over = True
        self._transport.set_protocol(_Lingering(self._transport))

    def _hand_over(self) -> None:
        """Give the connection, with what was read of it, to aiohttp for good."""
        self._owner.closed(self)
        self._is_handed_over = True
        self._transport.resume_reading()
        other = self._owner.other_protocol()
        self._transport.set_protocol(other)
        other.connection_made(self._transport)
        other.data_received(self._buffer)
        if self._peer_is_done:
            self._peer_is_done = False
            other.eof_received()
