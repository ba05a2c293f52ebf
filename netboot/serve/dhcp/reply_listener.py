"""Observes other DHCP and PXE servers on every served interface, by packet sockets; sends nothing.

Only replies that this appliance's interfaces receive are seen: broadcasts, as firmware requests them, and none of a
server on this appliance itself. Kea sends even a broadcast to the machine's card alone, so that a switch forwards it to
no other; the requests that machines broadcast name such a server. netboot serves without this where no packet socket
can be opened.

The replies of `PAUSE_S` are read together, `REPLIES_PER_PAUSE` at most: the boot requests that they answer were handled
before, and a flood of forged replies costs little, because the kernel drops what is not read.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address
from typing import Final

import structlog

from netboot.boot.sessions.other_servers import OtherServers
from netboot.errors import PortError, WireError
from netboot.model.boot.other_server import Here, ServerEffect
from netboot.model.host.mac import Mac
from netboot.model.host.network import Interface
from netboot.serve.net import frame_receiver
from netboot.serve.net.frame_receiver import ANCILLARY_BYTES, FrameLoss, Instruction
from netboot.serve.net.udp import LARGEST_DATAGRAM_BYTES
from netboot.telemetry.logs import LineLimit
from netboot.telemetry.metrics import Metrics, Reading
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp.message import MessageType, Option
from netboot.wire.dhcp.server_reply import chosen_server, server_reply
from netboot.wire.frames import UDP, UdpDatagram

PAUSE_S: Final = 0.1
REPLIES_PER_PAUSE: Final = 64

log = structlog.get_logger()

_BOOT_SERVER_PORT: Final = 4011
_MESSAGE: Final = 8  # behind the header of UDP
_OPTIONS: Final = _MESSAGE + dhcp.HEADER_BYTES

# fmt: off
_REPLIES_AND_CHOICES: Final[tuple[Instruction, ...]] = (
    (0x30, 0, 0, 9),                    # load the protocol
    (0x15, 0, 15, UDP),                 # UDP, else drop
    (0x28, 0, 0, 6),                    # load flags and offset of the fragment
    (0x45, 13, 0, 0x1FFF),              # the first one, else drop
    (0xB1, 0, 0, 0),                    # X = length of the IP header
    (0x48, 0, 0, 2),                    # load the destination port
    (0x15, 0, 5, dhcp.CLIENT_PORT),     # a client's, else see whether it is a server's
    (0x48, 0, 0, 0),                    # load the source port
    (0x15, 1, 0, dhcp.SERVER_PORT),     # a DHCP server's
    (0x15, 0, 7, _BOOT_SERVER_PORT),    # or a boot server's, else drop
    (0x50, 0, 0, _MESSAGE),             # load `op`
    (0x15, 6, 5, dhcp.REPLY),           # a reply is kept
    (0x15, 0, 4, dhcp.SERVER_PORT),     # a server's destination port, else drop
    (0x50, 0, 0, _OPTIONS),             # load the code of the first option, which all clients make 53
    (0x15, 0, 2, Option.MESSAGE_TYPE),  # 53, else drop
    (0x50, 0, 0, _OPTIONS + 2),         # load its value
    (0x15, 1, 0, MessageType.REQUEST),  # a REQUEST is kept
    (0x06, 0, 0, 0),                    # drop
    (0x06, 0, 0, 0xFFFF),               # keep
)
# fmt: on


class ReplyListener:
    """The observed interfaces. Give `serve` to `Interfaces.on_change`, and call `retry` every few seconds."""

    def __init__(
        self,
        servers: OtherServers,
        *,
        leases: bool,
        counters: Metrics,
        appliances: Callable[[], frozenset[IPv4Address]] = frozenset,
    ) -> None:
        """`leases`: this appliance leases addresses itself; `appliances`: the addresses of the others of its store."""
        self._servers, self._counters, self._appliances = servers, counters, appliances
        self._here = Here(frozenset(), leases)
        self._interfaces: tuple[Interface, ...] = ()
        self._sockets: dict[Interface, _ReplySocket] = {}
        self._awaited: dict[str, str] = {}  # interfaces that are not observed now, each with the reason
        self._faults = LineLimit()

    @property
    def unobserved(self) -> list[str]:
        """Why some interface is not observed."""
        return [self._awaited[name] for name in sorted(self._awaited)]

    def readings(self) -> Iterator[Reading]:
        """Count the servers that were seen in the last day."""
        counts = Counter(server.effect for server in self._servers.current())
        for effect in ServerEffect:
            yield Reading("other_servers", counts[effect], (effect.value,))

    def serve(self, interfaces: Sequence[Interface]) -> None:
        """Observe these interfaces from now on and no others."""
        for gone in self._sockets.keys() - set(interfaces):
            self._sockets.pop(gone).close()
        self._interfaces = tuple(interfaces)
        ours = {address for each in interfaces for address in (*each.addresses, each.advertise) if address is not None}
        self._here = Here(ours, self._here.leases)
        names = {interface.name for interface in interfaces}
        self._awaited = {name: reason for name, reason in self._awaited.items() if name in names}
        self.retry()

    def retry(self) -> None:
        """Open what could not be opened so far."""
        for interface in self._interfaces:
            if interface not in self._sockets:
                self._open(interface)

    def close(self) -> None:
        """Close every socket."""
        for opened in self._sockets.values():
            opened.close()
        self._sockets.clear()
        self._interfaces = ()

    def _open(self, interface: Interface) -> None:
        try:
            self._sockets[interface] = _ReplySocket(interface, self._receive)
        except PortError as error:
            reason = str(error)
            if self._awaited.get(interface.name) != reason:  # it is tried every few seconds
                log.warning("dhcp.observation_failed", iface=interface.name, reason=reason)
            self._awaited[interface.name] = reason
            return
        if self._awaited.pop(interface.name, None) is not None:
            log.info("dhcp.observation_opened", iface=interface.name)

    def _receive(self, interface: Interface, datagram: UdpDatagram, card: bytes) -> None:
        """Record one reply; a fault of ours ends no other work."""
        try:
            self._record(interface, datagram, card)
        except Exception as error:
            self._counters.count("datagram_faults", port=str(dhcp.CLIENT_PORT))
            if self._faults.note("a reply"):
                log.error("udp.datagram_failed", port=dhcp.CLIENT_PORT, iface=interface.name, exc_info=error)

    def _record(self, interface: Interface, datagram: UdpDatagram, card: bytes) -> None:
        here = Here({*self._here.addresses, *self._appliances()}, self._here.leases)
        ours = here.addresses
        try:
            message = dhcp.parse(datagram.data)
        except WireError:
            return
        chosen, reply = chosen_server(message), server_reply(message, datagram.source, _mac(card))
        if chosen is not None and chosen not in ours:
            self._servers.record_choice(chosen, here, interface=interface.name)
        if reply is not None and datagram.source not in ours and reply.server not in ours:  # a relay repeats our own
            self._servers.record(reply, here, interface=interface.name)


class _ReplySocket:
    """One interface. While nothing comes, nothing runs."""

    def __init__(self, interface: Interface, receive: Callable[[Interface, UdpDatagram, bytes], None]) -> None:
        """Open it in the running loop; raise PortError if that is not permitted or the interface is missing."""
        self._interface, self._receive = interface, receive
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        try:
            with ExitStack() as on_failure:
                self._socket = on_failure.enter_context(frame_receiver.opened())
                frame_receiver.receive_frames(self._socket, interface.name, _REPLIES_AND_CHOICES)
                on_failure.pop_all()
        except OSError as error:
            raise PortError(
                f"cannot observe other DHCP servers on {interface.name}: {error.strerror}; "
                "give the daemon CAP_NET_RAW, as netboot.service does"
            ) from error
        self._wait()

    def close(self) -> None:
        """Close it; what waits is not read."""
        self._loop.remove_reader(self._socket.fileno())
        if self._pause is not None:
            self._pause.cancel()
        self._socket.close()

    def _wait(self) -> None:
        self._loop.add_reader(self._socket.fileno(), self._begin_pause)

    def _begin_pause(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._pause = self._loop.call_later(PAUSE_S, self._end_pause)

    def _end_pause(self) -> None:
        self._pause = None
        for _ in range(REPLIES_PER_PAUSE):
            try:
                data, ancillary, flags, sender = self._socket.recvmsg(LARGEST_DATAGRAM_BYTES, ANCILLARY_BYTES)
            except OSError:  # nothing more waits, or the link went down
                break
            if flags & socket.MSG_TRUNC or not ancillary or sender[2] == socket.PACKET_OUTGOING:
                continue
            datagram = frame_receiver.read_frame(data, ancillary[0][2])
            if not isinstance(datagram, FrameLoss):
                self._receive(self._interface, datagram, sender[4])
        self._wait()


def _mac(card: bytes) -> Mac | None:
    try:
        return Mac.from_bytes(card)
    except ValueError:
        return None
