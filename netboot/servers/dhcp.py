"""The DHCP doors: port 67 and port 4011 on every interface that is served, opened and closed as interfaces come and go.

Beside a DHCP server that nobody may change. What a door does with a datagram is `servers.dhcp_door`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, assert_never

import structlog

from netboot.errors import ConfigError, PortError, Problem
from netboot.model.network import DhcpMode, Interface
from netboot.proto import dhcp, pxe, pxe_reply
from netboot.servers.dhcp_door import Desk, DhcpDoor, DhcpPort
from netboot.servers.udp import Counters, UdpSocket

log = structlog.get_logger()

_RESERVATION_TO_COME: Final = Problem(
    file="dhcp.mode",
    line=0,
    column=0,
    where="reservation",
    what="is not there yet",
    cure="keep the LAN's DHCP server and use proxy",
)


@dataclass(frozen=True, slots=True)
class DhcpSettings:
    """What the settings say of the doors: `dhcp.mode`, `dhcp.port`, `dhcp.pxe_port` and `http.port`."""

    mode: DhcpMode = DhcpMode.PROXY
    port: int = dhcp.SERVER_PORT
    pxe_port: int = pxe.BOOT_SERVER_PORT
    http_port: int = 8080


def _ports(settings: DhcpSettings) -> tuple[DhcpPort, ...]:
    match settings.mode:
        case DhcpMode.OFF:
            return ()
        case DhcpMode.PROXY | DhcpMode.LISTEN:
            return (
                DhcpPort(
                    settings.port, pxe.offer_question, pxe_reply.offer_reply, lambda asked, _: dhcp.reply_address(asked)
                ),
                DhcpPort(
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
                    port,
                    socket,
                    desk=self._desk,
                    http_port=self._settings.http_port,
                    is_listening_only=self._settings.mode is DhcpMode.LISTEN,
                    counters=self._counters,
                    ours=self._ours,
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
