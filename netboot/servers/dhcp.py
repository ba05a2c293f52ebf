"""The DHCP doors: port 67 and port 4011 on every interface, gathered, asked, answered, told in one line each.

Beside a DHCP server that nobody may change: never leases, never answers who does not ask for a boot, never sends
anything in `listen` mode. What happens to one datagram, in the order of the lines:

    proto.dhcp.parse -> proto.pxe -> the desk -> proto.pxe_reply -> out -> one log line, one counter
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, Protocol, assert_never

import structlog

from netboot.errors import ConfigError, PortError, Problem, WireError
from netboot.model.client import Arch, BootClient
from netboot.model.host import HostSet
from netboot.model.mac import Mac
from netboot.model.network import DhcpMode, Interface
from netboot.model.offer import Ignored, IgnoreReason, Offer
from netboot.proto import dhcp, pxe, pxe_reply
from netboot.proto.dhcp import DhcpMessage
from netboot.proto.pxe import Silence
from netboot.proto.pxe_reply import Reply, ServerAddress
from netboot.servers.udp import Address, Counters, Datagram, UdpSocket

log = structlog.get_logger()

ARCH_NAMES: Final = {arch: arch.name.lower().replace("_", "-") for arch in Arch}

_RESERVATION_TO_COME: Final = Problem(
    file="dhcp.mode",
    line=0,
    column=0,
    where="reservation",
    what="is not there yet",
    cure="keep the LAN's DHCP server and use proxy",
)


class Desk(Protocol):
    """Who decides (`boot.desk.Desk`): from memory, at once, never awaited."""

    @property
    def hosts(self) -> HostSet:
        """The registered machines, for the log line."""

    def offer_for(self, client: BootClient) -> Offer | Ignored:
        """Say what a machine is offered now."""

    def offered(self, client: BootClient, offer: Offer) -> None:
        """Take note of an offer that left."""

    def saw_address(self, mac: Mac, address: IPv4Address) -> None:
        """Take note of an address that the wire showed for a machine."""


@dataclass(frozen=True, slots=True)
class DhcpSettings:
    """What the settings say of the doors: `dhcp.mode`, `dhcp.port`, `dhcp.pxe_port` and `http.port`."""

    mode: DhcpMode = DhcpMode.PROXY
    port: int = dhcp.SERVER_PORT
    pxe_port: int = pxe.BOOT_SERVER_PORT
    http_port: int = 8080


@dataclass(frozen=True, slots=True)
class _Port:
    """What differs between 67 and 4011: which messages are questions, what answers them, and where that goes."""

    number: int
    question: Callable[[DhcpMessage, Container[IPv4Address]], BootClient | Silence]
    reply: Callable[[DhcpMessage, BootClient, Offer, ServerAddress], Reply | Silence]
    reply_address: Callable[[DhcpMessage, Address], Address]


def _ports(settings: DhcpSettings) -> tuple[_Port, ...]:
    match settings.mode:
        case DhcpMode.OFF:
            return ()
        case DhcpMode.PROXY | DhcpMode.LISTEN:
            return (
                _Port(
                    settings.port, pxe.offer_question, pxe_reply.offer_reply, lambda asked, _: dhcp.reply_address(asked)
                ),
                _Port(
                    settings.pxe_port,
                    pxe.boot_server_question,
                    pxe_reply.ack_reply,
                    lambda _, source: pxe.ack_address(source),
                ),
            )
        case DhcpMode.RESERVATION:
            raise ConfigError([_RESERVATION_TO_COME])
        case _:
            assert_never(settings.mode)


class DhcpServer:
    """Every door that is open. Give `serve` to `Interfaces.on_change`."""

    def __init__(self, desk: Desk, settings: DhcpSettings, *, counters: Counters) -> None:
        self._desk = desk
        self._settings = settings
        self._counters = counters
        self._ports = _ports(settings)
        self._doors: dict[Interface, list[DhcpDoor]] = {}
        self._ours: set[IPv4Address] = set()  # on every interface; the doors look at it
        self._has_served = False

    def serve(self, interfaces: Sequence[Interface]) -> None:
        """Answer on these interfaces from now on and on no others, in the running loop.

        Raises PortError at the first call; later an interface whose ports are taken is told and stays silent.
        """
        for gone in self._doors.keys() - set(interfaces):
            self._close(gone)
        self._ours.clear()
        self._ours.update(address for interface in interfaces for address in interface.addresses)
        for interface in interfaces:
            if interface not in self._doors:
                self._open(interface)
        self._has_served = True

    def close(self) -> None:
        """Give every port back."""
        for interface in tuple(self._doors):
            self._close(interface)

    def _open(self, interface: Interface) -> None:
        doors = self._doors[interface] = []
        try:
            for port in self._ports:
                socket = UdpSocket(port.number, interface, counters=self._counters)
                door = DhcpDoor(
                    port, socket, desk=self._desk, settings=self._settings, counters=self._counters, ours=self._ours
                )
                doors.append(door)
                socket.watch(door.receive)
        except PortError as error:
            self._close(interface)
            if not self._has_served:
                raise
            log.error("dhcp.bind_failed", iface=interface.name, reason=str(error))

    def _close(self, interface: Interface) -> None:
        for door in self._doors.pop(interface):
            door.close()


class DhcpDoor:
    """One port on one interface: takes each datagram to its end, an answer or silence with its reason."""

    def __init__(
        self,
        port: _Port,
        socket: UdpSocket,
        *,
        desk: Desk,
        settings: DhcpSettings,
        counters: Counters,
        ours: Container[IPv4Address],
    ) -> None:
        self._port = port
        self._socket = socket
        self._desk = desk
        self._is_listening_only = settings.mode is DhcpMode.LISTEN
        self._counters = counters
        self._ours = ours
        interface = socket.interface
        self._servers = {
            str(address): ServerAddress(address, settings.http_port, interface.mtu_bytes)
            for address in interface.addresses
        }
        self._server = self._servers[str(interface.address)]

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def receive(self, datagram: Datagram) -> None:
        """Answer one datagram, or not."""
        try:
            message = dhcp.parse(datagram.data)
        except WireError:
            self._ignore(Silence.MALFORMED, None)
            return
        shown = pxe.address_shown(message)
        if shown is not None:
            self._desk.saw_address(*shown)
        client = self._port.question(message, self._ours)
        if isinstance(client, Silence):
            self._ignore(client, message)
            return
        match self._desk.offer_for(client):
            case Ignored(reason):
                self._ignore(reason, message)
            case Offer() as offer:
                self._answer(datagram, message, client=client, offer=offer)

    def _answer(self, datagram: Datagram, message: DhcpMessage, *, client: BootClient, offer: Offer) -> None:
        """Send what was decided from the address that was asked; the interface's own where everybody was."""
        server = self._servers.get(datagram.destination, self._server)
        reply = self._port.reply(message, client, offer, server)
        if isinstance(reply, Silence):
            self._ignore(reply, message)
            return
        if self._is_listening_only:
            self._tell("dhcp.offer_withheld", client, offer=offer, boot_file=reply.boot_file)
            return
        to = self._port.reply_address(message, datagram.source)
        if not self._socket.send(reply.data, to, source=server.address.packed):
            return
        self._counters.count("dhcp_offered", arch=ARCH_NAMES[client.arch], kind=offer.kind.value)
        for option in reply.left_out:
            self._counters.count("dhcp_left_out", option=str(int(option)))
        self._desk.offered(client, offer)
        self._tell("dhcp.offered", client, offer=offer, boot_file=reply.boot_file)

    def _tell(self, event: str, client: BootClient, *, offer: Offer, boot_file: str) -> None:
        host = self._desk.hosts.by_mac(client.mac)
        log.info(
            event,
            mac=client.mac,
            host=host.name if host else None,
            role=host.role.value if host else None,
            arch=ARCH_NAMES[client.arch],
            stage=client.stage.value,
            kind=offer.kind.value,
            boot_file=boot_file,
            iface=self._socket.interface.name,
            port=self._port.number,
        )

    def _ignore(self, reason: Silence | IgnoreReason, message: DhcpMessage | None) -> None:
        self._counters.count("dhcp_ignored", reason=reason.value)
        log.debug(
            "dhcp.ignored",
            mac=message and pxe.client_mac(message),
            reason=reason.value,
            iface=self._socket.interface.name,
            port=self._port.number,
        )
