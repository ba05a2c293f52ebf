"""The DHCP listeners: ports 67 and 4011 on every served interface, opened and closed as interfaces change.

netboot runs beside a DHCP server that it does not change, or as the LAN's only DHCP server. `serve.dhcp.proxy_handler`
handles the datagrams of boot requests; in `reservation` mode `serve.dhcp.lease_handler` handles those on port 67.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import assert_never

import structlog

from netboot.boot.offers import OfferService
from netboot.errors import PortError
from netboot.model.host.network import DhcpListen, DhcpMode, Interface
from netboot.serve.dhcp.lease_handler import LeaseHandler, Leasing
from netboot.serve.dhcp.proxy_handler import DhcpPort, ProxyDhcpHandler
from netboot.serve.net.packet_socket import PacketSocket
from netboot.serve.net.udp import DatagramPort, UdpSocket
from netboot.telemetry.metrics import Metrics
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp import pxe, pxe_reply

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DhcpSettings:
    """The settings of the listeners: `dhcp.mode`, `.port`, `.pxe_port`, `http.port` and `dhcp.listen`."""

    mode: DhcpMode
    port: int
    pxe_port: int
    http_port: int
    listen: DhcpListen


def _ports(settings: DhcpSettings) -> tuple[DhcpPort, ...]:
    """List the ports of boot requests; in mode `reservation` port 67 has its own handler."""
    offers = DhcpPort(
        settings.port, pxe.offer_request, pxe_reply.offer_reply, lambda request, _: dhcp.reply_address(request)
    )
    boot_servers = DhcpPort(
        settings.pxe_port, pxe.boot_server_request, pxe_reply.ack_reply, lambda _, source: pxe.ack_address(source)
    )
    match settings.mode:
        case DhcpMode.OFF:
            return ()
        case DhcpMode.PROXY | DhcpMode.LISTEN:
            return offers, boot_servers
        case DhcpMode.RESERVATION:
            return (boot_servers,)
        case _:
            assert_never(settings.mode)


class DhcpServer:
    """Every open listener. Give `serve` to `Interfaces.on_change`."""

    def __init__(
        self, service: OfferService, settings: DhcpSettings, *, counters: Metrics, leasing: Leasing | None = None
    ) -> None:
        """`leasing` is for mode `reservation`; the other modes lease nothing."""
        self._service = service
        self._leasing = leasing if settings.mode is DhcpMode.RESERVATION else None
        self._settings = settings
        self._counters = counters
        self._ports = _ports(settings)
        self._listeners: dict[tuple[Interface, int], ProxyDhcpHandler | LeaseHandler] = {}
        self._interfaces: tuple[Interface, ...] = ()
        self._awaited: dict[tuple[str, int], str] = {}  # ports that cannot be opened now, each with the reason
        self._ours: set[IPv4Address] = set()  # on every interface; shared with the handlers

    @property
    def problems(self) -> list[str]:
        """The reason of each port that is not served now."""
        return [self._awaited[key] for key in sorted(self._awaited)]

    def serve(self, interfaces: Sequence[Interface]) -> None:
        """Answer on these interfaces from now on and on no others, in the running loop.

        A port that is taken is awaited: `retry` tries it again.
        """
        for interface, number in tuple(self._listeners):
            if interface not in interfaces:
                self._listeners.pop((interface, number)).close()
        self._interfaces = tuple(interfaces)
        self._ours.clear()
        self._ours.update(address for interface in interfaces for address in interface.addresses)
        here = {interface.name for interface in interfaces}
        self._awaited = {key: reason for key, reason in self._awaited.items() if key[0] in here}
        self.retry()

    def retry(self) -> None:
        """Open what could not be opened so far."""
        numbers = [port.number for port in self._ports] + ([self._settings.port] if self._leasing else [])
        for interface in self._interfaces:
            for number in numbers:
                if (interface, number) not in self._listeners:
                    self._open(interface, number)

    def close(self) -> None:
        """Close every port."""
        for handler in self._listeners.values():
            handler.close()
        self._listeners.clear()
        self._interfaces = ()

    def _open(self, interface: Interface, number: int) -> None:
        key = interface.name, number
        port = next((port for port in self._ports if port.number == number), None)
        try:
            if port is not None:
                self._listeners[interface, number] = self._boot_handler(port, interface)
            elif self._leasing is not None:
                self._listeners[interface, number] = self._lease_handler(self._leasing, interface)
        except PortError as error:
            reason = str(error)
            if number == self._settings.port and self._settings.listen is DhcpListen.UDP:
                reason += "; dhcp.listen: packet answers beside a DHCP server that has the port"
            if self._awaited.get(key) != reason:  # it is tried every few seconds
                log.error("dhcp.bind_failed", iface=interface.name, port=number, reason=reason)
            self._awaited[key] = reason
            return
        if self._awaited.pop(key, None) is not None:
            log.info("dhcp.opened", iface=interface.name, port=number)

    def _datagram_port(self, number: int, interface: Interface) -> DatagramPort:
        """Open one port. Taking frames, port 4011 is still held where nobody else does.

        A unicast to a port that nobody holds is answered "port unreachable" by the kernel, and firmware gives up.
        """
        if self._settings.listen is DhcpListen.UDP:
            return UdpSocket(number, interface, counters=self._counters)
        if number == self._settings.pxe_port:
            with suppress(PortError):
                return UdpSocket(number, interface, counters=self._counters)
        return PacketSocket(number, interface, counters=self._counters)

    def _boot_handler(self, port: DhcpPort, interface: Interface) -> ProxyDhcpHandler:
        socket = self._datagram_port(port.number, interface)
        handler = ProxyDhcpHandler(
            port,
            socket,
            service=self._service,
            http_port=self._settings.http_port,
            is_listening_only=self._settings.mode is DhcpMode.LISTEN,
            counters=self._counters,
            ours=self._ours,
        )
        socket.watch(handler.receive)
        return handler

    def _lease_handler(self, leasing: Leasing, interface: Interface) -> LeaseHandler:
        socket = self._datagram_port(self._settings.port, interface)
        try:
            handler = LeaseHandler(
                socket,
                leasing,
                service=self._service,
                http_port=self._settings.http_port,
                counters=self._counters,
                ours=self._ours,
            )
        except PortError:
            socket.close()
            raise
        socket.watch(handler.receive)
        return handler
