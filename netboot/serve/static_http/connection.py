"""One connection of a machine: bytes in, answers out, in the order of the requests.

If the page cache has the requested file, head and body are sent at once in one write, without a task or a thread; if
the reply needs a disk or time, a task sends it. A request that is not below a static tree goes to aiohttp with the
connection, and aiohttp closes it after its answer. If `static_http.head` refuses a request, the refusal is sent and
recorded, and the connection is closed. Never waits for a disk on the loop, never holds more than one read and one small
body of a client.
RFC 9112 §9.3 (keep-alive, pipelining).
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, assert_never

from netboot.content.serving.bodies import FileChangedError, check_unchanged
from netboot.content.serving.served_file import ServedFile
from netboot.errors import ContentError
from netboot.model import urls
from netboot.model.boot.offer import MachineDocument
from netboot.serve.static_http.captured_requests import Ends, ends_of
from netboot.serve.static_http.conditional import NOT_FOUND, FileAnswer, answer_for, head_of, head_of_whole, refusal
from netboot.serve.static_http.connection_state import (
    HEAD_TIMEOUT_S,
    IDLE_TIMEOUT_S,
    LINE_TIMEOUT_S,
    LINGER_S,
    ConnectionState,
)
from netboot.serve.static_http.head import LONGEST_HEAD_BYTES, Judgement, StaticRequest, read_head
from netboot.serve.static_http.machine_limit import MachineLimit
from netboot.serve.static_http.refused import ANSWERS, RefusalReason
from netboot.serve.static_http.send import SLICE_TIMEOUT_S, LargeFiles, SentCount, copy_rest, is_large
from netboot.serve.static_http.shares import no_slot
from netboot.serve.static_http.static_files import StaticFiles, base_url_at

_REQUESTS_PER_TURN: Final = 16  # a client that pipelines hundreds must not delay an offer


@dataclass(slots=True, eq=False)
class OpenConnections:
    """The connections of one engine, and what they share. `documents` makes aiohttp's protocol of a connection."""

    files: StaticFiles
    documents: Callable[[], asyncio.Protocol]
    limit: MachineLimit
    is_registry_only: bool = False
    connections: set["BootConnection"] = field(default_factory=set)  # without those that aiohttp has
    tasks: set[asyncio.Task[None]] = field(default_factory=set)  # tasks that answer
    large_files: LargeFiles = field(default_factory=LargeFiles)


