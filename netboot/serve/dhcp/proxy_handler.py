"""The proxyDHCP handler of one port on one interface: parses, decides, answers and logs each datagram.

Answers boot requests only, never leases, never sends in `listen` mode. docs/architecture.md shows the path of a
datagram.
"""

import logging
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address

import structlog

from netboot.boot.decide import Decision
from netboot.boot.offers import OfferService
from netboot.boot.records.packet_capture import PacketCapture
from netboot.errors import WireError
from netboot.model.boot.boot_client import ARCH_NAMES, BootClient, arch_name
from netboot.model.boot.offer import Ignored, Offer
from netboot.model.captured_packet import CapturedPacket
from netboot.model.host.mac import Mac
from netboot.serve.dhcp.captured_dhcp import CapturedDhcp
from netboot.serve.dhcp.ignored import IgnoredRequests
from netboot.serve.net.udp import Address, Datagram, DatagramPort
from netboot.telemetry.metrics import Metrics, Reading
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp import pxe
from netboot.wire.dhcp.message import DhcpMessage
from netboot.wire.dhcp.pxe import DropReason
from netboot.wire.dhcp.pxe_reply import Reply, ServerAddress


@dataclass(frozen=True, slots=True)
class DhcpPort:
    """The differences of 67 and 4011: which messages are boot requests, how they are answered, and where to."""

    client_of: Callable[[DhcpMessage, Container[IPv4Address]], BootClient | DropReason]
    reply: Callable[[DhcpMessage, BootClient, Offer, ServerAddress], Reply | DropReason]
    reply_address: Callable[[DhcpMessage, Address], Address]
    is_boot_server: bool = False  # 4011, to which firmware sends after it has an address


_Request = tuple[Datagram, DhcpMessage, BootClient | DropReason]
_Decided = tuple[Datagram, DhcpMessage, BootClient, Decision]
_Sent = tuple[BootClient, Decision, Reply, Address, str]  # where to, and from which address of ours


class ProxyDhcpHandler:
    """One port on one interface: each datagram ends in a reply or in a drop with its reason."""

    def __init__(
        self,
        port: DhcpPort,
        socket: DatagramPort,
        *,
        offer_service: OfferService,
        http_port: int,
        is_listening_only: bool,
        counters: Metrics,
        ours: Container[IPv4Address],
        capture: PacketCapture | None = None,
    ) -> None:
        self._port = port
        self._socket = socket
        self._offer_service = offer_service
        self._is_listening_only = is_listening_only
        self._counters = counters
        self._log = structlog.get_logger().bind()  # the lazy logger costs a microsecond per line
        self._logs_offers = self._log.is_enabled_for(logging.DEBUG)
        self._ours = ours
        interface = socket.interface
        self._ignored = IgnoredRequests(interface, socket.port, offer_service=offer_service, counters=counters)
        self._servers = {
            str(address): ServerAddress(address, http_port, interface.mtu_bytes, interface.advertise)
            for address in interface.addresses
        }
        self._server = self._servers[str(interface.address)]
        self._captured = None if capture is None else CapturedDhcp(capture, interface.name, socket.port)

    def is_unread(self) -> bool:
        """Return whether datagrams wait on this port that the loop does not read."""
        return self._socket.is_unread()

    def readings(self) -> Iterator[Reading]:
        """Read the queue of this port."""
        yield self._socket.measure_queue()

    def close(self) -> None:
        """Close the port."""
        self._socket.close()

    def receive(self, datagrams: Sequence[Datagram]) -> None:
        """Answer or drop datagrams: each step for all of them, then the next.

        The code of one step fits into the processor's cache, that of all steps does not: for many datagrams that is a
        third of the CPU time. All replies are sent before the first is recorded.
        """
        if self._captured is None:
            self._handle(datagrams)
            return
        at = self._captured.now()
        requests, sent = self._handle(datagrams)
        packets = self._packets(self._captured, requests, at, sent=sent)
        self._captured.record(packets, len(requests) + len(sent))

    def _handle(self, datagrams: Sequence[Datagram]) -> tuple[list[_Request], list[_Sent]]:
        each = self._socket.each
        requests = each(self._parse, datagrams)
        sent = each(self._answer, each(self._decide, requests))
        each(self._record, sent)
        return requests, sent

    def _packets(
        self, captured: CapturedDhcp, requests: Sequence[_Request], at: datetime, *, sent: Sequence[_Sent]
    ) -> Iterator[tuple[Mac | None, CapturedPacket]]:
        for datagram, message, client in requests:
            mac = client.mac if isinstance(client, BootClient) else pxe.client_mac(message)
            yield mac, captured.request(datagram, at)
        for client, _, reply, to, source in sent:
            yield client.mac, captured.reply(reply.data, to, source)

    def _parse(self, datagram: Datagram) -> _Request | None:
        try:
            message = dhcp.parse(datagram.data)
        except WireError:
            self._ignored.drop(DropReason.MALFORMED, None)
            return None
        return datagram, message, self._port.client_of(message, self._ours)

    def _decide(self, request: _Request) -> _Decided | None:
        datagram, message, client = request
        shown = pxe.address_shown(message)
        if shown is not None:
            self._offer_service.record_address(*shown, exchange=message.xid)
        if isinstance(client, DropReason):
            self._ignored.drop(client, message)
            return None
        decision = self._offer_service.decide_offer(client)
        if isinstance(decision, Ignored):
            self._ignored.drop(decision.reason, message)
            return None
        return datagram, message, client, decision

    def _answer(self, decided: _Decided) -> _Sent | None:
        """Send an offer from the request's destination; from the interface's address if that was a broadcast."""
        datagram, message, client, decision = decided
        server = self._servers.get(datagram.destination, self._server)
        reply = self._port.reply(message, client, decision.offer, server)
        if isinstance(reply, DropReason):
            self._ignored.drop(reply, message)
            return None
        if self._is_listening_only:
            self._log.info("dhcp.offer_withheld", **self._facts(client, decision, reply))
            return None
        to = self._port.reply_address(message, datagram.source)
        is_sent = self._socket.send(reply.data, to, source=server.packed)
        return (client, decision, reply, to, server.text) if is_sent else None

    def _record(self, sent: _Sent) -> None:
        client, decision, reply, _, _ = sent
        self._counters.count("dhcp_offered", arch=ARCH_NAMES.get(client.arch, "other"), kind=str(decision.offer.kind))
        for option in reply.left_out:
            self._counters.count("dhcp_left_out", option=str(option))
        self._offer_service.record_offer(decision)
        if self._port.is_boot_server:
            self._offer_service.record_pxe_request(decision)
        if self._logs_offers:
            self._log.debug("dhcp.offered", **self._facts(client, decision, reply))

    def _facts(self, client: BootClient, decision: Decision, reply: Reply) -> dict[str, object]:
        host = decision.host
        return {
            "mac": client.mac,
            "host": host.name if host else None,
            "role": host.role if host else None,
            "arch": arch_name(client.arch),
            "stage": client.stage,
            "kind": decision.offer.kind,
            "boot_file": reply.boot_file,
            "iface": self._socket.interface.name,
            "port": self._socket.port,
        }
