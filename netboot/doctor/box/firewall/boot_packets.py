"""The packets of a boot that a firewall of this computer must permit, on each interface."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Interface, IPv4Network
from typing import Final

from netboot.model.host.network import DhcpListen, DhcpMode
from netboot.settings.settings import Settings

_ANY_PORT: Final = (0, 65535)
_MACHINE_PORTS: Final = (1024, 65535)  # that firmware, boot loaders and Linux choose
_OWN_BROADCAST: Final = IPv4Network("255.255.255.255/32")
_NO_ADDRESS: Final = IPv4Network("0.0.0.0/32")
_CLIENT_PORT: Final = 68  # RFC 2131 §4.1
Ports = tuple[int, int]  # the first and the last


class Direction(StrEnum):
    ARRIVES = "input"
    LEAVES = "output"


@dataclass(frozen=True, slots=True)
class BootPacket:
    """Packets of one kind. Addresses are networks and ports are ranges where a packet may have any of them.

    `state` is what conntrack has of it: `established` answers a packet that passed before. `port` is the one of the
    settings, which a rule would name; 0: TFTP's own ports of each transfer.
    """

    what: str
    direction: Direction
    interface: str
    protocol: str
    source: IPv4Network
    source_ports: Ports
    destination: IPv4Network
    destination_ports: Ports
    state: str
    port: int
    is_broadcast: bool = False
    stops_boots: bool = True


def boot_packets(settings: Settings, interface: str, address: IPv4Interface, *, own_ports: Ports) -> list[BootPacket]:
    """List the packets between machines and the daemon; `own_ports` are those that the kernel chooses for sockets."""
    return list(_Lan(settings, interface, address, own_ports).packets())


@dataclass(frozen=True, slots=True)
class _Lan:
    settings: Settings
    interface: str
    address: IPv4Interface
    own_ports: Ports

    def packets(self) -> Iterator[BootPacket]:
        settings = self.settings
        if settings.dhcp.mode is not DhcpMode.OFF and settings.dhcp.listen is DhcpListen.UDP:
            yield from self._dhcp(settings.dhcp.port)
            yield from self._exchange("UEFI's boot requests", "udp", settings.dhcp.pxe_port)
        yield from self._tftp(settings.tftp.port, single_port=settings.tftp.single_port)
        yield from self._exchange("HTTP", "tcp", settings.http.port)
        if settings.logs.port:
            yield self._arrives("logs of machines", "udp", settings.logs.port, stops_boots=False)
            yield self._arrives("logs of machines", "tcp", settings.logs.port, stops_boots=False)

    def _dhcp(self, port: int) -> Iterator[BootPacket]:
        yield BootPacket(
            *("DHCP requests", Direction.ARRIVES, self.interface, "udp", _NO_ADDRESS, (_CLIENT_PORT, _CLIENT_PORT)),
            *(_OWN_BROADCAST, (port, port), "new", port),
            is_broadcast=True,
        )
        yield BootPacket(
            *("DHCP offers", Direction.LEAVES, self.interface, "udp", self._own(), (port, port)),
            *(_OWN_BROADCAST, (_CLIENT_PORT, _CLIENT_PORT), "new", port),
            is_broadcast=True,
        )

    def _tftp(self, port: int, *, single_port: bool) -> Iterator[BootPacket]:
        """Yield the request, and the transfer, which our first DATA begins from a port of its own: RFC 1350 §4."""
        yield self._arrives("TFTP requests", "udp", port)
        ports, named = ((port, port), port) if single_port else (self.own_ports, 0)
        state = "established" if single_port else "new"
        yield BootPacket(
            *("TFTP data", Direction.LEAVES, self.interface, "udp", self._own(), ports, self._lan(), _MACHINE_PORTS),
            *(state, named),
        )
        yield BootPacket(
            *("TFTP acknowledgements", Direction.ARRIVES, self.interface, "udp", self._lan(), _MACHINE_PORTS),
            *(self._own(), ports, "established", named),
        )

    def _exchange(self, what: str, protocol: str, port: int) -> Iterator[BootPacket]:
        yield self._arrives(what, protocol, port)
        yield BootPacket(
            *(f"answers to {what}", Direction.LEAVES, self.interface, protocol, self._own(), (port, port)),
            *(self._lan(), self._machine_ports(port), "established", port),
        )
        if protocol == "tcp":
            yield self._arrives(what, protocol, port, state="established")

    def _arrives(
        self, what: str, protocol: str, port: int, *, state: str = "new", stops_boots: bool = True
    ) -> BootPacket:
        return BootPacket(
            *(what, Direction.ARRIVES, self.interface, protocol, self._lan(), self._machine_ports(port)),
            *(self._own(), (port, port), state, port),
            stops_boots=stops_boots,
        )

    def _machine_ports(self, port: int) -> Ports:
        """Return the ports from which machines send to a port: to 4011 from 68 or 4011."""
        return _ANY_PORT if port == self.settings.dhcp.pxe_port else _MACHINE_PORTS

    def _own(self) -> IPv4Network:
        return IPv4Network(self.address.ip)

    def _lan(self) -> IPv4Network:
        return self.address.network
