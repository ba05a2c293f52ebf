"""One UDP port on one interface: datagrams in with the address they were sent to, answers out from there.

A fault in one datagram is counted and never ends the loop; no line is logged per bad packet. Never blocks: what
the kernel does not take at once is counted and lost, as UDP may.

The socket is bound to 0.0.0.0 and, with SO_BINDTODEVICE, to its interface. The kernel gives a broadcast to every socket
on the port that is not bound to one address, and a unicast only to the socket that matches best. SO_REUSEADDR lets
another server on the same computer keep its own socket. IP_PKTINFO gives the destination address of a datagram, and
sets the source address of the reply: for a broadcast the kernel has no route from which to choose one.
"""

import asyncio
import errno
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from struct import Struct
from typing import Any, Final, NamedTuple, TypeVar

import structlog

from netboot.errors import PortError
from netboot.model.host.network import Interface
from netboot.telemetry.logs import LineLimit
from netboot.telemetry.metrics import Metrics, Reading

log = structlog.get_logger()

Address = tuple[str, int]
T = TypeVar("T")
R = TypeVar("R")

DATAGRAMS_PER_WAKE: Final = 64  # then the loop's other tasks have their turn
LARGEST_DATAGRAM_BYTES: Final = 4096  # boot clients send no more; a longer one is dropped whole
RECEIVE_BUFFER_BYTES: Final = 4 << 20

_IP_PKTINFO: Final = 8  # <linux/in.h>; the socket module has no name for it
_SO_RCVBUFFORCE: Final = 33  # <asm-generic/socket.h>; needs CAP_NET_ADMIN
_SO_MEMINFO: Final = 55  # <asm-generic/socket.h>, Linux 4.12
_MEMINFO: Final = Struct("=9I")  # <linux/sock_diag.h>: the first is the memory of what waits, the last counts drops
_MSG_TRUNC: Final = int(socket.MSG_TRUNC)  # as a flag of an enum it costs a microsecond per datagram
_PKTINFO: Final = Struct("=I4s4s")  # interface, local address (which we send from), destination in the header


class Datagram(NamedTuple):  # made three times as fast as a frozen dataclass
    """What came in: the bytes, who sent them, and the address of ours (or the broadcast) that they were sent to."""

    data: bytes
    source: Address
    destination: str


