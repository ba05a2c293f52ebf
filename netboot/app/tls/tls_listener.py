"""Accepts connections from other computers: TLS only, bounded in number and time, none from an interface of machines.

Each handshake uses the certificate that is in force at that moment, so a renewal affects new connections alone.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_address
from typing import Final

from netboot.model.admin_listen import AddressEndpoint
from netboot.serve.net.arrival import arrived_on, note_arrival
from netboot.serve.net.descriptors import DescriptorUser, may_use, part_of_descriptors
from netboot.serve.static_http.machine_limit import MachineLimit

MOST_OF_CLIENT: Final = 64  # connections; a browser opens six
MOST_OF_ALL: Final = 512  # then a client gets one, if it has none
MOST_WITHOUT_EXCEPTION: Final = 1024
HANDSHAKE_S: Final = 10.0  # from the connection to the end of the handshake
_BACKLOG: Final = 128
SHUTDOWN_S: Final = 5.0  # for the client's own end of TLS
_FAILED_ACCEPT_S: Final = 1.0  # pause, as if the process has no descriptor left
_PAUSE_S: Final = 0.01  # between two connections: a flood of handshakes takes little time from machines that boot
_RECORD_OF_HANDSHAKE: Final = b"\x16"  # RFC 8446 §5.1: the first byte of a TLS connection
_MOST_OF_PLAIN_BYTES: Final = 65_536
_PREFIX_OF_CLIENT: Final = 64  # of IPv6


@dataclass(slots=True, eq=False)
class _Connection:
    """One connection as `MachineLimit` counts it: from its arrival to its end."""

    accepted: socket.socket
    is_passed_on: bool = False  # the transport closes the socket, also after a failure
    transport: asyncio.BaseTransport | None = None
    has_failed: bool = False

    def is_closing(self) -> bool:
        return self.has_failed or (self.transport is not None and self.transport.is_closing())

    def end_handshake(self, _: "asyncio.Task[None]") -> None:
        """Close the socket if no transport has it: also after a task that was cancelled before its first step."""
        self.has_failed = self.transport is None
        if not self.is_passed_on:
            self.accepted.close()


class TlsListener:
    """One address. `handler` makes the protocol of a connection whose handshake succeeded."""

    def __init__(
        self,
        endpoint: AddressEndpoint,
        *,
        handler: Callable[[], asyncio.Protocol],
        context: Callable[[], ssl.SSLContext],
        closed_interfaces: Collection[str],
        limit: MachineLimit,
        user: DescriptorUser = DescriptorUser.ADMIN_CONNECTION,
        most_without_exception: int = MOST_WITHOUT_EXCEPTION,
        on_refused: Callable[[str], None],
    ) -> None:
        """Connections that come in by `closed_interfaces` are closed at once; `on_refused` gets each reason."""
        self._endpoint = endpoint
        self._handler, self._context = handler, context
        self._closed_interfaces = closed_interfaces
        self._limit, self._on_refused = limit, on_refused
        self._most = part_of_descriptors(most_without_exception)
        self._user = user
        self._open: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Listen; raise OSError."""
        address = self._endpoint.address
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setblocking(False)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            note_arrival(listening)
            listening.bind((str(address), self._endpoint.port))
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
        self._socket = listening
        self._start(self._accept(listening))

    async def stop(self) -> None:
        """Accept no more connections, and end the handshakes; the handlers have the others."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._socket is not None:
            self._socket.close()

    async def close(self) -> None:
        """Accept no more connections, and close those that are open."""
        await self.stop()
        for connection in self._open:
            if isinstance(connection.transport, asyncio.WriteTransport):
                with suppress(AttributeError):  # Python 3.11.2: one that its handler closed twice has lost its protocol
                    connection.transport.abort()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(listening)
            except ConnectionAbortedError:
                continue
            except OSError:
                await asyncio.sleep(_FAILED_ACCEPT_S)
                continue
            self._admit(accepted, _client_of(peer[0]))
            await asyncio.sleep(_PAUSE_S)

    def _admit(self, accepted: socket.socket, client: str) -> None:
        """Serve a connection, unless its interface or the number of the client's connections forbids it."""
        connection = _Connection(accepted)
        try:
            is_of_machines = arrived_on(accepted) in self._closed_interfaces
        except OSError:
            is_of_machines = True  # where it came from is not known
        number = accepted.fileno()
        is_full = not may_use(number, self._user) or self._limit.open_count >= self._most
        boot_number = number if self._user is DescriptorUser.BOOT_CONNECTION else None
        if is_of_machines:
            self._refuse(accepted, "boot-interface")
        elif is_full or self._limit.admit(client, connection, descriptor=boot_number) is not None:
            self._refuse(accepted, "too-many")
        else:
            self._open = {each for each in self._open if not each.is_closing()} | {connection}
            self._start(self._serve(connection), connection.end_handshake)

    def _refuse(self, accepted: socket.socket, reason: str) -> None:
        self._on_refused(reason)
        accepted.close()

    async def _serve(self, connection: _Connection) -> None:
        """Complete the handshake; then the handler has the connection."""
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                first = await _first_byte(connection.accepted)
                if first == _RECORD_OF_HANDSHAKE:
                    connection.is_passed_on = True
                    connection.transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                        self._handler,
                        connection.accepted,
                        ssl=self._context(),
                        ssl_handshake_timeout=HANDSHAKE_S,
                        ssl_shutdown_timeout=SHUTDOWN_S,
                    )
                elif first:
                    self._on_refused("plain-http")
                    await self._answer_plain(connection.accepted)
        except (OSError, TimeoutError):  # ssl.SSLError is one: the client refuses our certificate, or offers TLS 1.1
            self._on_refused("handshake")

    async def _answer_plain(self, accepted: socket.socket) -> None:
        """Answer a request in clear text with the URL to use."""
        loop = asyncio.get_running_loop()
        await loop.sock_recv(accepted, _MOST_OF_PLAIN_BYTES)  # otherwise the close would discard our answer
        body = f"this port answers HTTPS only: https://{self._endpoint}/\n"
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        await loop.sock_sendall(accepted, f"{head}Connection: close\r\n\r\n{body}".encode())
        accepted.shutdown(socket.SHUT_WR)

    def _start(self, work: "asyncio._CoroutineLike[None]", *at_end: "Callable[[asyncio.Task[None]], None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        for call in (self._tasks.discard, *at_end):
            task.add_done_callback(call)


def _client_of(address: str) -> str:
    """Return what the limit counts as one client: an IPv4 address, or the IPv6 network of an address."""
    found = ip_address(address.partition("%")[0])
    return str(found) if found.version == 4 else str(IPv6Network((found, _PREFIX_OF_CLIENT), strict=False))


def _set_once(arrived: "asyncio.Future[None]") -> None:
    if not arrived.done():
        arrived.set_result(None)


async def _first_byte(accepted: socket.socket) -> bytes:
    """Wait for the first byte and leave it in the socket; empty if the client closed the connection."""
    loop = asyncio.get_running_loop()
    arrived = loop.create_future()
    loop.add_reader(accepted, _set_once, arrived)
    try:
        await arrived
    finally:
        loop.remove_reader(accepted)
    return accepted.recv(1, socket.MSG_PEEK)