class BootConnection(asyncio.Protocol):
    """One connection: one request after the other, in the order in which they came."""

    def __init__(self, shared: OpenConnections) -> None:
        self._shared = shared
        self._files = shared.files
        self._transport: asyncio.Transport
        self._remote = ""
        self._ends: Ends | None = None
        self._buffer = b""
        self._is_tls = False
        self._state = ConnectionState.READING
        self._peer_is_done = False  # it sends nothing more, but may still read
        self._unblocked: asyncio.Future[None] | None = None
        self._since = 0.0  # monotonic: when the current head began, or the last answer was sent

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; asyncio has set TCP_NODELAY."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._is_tls = transport.get_extra_info("sslcontext") is not None
        # Blocked is whatever the kernel does not take; with 0 asyncio's TLS would be blocked by nothing.
        transport.set_write_buffer_limits(high=1 if self._is_tls else 0)
        transport.max_size = LONGEST_HEAD_BYTES  # type: ignore[attr-defined]  # asyncio's own: 256 KiB in one read
        peer = transport.get_extra_info("peername")
        self._remote = peer[0] if peer else ""
        self._ends = ends_of(transport) if self._files.captured is not None else None
        self._since = time.monotonic()
        self._shared.connections.add(self)
        descriptor = transport.get_extra_info("socket").fileno()
        refused = self._shared.limit.admit(self._remote, transport, descriptor=descriptor)
        if refused is not None:
            self._files.record_refused(self._remote, refused)
            self._state = ConnectionState.ENDED
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End; a task that still sends finds the transport closed."""
        self._wake()
        self._leave()

    def data_received(self, data: bytes) -> None:
        """Receive bytes and answer every complete request."""
        if not self._buffer and self._state is ConnectionState.READING:
            self._since = time.monotonic()
        self._buffer += data
        self._work()

    def eof_received(self) -> bool:
        """Answer what was requested before the client closed its side, as `printf … | nc -N` does."""
        self._peer_is_done = True
        return self._state is not ConnectionState.READING and not self._is_tls  # which cannot be closed by half

    def pause_writing(self) -> None:
        """Stop answering: the reader is slower than the disk."""
        if self._state is ConnectionState.READING:
            self._state = ConnectionState.BLOCKED

    def resume_writing(self) -> None:
        self._wake()
        if self._state is ConnectionState.BLOCKED:
            self._go_on()

    def close_if_overdue(self, now: float, *, idle_s: float = IDLE_TIMEOUT_S) -> None:
        """Close a connection whose reader does not read, whose head does not end, or which is idle."""
        waited_s = now - self._since
        match self._state:
            case ConnectionState.ANSWERING | ConnectionState.ANSWERING_LAST | ConnectionState.RESTING:
                pass  # these have timeouts of their own
            case ConnectionState.BLOCKED | ConnectionState.ENDED:
                if waited_s > SLICE_TIMEOUT_S:
                    self._transport.abort()
            case ConnectionState.READING:
                if not self._buffer:
                    if waited_s > idle_s:
                        self._end()
                elif waited_s > (HEAD_TIMEOUT_S if b"\n" in self._buffer else LINE_TIMEOUT_S):
                    self._refuse(RefusalReason.HEAD_TIMEOUT)
            case unexpected:
                assert_never(unexpected)

    def close_when_idle(self) -> None:
        """Close after the current answer, or now."""
        if self._state is ConnectionState.ANSWERING:
            self._state = ConnectionState.ANSWERING_LAST
        elif self._state not in (ConnectionState.ANSWERING_LAST, ConnectionState.ENDED):  # twice breaks asyncio's TLS
            self._end()

    def abort(self) -> None:
        self._transport.abort()

    def _work(self) -> None:
        """Answer the whole requests in the buffer, some in each turn, as long as nothing has to be waited for."""
        for _ in range(_REQUESTS_PER_TURN):
            if not self._buffer or self._state is not ConnectionState.READING or not self._take_one():
                break
        else:
            if self._state is ConnectionState.READING:
                self._state = ConnectionState.ANSWERING
                asyncio.get_running_loop().call_soon(self._go_on)
        if self._peer_is_done and self._state is ConnectionState.READING:
            self._end()
        if len(self._buffer) > LONGEST_HEAD_BYTES and self._state is not ConnectionState.READING:
            self._transport.pause_reading()  # it pipelines while it has to wait

    def _go_on(self) -> None:
        """End a wait: read on, unless what was written has not left."""
        if self._state is ConnectionState.ENDED or self._transport.is_closing():
            return
        if self._state is ConnectionState.ANSWERING_LAST:
            self._end()
            return
        self._state = ConnectionState.BLOCKED if self._transport.get_write_buffer_size() else ConnectionState.READING
        self._since = time.monotonic()
        self._transport.resume_reading()
        self._work()

    def _take_one(self) -> bool:
        """Act on the head at the beginning of the buffer; False if there is no whole one."""
        if self._transport.is_closing():
            return False
        match read_head(self._buffer):
            case StaticRequest() as request:
                self._buffer = self._buffer[request.length :]
                self._answer(request)
            case Judgement.INCOMPLETE:
                return False
            case Judgement.DOCUMENT:
                self._hand_over()
            case RefusalReason() as reason:
                self._refuse(reason)
            case unexpected:
                assert_never(unexpected)
        return True

    def _answer(self, request: StaticRequest) -> None:
        """Answer from memory and page cache, or leave it to a task."""
        self._files.record_request(request, self._ends)
        if self._shared.is_registry_only and not urls.is_of_registry(request.path):
            self._write(request, None, NOT_FOUND)
            return
        if request.method not in ("GET", "HEAD"):
            self._write(request, None, self._files.refusal_of_method(request.path))
            return
        found = self._files.find(request.path, self._remote)
        if not isinstance(found, ServedFile) or (request.is_get and is_large(found)):
            self._answer_by_task(request, found)
            return
        answer = None if request.is_plain else answer_for(found, request.method, request.fields)
        body: bytes | None
        try:
            if answer is None or (request.is_get and answer.length):
                body = self._files.bodies.read_now(found)
            else:
                check_unchanged(found)
                body = b""
        except ContentError:  # the task finds the file again, or logs the error
            body = None
        if body is None:
            self._answer_by_task(request, found)
        elif answer is None:
            self._write_whole(request, found, body)
        else:
            self._write(request, found, answer, body=answer.piece_of(body))

    def _write_whole(self, request: StaticRequest, file: ServedFile, body: bytes) -> None:
        """Send a small file. Used for each object of a pull, so it creates no object that is not needed."""
        is_last = request.is_last
        self._transport.write(head_of_whole(file, int(time.time()), is_last=is_last) + body)
        self._end_answer(request, file, status=HTTPStatus.OK, bytes_sent=len(body), is_last=is_last)

    def _write(
        self, request: StaticRequest, file: ServedFile | None, answer: FileAnswer, *, body: bytes | None = None
    ) -> None:
        """Send an answer that is whole; without `body`, its text."""
        if self._transport.is_closing():
            return  # the client closed the connection
        is_last = request.is_last or self._state is ConnectionState.ANSWERING_LAST
        head = head_of(answer, int(time.time()), is_last=is_last)
        body = answer.text if body is None else body
        self._transport.write(head if request.method == "HEAD" else head + body)
        sent = answer.length if request.is_get else 0
        self._end_answer(request, file, status=answer.status, bytes_sent=sent, is_last=is_last)

    def _end_answer(
        self, request: StaticRequest, file: ServedFile | None, *, status: HTTPStatus, bytes_sent: int, is_last: bool
    ) -> None:
        """Record an answer that was written; then close, wait for the rate, or continue."""
        self._record_answer(request, file, status=status, bytes_sent=bytes_sent)
        self._since = time.monotonic()
        if is_last:
            self._end(lingers=request.must_close)
        elif request.is_content and (delay_s := self._files.shares.charge(self._remote, bytes_sent, self._since)):
            self._state = ConnectionState.RESTING
            asyncio.get_running_loop().call_later(delay_s, self._go_on)

    def _record_answer(
        self,
        request: StaticRequest,
        file: ServedFile | None,
        *,
        status: HTTPStatus,
        bytes_sent: int,
        is_cut: bool = False,
    ) -> None:
        remote, began = self._remote, self._since
        self._files.record_answer(
            request, file, remote=remote, status=status, bytes_sent=bytes_sent, began=began, is_cut=is_cut
        )
        self._files.record_end(request, self._ends, status=status, bytes_sent=bytes_sent)

    def _answer_by_task(self, request: StaticRequest, found: ServedFile | MachineDocument | None) -> None:
        self._state = ConnectionState.ANSWERING_LAST if request.is_last else ConnectionState.ANSWERING
        task = asyncio.create_task(self._answer_later(request, found))
        self._shared.tasks.add(task)
        task.add_done_callback(self._shared.tasks.discard)

    async def _answer_later(self, request: StaticRequest, found: ServedFile | MachineDocument | None) -> None:
        try:
            if isinstance(found, MachineDocument):
                base_url = base_url_at(self._transport, self._files.advertised)
                answer = await self._files.render(found, self._remote, base_url=base_url, is_head=not request.is_get)
                self._write(request, None, answer)
            else:
                await self._send_found(request, found)
        except BaseException:  # a stop, or a fault of ours: the client must see a closed connection
            self._transport.abort()
            raise
        if self._state is ConnectionState.ANSWERING:
            self._go_on()

    async def _send_found(self, request: StaticRequest, file: ServedFile | None) -> None:
        """Answer what needs a disk, a directory or time."""
        find_new = self._files.find_new
        try:
            try:
                await self._send(request, file or await find_new(request.path))
            except FileChangedError:
                await self._send(request, await find_new(request.path))
        except FileChangedError:  # it changes while it is read: it is being copied in
            self._write(request, None, NOT_FOUND)
        except (ContentError, OSError) as error:
            self._write(request, None, self._files.record_unreadable(request.path, error))

    async def _send(self, request: StaticRequest, file: ServedFile | FileAnswer) -> None:
        if isinstance(file, FileAnswer):
            self._write(request, None, file)
            return
        answer = answer_for(file, request.method, request.fields)
        if not request.is_get or not answer.length:
            check_unchanged(file)
            self._write(request, file, answer)
        elif is_large(file):
            await self._send_large(request, file, answer)
        else:
            bodies = self._files.bodies
            body = bodies.read_now(file)
            if body is None:
                body = await asyncio.to_thread(bodies.read_later, file)
            self._write(request, file, answer, body=answer.piece_of(body))

    async def _send_large(self, request: StaticRequest, file: ServedFile, answer: FileAnswer) -> None:
        """Send a large file when it has a slot; a boot file, which firmware does not request again, at once."""
        shares = self._files.shares if request.is_content else None
        slot = shares.slot(self._remote, request.fields.get("user-agent", "")) if shares else nullcontext()
        async with slot as retry_after_s:
            if retry_after_s is not None:
                self._write(request, None, no_slot(retry_after_s))
                return
            if self._transport.is_closing():  # the client may have disconnected while it waited
                return
            async with self._shared.large_files.opened(file, answer, self._remote) as (opened, first):
                is_last = self._state is ConnectionState.ANSWERING_LAST
                self._transport.write(head_of(answer, int(time.time()), is_last=is_last) + first)
                await self._drained()
                count = SentCount(len(first))
                with self._files.sending(request, file, self._remote, count):
                    sent = await copy_rest(
                        self._transport,
                        opened,
                        answer,
                        count=count,
                        drained=self._drained,
                        machine=self._remote,
                        shares=shares,
                    )
                    is_cut = sent < answer.length
                    self._record_answer(request, file, status=answer.status, bytes_sent=sent, is_cut=is_cut)
        if sent < answer.length:
            self._transport.abort()
        elif self._state is ConnectionState.ANSWERING_LAST:
            self._end(lingers=request.must_close)

    async def _drained(self) -> None:
        """Wait until the kernel has accepted the written bytes, at most for the timeout of a reader."""
        if self._transport.get_write_buffer_size():
            self._unblocked = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._unblocked], timeout=SLICE_TIMEOUT_S)

    def _wake(self) -> None:
        if self._unblocked is not None and not self._unblocked.done():
            self._unblocked.set_result(None)

    def _refuse(self, reason: RefusalReason) -> None:
        """Send a refusal as the last answer, and close when the client has read it."""
        answer = refusal(*ANSWERS[reason])
        if answer.status is HTTPStatus.BAD_REQUEST:
            self._files.counters.count("http_malformed")
        self._files.record_refused(self._remote, reason)
        self._transport.write(head_of(answer, int(time.time()), is_last=True) + answer.text)
        self._end(lingers=True)

    def _end(self, *, lingers: bool = False) -> None:
        """Close when the written bytes are sent; with `lingers`, read and drop what the client still sends."""
        self._state, self._buffer = ConnectionState.ENDED, b""
        if lingers:  # the reset that answers unread bytes would destroy the answer (RFC 9112 §9.6)
            self._leave()
            self._transport.set_protocol(asyncio.Protocol())
            self._transport.max_size = 1 << 18  # type: ignore[attr-defined]  # as asyncio has it: nothing is kept
            self._transport.resume_reading()
            if self._transport.can_write_eof():
                self._transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)
        else:
            self._transport.close()

    def _hand_over(self) -> None:
        """Pass the connection, with the bytes that were read, to aiohttp."""
        self._leave()
        received, self._buffer = self._buffer, b""
        self._transport.resume_reading()
        documents = self._shared.documents()
        self._transport.set_protocol(documents)
        documents.connection_made(self._transport)
        documents.data_received(received)
        if self._peer_is_done:
            documents.eof_received()

    def _leave(self) -> None:
        """Leave the engine's set: the connection ended, or another protocol has it."""
        self._state = ConnectionState.ENDED
        self._shared.connections.discard(self)