class DatagramPort(ABC):
    """A port on one interface: `watch` gives what comes to a function, `send` answers. Counts what fails."""

    _receiver: socket.socket  # non-blocking; a subclass opens it
    _ancillary_bytes: int  # that the kernel gives beside each datagram

    def __init__(self, port: int, interface: Interface, *, counters: Metrics) -> None:
        self.port = port
        self.interface = interface
        self._counters = counters
        self._loop: asyncio.AbstractEventLoop | None = None
        self._faults = LineLimit()
        self._dropped = 0  # by the kernel, at the last `measure_queue`
        self._wakes = self._known_wakes = 0  # how often the loop read it: now, and at the last `is_unread`

    def watch(self, receive: Callable[[Sequence[Datagram]], object]) -> None:
        """Call `receive` for the datagrams that wait, from now on, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._receiver.fileno(), self._drain, receive)

    def each(self, work: Callable[[T], R | None], items: Iterable[T]) -> list[R]:
        """Do one step of the work for each of several datagrams; return the results that are not None.

        A fault of ours in one of them ends the work for it, but not for the others.
        """
        results = []
        for item in items:
            try:
                result = work(item)
            except Exception as error:
                self.log_fault(error)
                continue
            if result is not None:
                results.append(result)
        return results

    def measure_queue(self) -> Reading:
        """Measure what waits in the kernel; count what it dropped since the last call."""
        meminfo = self._receiver.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        waiting_bytes, *_, dropped = _MEMINFO.unpack(meminfo)
        if dropped > self._dropped:
            self._lost("dropped-by-kernel", dropped - self._dropped)
        self._dropped = dropped
        return Reading("datagrams_waiting_bytes", waiting_bytes, (self.interface.name, str(self.port)))

    def is_unread(self) -> bool:
        """Return whether datagrams wait although the loop has read none since the last call, seconds ago."""
        meminfo = self._receiver.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        was_read, self._known_wakes = self._wakes > self._known_wakes, self._wakes
        return _MEMINFO.unpack(meminfo)[0] > 0 and not was_read

    def close(self) -> None:
        """Close the port; closing twice is not a fault."""
        if self._loop is not None:
            self._loop.remove_reader(self._receiver.fileno())
            self._loop = None
        self._receiver.close()

    @abstractmethod
    def send(self, data: bytes, to: Address, *, source: bytes) -> bool:
        """Send out of this interface from the address `source` (4 bytes); count what fails and say so."""

    def log_fault(self, error: Exception) -> None:
        """Count a fault of ours; log it with its traceback at most once a minute."""
        self._counters.count("datagram_faults", port=str(self.port))
        if self._faults.note("a datagram"):
            log.error("udp.datagram_failed", port=self.port, iface=self.interface.name, exc_info=error)

    @abstractmethod
    def _read(self, received: tuple[bytes, bytes, Any]) -> Datagram | None:
        """Read what the kernel gave: a datagram, its ancillary data and its sender; None if it is not for us."""

    def _drain(self, receive: Callable[[Sequence[Datagram]], object]) -> None:
        """Take what waits, a bounded number at a time; the selector calls again for the rest."""
        self._wakes += 1
        receive_next, ancillary_bytes = self._receiver.recvmsg, self._ancillary_bytes
        received = []
        for _ in range(DATAGRAMS_PER_WAKE):
            try:
                data, ancillary, flags, sender = receive_next(LARGEST_DATAGRAM_BYTES, ancillary_bytes)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:  # an ICMP error for an answer of ours, the link went down
                self._lost(error_name(error))
                continue
            if flags & _MSG_TRUNC or not ancillary:
                self._lost("oversized")
                continue
            received.append((data, ancillary[0][2], sender))
        receive(self.each(self._read, received))

    def _lost(self, reason: str, amount: int = 1) -> None:
        self._counters.count("datagrams_lost", amount, port=str(self.port), reason=reason)


class UdpSocket(DatagramPort):
    """A bound, non-blocking socket on one interface."""

    _ancillary_bytes = socket.CMSG_SPACE(_PKTINFO.size)

    def __init__(self, port: int, interface: Interface, *, counters: Metrics) -> None:
        """Bind; raise PortError if another holds the port without SO_REUSEADDR, or the right to bind is missing."""
        super().__init__(port, interface, counters=counters)
        self._receiver = _bound(port, interface)
        self._sent_from: dict[bytes, tuple[tuple[int, int, bytes]]] = {}  # one for each address of the interface

    def send(self, data: bytes, to: Address, *, source: bytes) -> bool:
        """Send out of this interface from the address `source` (4 bytes); count what fails and say so."""
        sent_from = self._sent_from.get(source)
        if sent_from is None:
            pktinfo = _PKTINFO.pack(self.interface.index, source, bytes(4))
            sent_from = self._sent_from[source] = ((int(socket.IPPROTO_IP), _IP_PKTINFO, pktinfo),)
        try:
            self._receiver.sendmsg((data,), sent_from, 0, to)
        except OSError as error:
            self._lost(error_name(error))
            return False
        return True

    def _read(self, received: tuple[bytes, bytes, Address]) -> Datagram:
        data, ancillary, sender = received
        return Datagram(data, sender, socket.inet_ntoa(ancillary[8:12]))


def _bound(port: int, interface: Interface) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        enlarge_receive_buffer(bound)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.name.encode())
        bound.bind(("0.0.0.0", port))
    except OSError as error:
        bound.close()
        raise PortError(f"cannot bind UDP port {port} on {interface.name}: {error.strerror}; {_cure(error)}") from error
    return bound


def enlarge_receive_buffer(receiver: socket.socket) -> None:
    """Let a rack that powers on at once wait in the kernel."""
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    with suppress(PermissionError):  # net.core.rmem_max limits the option above, not this one
        receiver.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)


def _cure(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "stop what holds it (ss -lunp), or have it share the port: dnsmasq does with bind-interfaces"
        case errno.EACCES | errno.EPERM:
            return "give the daemon CAP_NET_BIND_SERVICE and CAP_NET_RAW, as netboot.service does"
        case _:
            return "see that the interface is there"


def error_name(error: OSError) -> str:
    """Name an error as errno(3) does: a label with few values."""
    return errno.errorcode.get(error.errno or 0, "unknown")
