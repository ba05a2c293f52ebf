"""The proxyDHCP handler of one port on one interface: parses, decides, answers and logs each datagram.

Answers boot requests only, never leases, never sends in `listen` mode. docs/architecture.md shows the path of a
datagram.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

import structlog

from netboot.boot.offers import OfferService
from netboot.errors import WireError
from netboot.model.boot.boot_client import BootClient, arch_name
from netboot.model.boot.offer import Ignored, Offer
from netboot.model.lease import LeaseDropReason
from netboot.serve.dhcp.ignored import PACKET_CURES, IgnoredRequests
from netboot.serve.dhcp.repeats import Answered, Repeats
from netboot.serve.net.udp import Address, Datagram, DatagramPort
from netboot.telemetry.metrics import Metrics
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp import pxe
from netboot.wire.dhcp.message import DhcpMessage
from netboot.wire.dhcp.pxe import DropReason
from netboot.wire.dhcp.pxe_reply import Reply, ServerAddress

log = structlog.get_logger()

_EVERYBODY: Final = (str(dhcp.BROADCAST), dhcp.CLIENT_PORT)


@dataclass(frozen=True, slots=True)
class DhcpPort:
    """The differences of 67 and 4011: which messages are boot requests, how they are answered, and where to."""

    number: int
    client_of: Callable[[DhcpMessage, Container[IPv4Address]], BootClient | DropReason]
    reply: Callable[[DhcpMessage, BootClient, Offer, ServerAddress], Reply | DropReason]
    reply_address: Callable[[DhcpMessage, Address], Address]


class ProxyDhcpHandler:
    """One port on one interface: each datagram ends in a reply or in a drop with its reason."""

    def __init__(
        self,
        port: DhcpPort,
        socket: DatagramPort,
        *,
        service: OfferService,
        http_port: int,
        is_listening_only: bool,
        counters: Metrics,
        ours: Container[IPv4Address],
    ) -> None:
        self._port = port
        self._socket = socket
        self._service = service
        self._is_listening_only = is_listening_only
        self._counters = counters
        self._ours = ours
        self._repeats = Repeats()
        interface = socket.interface
        self._ignored = IgnoredRequests(interface, port.number, counters=counters)
        self._servers = {
            str(address): ServerAddress(address, http_port, interface.mtu_bytes, interface.advertise)
            for address in interface.addresses
        }
        self._server = self._servers[str(interface.address)]

    def close(self) -> None:
        """Close the port."""
        self._socket.close()

    def receive(self, datagram: Datagram) -> None:
        """Answer or drop one datagram."""
        before = self._repeats.find(datagram.data)
        if before is not None and before.server is self._servers.get(datagram.destination, self._server):
            self._answer_again(datagram, before)
            return
        try:
            message = dhcp.parse(datagram.data)
        except WireError:
            self._ignored.record(DropReason.MALFORMED, None)
            return
        shown = pxe.address_shown(message)
        if shown is not None:
            self._service.saw_address(*shown, exchange=message.xid)
        client = self._port.client_of(message, self._ours)
        if isinstance(client, DropReason):
            self._refuse(client, message)
            return
        self._answer_anew(datagram, message, client=client, decided=self._service.offer_for(client))

    def _answer_again(self, datagram: Datagram, before: Answered) -> None:
        """Answer a repeated request with the same reply, if the decision is the same."""
        client = before.client_of(datagram.data)
        decided = self._service.offer_for(client)
        if decided == before.offer:
            self._send(
                before.reply_to(datagram.data), _EVERYBODY, client=client, offer=before.offer, server=before.server
            )
        else:
            self._answer_anew(datagram, dhcp.parse(datagram.data), client=client, decided=decided)

    def _answer_anew(
        self, datagram: Datagram, message: DhcpMessage, *, client: BootClient, decided: Offer | Ignored
    ) -> None:
        match decided:
            case Ignored(reason):
                self._ignored.record(reason, message)
            case Offer() as offer:
                self._answer(datagram, message, client=client, offer=offer)

    def _answer(self, datagram: Datagram, message: DhcpMessage, *, client: BootClient, offer: Offer) -> None:
        """Send an offer from the request's destination; from the interface's address if that was a broadcast."""
        server = self._servers.get(datagram.destination, self._server)
        reply = self._port.reply(message, client, offer, server)
        if isinstance(reply, DropReason):
            self._refuse(reply, message)
            return
        if self._is_listening_only:
            log.info("dhcp.offer_withheld", **self._facts(client, offer, reply))
            return
        self._repeats.keep(datagram.data, message, Answered(client, offer, server, reply))
        to = self._port.reply_address(message, datagram.source)
        self._send(reply, to, client=client, offer=offer, server=server)

    def _refuse(self, reason: DropReason, message: DhcpMessage) -> None:
        self._ignored.record(reason, message)
        record_refusal(self._service, reason, message)

    def _send(self, reply: Reply, to: Address, *, client: BootClient, offer: Offer, server: ServerAddress) -> None:
        if not self._socket.send(reply.data, to, source=server.address.packed):
            return
        self._counters.count("dhcp_offered", arch=arch_name(client.arch), kind=offer.kind.value)
        for option in reply.left_out:
            self._counters.count("dhcp_left_out", option=str(int(option)))
        self._service.offered(client, offer)
        log.debug("dhcp.offered", **self._facts(client, offer, reply))

    def _facts(self, client: BootClient, offer: Offer, reply: Reply) -> dict[str, object]:
        host = self._service.hosts.by_mac(client.mac)
        return {
            "mac": client.mac,
            "host": host.name if host else None,
            "role": host.role if host else None,
            "arch": arch_name(client.arch),
            "stage": client.stage,
            "kind": offer.kind,
            "boot_file": reply.boot_file,
            "iface": self._socket.interface.name,
            "port": self._port.number,
        }


def record_refusal(service: OfferService, reason: DropReason | LeaseDropReason, message: DhcpMessage) -> None:
    """Record a drop that an operator can end, by the MAC of the machine."""
    mac = pxe.client_mac(message) if reason in PACKET_CURES else None
    if mac is not None:
        service.refused(mac, reason.value, cure=PACKET_CURES[reason])
