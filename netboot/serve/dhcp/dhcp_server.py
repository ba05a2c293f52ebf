"""The DHCP listeners: ports 67 and 4011 on every served interface, opened and closed as interfaces change.

netboot runs beside a DHCP server that it does not change, or as the LAN's only DHCP server. `serve.dhcp.proxy_handler`
handles the datagrams of boot requests; in `reservation` mode `serve.dhcp.lease_handler` handles those on port 67.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from itertools import chain
from typing import assert_never

import structlog

from netboot.boot.offers import OfferService
from netboot.boot.records.packet_capture import PacketCapture
from netboot.errors import PortError
from netboot.model.host.network import DhcpListen, DhcpMode, Interface
from netboot.serve.dhcp.lease_handler import LeaseHandler, Leasing
from netboot.serve.dhcp.proxy_handler import DhcpPort, ProxyDhcpHandler
from netboot.serve.net.packet_socket import PacketSocket
from netboot.serve.net.udp import DatagramPort, UdpSocket
from netboot.telemetry.health import HealthPart
from netboot.telemetry.metrics import Metrics, Reading
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


_MakeHandler = Callable[[DatagramPort], ProxyDhcpHandler | LeaseHandler]


class DhcpServer:
    """Every open listener. Give `serve` to `Interfaces.on_change`."""

    def __init__(
        self,
        offer_service: OfferService,
        settings: DhcpSettings,
        *,
        counters: Metrics,
        leasing: Leasing | None = None,
        capture: PacketCapture | None = None,
    ) -> None:
        """`leasing` is for mode `reservation`; the other modes lease nothing. `capture` None: no packet is recorded."""
        self._offer_service = offer_service
        self._settings = settings
        self._counters = counters
        self._capture = capture
        self._listeners: dict[tuple[Interface, int], ProxyDhcpHandler | LeaseHandler] = {}
        self._interfaces: tuple[Interface, ...] = ()
        self._awaited: dict[tuple[str, int], str] = {}  # ports that cannot be opened now, each with the reason
        self._ours: set[IPv4Address] = set()  # on every interface; shared with the handlers
        self._handlers = self._handlers_of_ports(leasing)

    @property
    def problems(self) -> list[str]:
        """The reason of each port that is not served now."""
        return [self._awaited[key] for key in sorted(self._awaited)]

    def parts(self) -> Iterator[HealthPart]:
        """Give the state of each port on each interface."""
        for interface in self._interfaces:
            for number in self._handlers:
                reason, name = self._awaited.get((interface.name, number)), f"{interface.name}:{number}"
                is_pxe = number == self._settings.pxe_port
                yield HealthPart.of("pxe", reason, name=name) if is_pxe else HealthPart.of("dhcp", reason, name=name)

    def readings(self) -> Iterator[Reading]:
        """Read the queues of the open ports."""
        return chain.from_iterable(handler.readings() for handler in self._listeners.values())

    def unread(self) -> Iterator[str]:
        """Yield the ports whose datagrams the loop does not read; a watchdog calls it every few seconds."""
        for (interface, number), handler in self._listeners.items():
            if handler.is_unread():
                yield f"UDP port {number} on {interface.name}"

    def serve(self, interfaces: Sequence[Interface]) -> None:
        """Answer on these interfaces from now on and on no others, in the running loop.

        If a port is in use, `retry` tries it again.
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
        for interface in self._interfaces:
            for number in self._handlers:
                if (interface, number) not in self._listeners:
                    self._open(interface, number)

    def close(self) -> None:
        """Close every port."""
        for handler in self._listeners.values():
            handler.close()
        self._listeners.clear()
        self._interfaces = ()

    def _handlers_of_ports(self, leasing: Leasing | None) -> dict[int, _MakeHandler]:
        """Return how each port of this mode is handled; in mode `reservation` port 67 leases."""
        offers = DhcpPort(pxe.offer_request, pxe_reply.offer_reply, lambda request, _: dhcp.reply_address(request))
        acks = DhcpPort(
            pxe.boot_server_request,
            pxe_reply.ack_reply,
            lambda _, source: pxe.ack_address(source),
            is_boot_server=True,
        )
        boots = partial(
            ProxyDhcpHandler,
            offer_service=self._offer_service,
            http_port=self._settings.http_port,
            is_listening_only=self._settings.mode is DhcpMode.LISTEN,
            counters=self._counters,
            ours=self._ours,
            capture=self._capture,
        )
        boot_servers = {self._settings.pxe_port: partial(boots, acks)}
        match self._settings.mode:
            case DhcpMode.OFF:
                return {}
            case DhcpMode.PROXY | DhcpMode.LISTEN:
                return {self._settings.port: partial(boots, offers), **boot_servers}
            case DhcpMode.RESERVATION:
                assert leasing is not None
                leases = partial(
                    LeaseHandler,
                    leasing=leasing,
                    offer_service=self._offer_service,
                    http_port=self._settings.http_port,
                    counters=self._counters,
                    ours=self._ours,
                    capture=self._capture,
                )
                return {**boot_servers, self._settings.port: leases}
            case _:
                assert_never(self._settings.mode)

    def _open(self, interface: Interface, number: int) -> None:
        key = interface.name, number
        try:
            socket = self._datagram_port(number, interface)
            try:
                handler = self._handlers[number](socket)
            except PortError:
                socket.close()
                raise
        except PortError as error:
            reason = str(error)
            if number == self._settings.port and self._settings.listen is DhcpListen.UDP:
                reason += "; dhcp.listen: packet answers beside a DHCP server that has the port"
            if self._awaited.get(key) != reason:  # it is tried every few seconds
                log.error("dhcp.bind_failed", iface=interface.name, port=number, reason=reason)
            self._awaited[key] = reason
            return
        socket.watch(handler.receive)
        self._listeners[interface, number] = handler
        if self._awaited.pop(key, None) is not None:
            log.info("dhcp.opened", iface=interface.name, port=number)

    def _datagram_port(self, number: int, interface: Interface) -> DatagramPort:
        """Open one port. With packet sockets, port 4011 is also opened as a UDP socket if no other program has it.

        The kernel answers a unicast to a port without a socket with "port unreachable", and firmware gives up.
        """
        if self._settings.listen is DhcpListen.UDP:
            return UdpSocket(number, interface, counters=self._counters)
        if number == self._settings.pxe_port:
            with suppress(PortError):
                return UdpSocket(number, interface, counters=self._counters)
        return PacketSocket(number, interface, counters=self._counters)
