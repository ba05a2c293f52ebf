"""An event loop whose clock stands still and whose network is memory. Fakes the operating system, nothing of netboot's.

UDP and packet sockets, TCP and Unix listeners, and rtnetlink exist in memory; files, SQLite and threads are real.
`settle` runs until nothing is left to do at this moment of the fake clock: no callback, no due timer, no work in a
thread.
"""

import asyncio
import hashlib
import ipaddress
import itertools
import queue
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import aiosqlite.core
import pyroute2
import sqlalchemy.connectors.asyncio
import sqlalchemy.dialects.postgresql.asyncpg

from netboot.serve.net.descriptors import ListeningSocket

SERVER = "192.0.2.10"
INTERFACE, INDEX = "boot0", 7
_PKTINFO = struct.Struct("=I4s4s")
_IP_PKTINFO = 8
_Socket = socket.socket
Address = tuple[str, int]
BOX: ContextVar[str] = ContextVar("BOX", default=SERVER)  # the address of the box whose daemon runs


class FakeClock:
    """Time that passes only when it is moved, and random bytes that are the same in each run."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall_offset_s = 0.0
        self._draws = itertools.count(1)

    def now(self) -> datetime:
        return datetime(2026, 11, 21, 12, tzinfo=UTC) + timedelta(seconds=self.seconds + self.wall_offset_s)

    def monotonic(self) -> float:
        return self.seconds

    def random_bytes(self, count: int) -> bytes:
        return hashlib.sha256(f"draw {next(self._draws)}".encode()).digest()[:count]


class MemoryLoop(asyncio.SelectorEventLoop):
    """Runs on a fake clock; sockets and listeners of this process meet in `network`."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.network = MemoryNetwork(self)
        self.faults: list[str] = []
        self._in_threads = 0
        self._thread_ended: asyncio.Future[None] | None = None
        super().__init__()
        self.set_exception_handler(self._note_fault)

    def time(self) -> float:
        return self._clock.monotonic()

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        sock = self.network.socket_of(fd)
        if sock is None:
            super().add_reader(fd, callback, *args)
        else:
            sock.reader = lambda: callback(*args)

    def remove_reader(self, fd: Any) -> bool:
        sock = self.network.socket_of(fd)
        if sock is None:
            return super().remove_reader(fd)
        sock.reader = None
        return True

    async def create_server(  # type: ignore[override]
        self, factory: Callable[[], asyncio.Protocol], *, sock: "_ListeningSocket", **_options: object
    ) -> "MemoryListener":
        return MemoryListener(self.network, sock.getsockname(), factory)

    async def create_connection(  # type: ignore[override]
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **_options: object
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        return self.network.connect_within(factory(), (host, port))

    async def create_unix_connection(  # type: ignore[override]
        self, factory: Callable[[], asyncio.Protocol], path: str, **options: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        if path not in self.network.listeners:  # a PostgreSQL server's
            return await super().create_unix_connection(factory, path, **options)
        return self.network.connect_within(factory(), path)

    # Nothing left to do

    def settle(self) -> None:
        """Run until nothing is left to do at this moment."""
        self.run_until_complete(self._settled())
        if self.faults:
            raise AssertionError("a fault in a callback or task: " + "\n".join(self.faults))

    async def _settled(self) -> None:
        while True:
            await asyncio.sleep(0)
            if self._ready:  # type: ignore[attr-defined]
                continue
            if self._in_threads:
                self._thread_ended = self.create_future()
                await self._thread_ended
                continue
            scheduled = self._scheduled  # type: ignore[attr-defined]
            if not any(timer._when <= self.time() and not timer._cancelled for timer in scheduled):
                return

    def watch(self, future: Any) -> Any:
        """Count a future that a thread sets as work under way."""
        self._in_threads += 1
        future.add_done_callback(self._end_of_thread_work)
        return future

    def count_while(self, work: Callable[[Any], Any], awaited: Any) -> Any:
        """Count what `work` waits for, an answer of PostgreSQL, as work under way."""
        self._in_threads += 1
        try:
            return work(awaited)
        finally:
            self._end_of_thread_work(None)

    def _end_of_thread_work(self, _future: object) -> None:
        self._in_threads -= 1
        if self._thread_ended is not None and not self._thread_ended.done():
            self._thread_ended.set_result(None)

    def _note_fault(self, _loop: object, context: dict[str, Any]) -> None:
        self.faults.append(f"{context.get('message')}: {context.get('exception')!r}")


class MemoryListener(asyncio.AbstractServer):
    """A TCP or Unix listener."""

    def __init__(self, network: "MemoryNetwork", where: Any, factory: Callable[[], asyncio.Protocol]) -> None:
        self._network, self._where, self.factory, self.context = network, where, factory, copy_context()
        self.sockets: tuple[object, ...] = ()
        network.listeners[where] = self

    def close(self) -> None:
        self._network.listeners.pop(self._where, None)

    async def wait_closed(self) -> None:
        pass


class _ListeningSocket:
    """What `ListeningSocket.listening` returns: an address at which a listener is opened."""

    def __init__(self, family: socket.AddressFamily, address: Any) -> None:
        self.family, self._address = family, address
        if family == socket.AF_UNIX:
            Path(address).touch()  # as bind(2) does

    @classmethod
    def listening(cls, family: socket.AddressFamily, address: Any, **_limits: object) -> "_ListeningSocket":
        return cls(family, address)

    def getsockname(self) -> Any:
        return self._address


class _AcceptedSocket:
    """The socket of a TCP connection; descriptors are never scarce, and options do nothing."""

    family = socket.AF_INET

    def setsockopt(self, *_option: Any) -> None:
        pass

    def fileno(self) -> int:
        return 0


class MemoryTransport(asyncio.Transport):
    """The server's end of one connection; `output` is what the client received."""

    def __init__(self, loop: MemoryLoop, protocol: asyncio.Protocol, peer: Any, ours: Any) -> None:
        super().__init__({"peername": peer, "sockname": ours, "socket": _AcceptedSocket()})
        self._loop, self._protocol = loop, protocol
        self.output = bytearray()
        self._is_closing = False

    def feed(self, data: bytes) -> None:
        if not self._is_closing:
            self._protocol.data_received(data)

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def write(self, data: Any) -> None:
        if not self._is_closing:
            self.output += data

    def writelines(self, pieces: Any) -> None:
        for piece in pieces:
            self.write(piece)

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self._is_closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_reading(self) -> bool:
        return not self._is_closing

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class _LinkedTransport(MemoryTransport):
    """One end of a connection of the box with itself: what is written arrives at the other end."""

    other: "_LinkedTransport"

    def write(self, data: Any) -> None:
        self._loop.call_soon(self.other.feed, bytes(data))

    def close(self) -> None:
        super().close()
        self._loop.call_soon(super(_LinkedTransport, self.other).close)

    abort = close


class MemorySocket(_Socket):
    """A datagram or packet socket that is connected only to the network in memory."""

    network: "MemoryNetwork"

    def __init__(self) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_DGRAM)  # for a file descriptor of its own
        self.reader: Callable[[], object] | None = None
        self.box, self.context = BOX.get(), copy_context()
        self.bound: Any = ("0.0.0.0", 0)
        self.inbox: deque[tuple[bytes, Address, str]] = deque()
        self.descriptor = self.fileno()
        self.network.sockets[self.descriptor] = self

    def close(self) -> None:
        self.network.sockets.pop(self.descriptor, None)
        super().close()

    def setsockopt(self, *_option: Any) -> None:
        pass

    def bind(self, address: Any) -> None:
        host, port = address
        self.bound = (host, port or self.network.next_port())

    def getsockname(self) -> Any:
        return (INTERFACE, 0, 0, 0, bytes.fromhex("525400000001")) if self.bound[0] == INTERFACE else self.bound

    def send(self, data: Any, *_flags: int) -> int:
        return len(data)  # an ARP probe: no machine answers

    def sendto(self, data: Any, *where: Any) -> int:
        return self.sendmsg((data,), (), 0, where[-1])

    def sendmsg(self, pieces: Any, ancillary: Any = (), _flags: int = 0, to: Any = None) -> int:
        source = self.bound[0]
        for _level, kind, value in ancillary:
            if kind == _IP_PKTINFO:
                source = str(ipaddress.IPv4Address(_PKTINFO.unpack(value)[1]))
        data = b"".join(pieces)
        self.network.sent.append(((source, self.bound[1]), to, data))
        return len(data)

    def recvfrom(self, *_size: int) -> Any:
        data, source, _destination = self._next()
        return data, source

    def recvmsg(self, *_sizes: int) -> Any:
        data, source, destination = self._next()
        local = ipaddress.IPv4Address(self.box).packed
        info = _PKTINFO.pack(INDEX, local, ipaddress.IPv4Address(destination).packed)
        return data, [(socket.IPPROTO_IP, _IP_PKTINFO, info)], 0, source

    def _next(self) -> tuple[bytes, Address, str]:
        if not self.inbox:
            raise BlockingIOError
        return self.inbox.popleft()


class _SocketFactory(_Socket):
    """Replaces `socket.socket` while the network is in memory; other kinds of sockets are the kernel's."""

    def __new__(cls, family: int = -1, type: int = -1, _proto: int = -1, fileno: int | None = None) -> Any:  # noqa: A002
        is_datagram = family == socket.AF_INET and (type & 0xF) == socket.SOCK_DGRAM
        if fileno is None and (is_datagram or family == socket.AF_PACKET):
            return MemorySocket()
        return super().__new__(cls)


class MemoryNetwork:
    """The sockets, listeners and the one interface of the box."""

    def __init__(self, loop: MemoryLoop) -> None:
        self._loop = loop
        self.sockets: dict[int, MemorySocket] = {}
        self.listeners: dict[Any, MemoryListener] = {}
        self.sent: list[tuple[Address, Address, bytes]] = []
        self._ports = itertools.count(40_000)

    def next_port(self) -> int:
        return next(self._ports)

    def socket_of(self, fd: Any) -> MemorySocket | None:
        return self.sockets.get(fd if isinstance(fd, int) else fd.fileno())

    def send(self, data: bytes, source: Address, to: Address) -> list[tuple[Address, Address, bytes]]:
        """Deliver one datagram and return what was sent because of it: source, destination, bytes."""
        self.sent.clear()
        bound = [each for each in self.sockets.values() if each.reader and each.bound[1] == to[1]]
        for sock in [each for each in bound if to[0] in (each.box, "255.255.255.255")]:
            sock.inbox.append((data, source, to[0]))
            self._loop.call_soon(sock.reader, context=sock.context)
        self._loop.settle()
        return list(self.sent)

    def connect(self, where: Any, peer: Any, data: bytes) -> MemoryTransport:
        """Open a connection and send `data` on it; `settle` brings the answer."""
        listener = self.listeners[where]
        protocol = listener.factory()
        transport = MemoryTransport(self._loop, protocol, peer, where)

        def opened() -> None:
            protocol.connection_made(transport)
            transport.feed(data)

        self._loop.call_soon(opened, context=listener.context)
        return transport

    def connect_within(self, client: asyncio.Protocol, where: Any) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect the box to a listener of its own."""
        if where not in self.listeners:
            raise ConnectionRefusedError
        server, peer = self.listeners[where].factory(), (SERVER, self.next_port())
        ends = _LinkedTransport(self._loop, client, where, peer), _LinkedTransport(self._loop, server, peer, where)
        ends[0].other, ends[1].other = ends[1], ends[0]
        for protocol, transport in ((server, ends[1]), (client, ends[0])):
            protocol.connection_made(transport)
        return ends[0], client


class _Record(dict[str, Any]):
    def get_attr(self, name: str) -> Any:
        return self["attrs"].get(name)


class _Route:
    """rtnetlink of a box with one interface."""

    async def bind(self, **_groups: int) -> None:
        pass

    def close(self) -> None:
        pass

    async def get_addr(self, **_family: int) -> Any:
        return _each(_Record(index=INDEX, scope=0, flags=0, prefixlen=24, attrs={"IFA_LOCAL": BOX.get()}))

    async def get_links(self) -> Any:
        return _each(_Record(index=INDEX, flags=0x41, attrs={"IFLA_IFNAME": INTERFACE, "IFLA_MTU": 1500}))

    async def get(self) -> Any:
        await asyncio.Event().wait()
        yield None


async def _each(*records: _Record) -> Any:
    for record in records:
        yield record


class _WatchedQueue:
    """aiosqlite's queue to the thread of a connection; what is under way there is counted."""

    loop: MemoryLoop

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def put_nowait(self, item: tuple[Any, Any]) -> None:
        if item[0] is not None:
            self.loop.watch(item[0])
        self._queue.put_nowait(item)

    def get(self) -> Any:
        return self._queue.get()


@contextmanager
def in_memory(loop: MemoryLoop) -> Iterator[None]:
    """Give this process the network of `loop`, and let the loop count the work of threads."""
    MemorySocket.network = loop.network
    _WatchedQueue.loop = loop
    wrap = asyncio.wrap_future

    def wrap_watched(future: Any, *, loop: Any = None) -> Any:
        used, wrapped = loop or asyncio.get_running_loop(), wrap(future, loop=loop)
        return used.watch(wrapped) if isinstance(used, MemoryLoop) else wrapped  # a thread may run a loop of its own

    drivers = (sqlalchemy.connectors.asyncio, sqlalchemy.dialects.postgresql.asyncpg)
    waits = {module: vars(module)["await_"] for module in drivers if "await_" in vars(module)}
    patches = [
        mock.patch("socket.socket", _SocketFactory),
        mock.patch.object(ListeningSocket, "listening", _ListeningSocket.listening),
        *(mock.patch.object(each, "await_", partial(loop.count_while, work)) for each, work in waits.items()),
        mock.patch("asyncio.wrap_future", wrap_watched),
        mock.patch("asyncio.futures.wrap_future", wrap_watched),
        mock.patch.object(aiosqlite.core, "SimpleQueue", _WatchedQueue),
        *(mock.patch.object(module, name, _Route) for module, name in _users_of(pyroute2.AsyncIPRoute)),
    ]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in reversed(patches):
            patch.stop()


def _users_of(imported: object) -> list[tuple[Any, str]]:
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "netboot"]
    return [(module, name) for module in modules for name, value in vars(module).items() if value is imported]
