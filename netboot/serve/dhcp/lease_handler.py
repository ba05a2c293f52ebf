"""The DHCP handler of the LAN's only server: each lease request is parsed, decided, stored and answered.

Never acknowledges a lease that is not on disk, never offers an address that answers a probe.
"""

from collections.abc import Callable, Container, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Address
from typing import Any, Final, assert_never

import structlog

from netboot.boot.decide import Decision
from netboot.boot.offers import OfferService
from netboot.boot.records.packet_capture import PacketCapture
from netboot.errors import WireError
from netboot.leasing.lease_service import LeaseService
from netboot.model.boot.boot_client import ARCH_NAMES, BootClient, arch_name
from netboot.model.boot.offer import Ignored, IgnoreReason
from netboot.model.captured_packet import CapturedPacket
from netboot.model.host.mac import Mac
from netboot.model.lease import (
    LeaseClosed,
    LeaseDropReason,
    LeaseGranted,
    LeaseInformed,
    LeaseOffered,
    LeaseRefused,
    LeaseRequest,
    LeaseTerms,
    LeaseToProbe,
    LeaseVerdict,
)
from netboot.serve.dhcp.captured_dhcp import CapturedDhcp
from netboot.serve.dhcp.ignored import IgnoredRequests
from netboot.serve.net.arp import ArpProber
from netboot.serve.net.udp import Datagram, DatagramPort
from netboot.telemetry.metrics import Metrics, Reading
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp import pxe
from netboot.wire.dhcp.lease_reply import LeaseAnswer, lease_reply, lease_reply_address, nak_reply
from netboot.wire.dhcp.lease_request import lease_request
from netboot.wire.dhcp.message import DhcpMessage, Option
from netboot.wire.dhcp.pxe import DropReason
from netboot.wire.dhcp.pxe_reply import Reply, ServerAddress

log = structlog.get_logger()

AT_WORK: Final = 512  # requests that wait for a probe or the disk; more are dropped, and the clients retry
PROBES_PER_REQUEST: Final = 3  # addresses of the pool that are probed for one request; then the client has timed out

Spawn = Callable[[Coroutine[Any, Any, None]], object]


@dataclass(frozen=True, slots=True)
class Leasing:
    """The lease service, and `spawn`, which runs what waits for a probe or the disk."""

    service: LeaseService
    spawn: Spawn


@dataclass(frozen=True, slots=True)
class _IncomingLeaseRequest:
    datagram: Datagram
    message: DhcpMessage
    request: LeaseRequest
    at: datetime | None = None  # of its arrival, if it is recorded
    is_again: bool = False  # decided once more, because another appliance leased the address


class LeaseHandler:
    """Port 67 on one interface where this appliance leases. Owns its socket and its prober."""

    def __init__(
        self,
        socket: DatagramPort,
        leasing: Leasing,
        *,
        offer_service: OfferService,
        http_port: int,
        counters: Metrics,
        ours: Container[IPv4Address],
        capture: PacketCapture | None = None,
    ) -> None:
        """Raises PortError if ARP cannot be watched."""
        self._socket = socket
        self._interface = socket.interface
        self._leasing = leasing
        self._offer_service = offer_service
        self._http_port = http_port
        self._counters = counters
        self._ours = ours
        self._at_work = 0
        self._captured = None if capture is None else CapturedDhcp(capture, socket.interface.name, socket.port)
        self._ignored = IgnoredRequests(socket.interface, socket.port, offer_service=offer_service, counters=counters)
        self._prober = ArpProber(socket.interface, counters=counters)

    def is_unread(self) -> bool:
        """Return whether datagrams wait on this port that the loop does not read."""
        return self._socket.is_unread()

    def readings(self) -> Iterator[Reading]:
        """Read the queue of this port, and the requests that wait for a probe or the disk."""
        yield self._socket.measure_queue()
        yield Reading("queue_length", self._at_work, ("lease-requests", self._interface.name))

    def close(self) -> None:
        """Close the port; what waits for a probe or the disk gets no reply."""
        self._socket.close()
        self._prober.close()

    def receive(self, datagrams: Sequence[Datagram]) -> None:
        """Answer datagrams, now or when their leases are on disk, or drop them."""
        self._socket.each(self._receive, datagrams)

    def _receive(self, datagram: Datagram) -> None:
        try:
            message = dhcp.parse(datagram.data)
        except WireError:
            self._ignored.drop(DropReason.MALFORMED, None)
            return
        is_unicast = IPv4Address(datagram.destination) in self._interface.addresses
        request = lease_request(message, self._ours, is_unicast=is_unicast)
        if not isinstance(request, LeaseRequest):
            self._ignored.drop(request, message)
        elif self._at_work >= AT_WORK:
            self._ignored.drop(LeaseDropReason.TOO_BUSY, message)
        else:
            at = None if self._captured is None else self._captured.now()
            incoming = _IncomingLeaseRequest(datagram, message, request, at)
            self._take(incoming, self._decide(incoming))

    def _decide(self, incoming: _IncomingLeaseRequest) -> LeaseVerdict:
        return self._leasing.service.decide(incoming.request, self._interface.networks, self._interface.addresses)

    def _take(self, incoming: _IncomingLeaseRequest, verdict: LeaseVerdict) -> None:
        match verdict:
            case LeaseOffered(terms):
                self._answer(incoming, LeaseAnswer.OFFER, terms)
            case LeaseInformed(terms):
                self._answer(incoming, LeaseAnswer.INFORM_ACK, terms)
            case LeaseRefused(reason):
                self._refuse(incoming, reason)
            case LeaseToProbe():
                self._leasing.spawn(self._work(self._probe(incoming, verdict)))
            case LeaseGranted() | LeaseClosed():
                self._leasing.spawn(self._work(self._keep(incoming, verdict)))
            case LeaseDropReason():
                self._drop(verdict, incoming)
            case _:
                assert_never(verdict)

    # Requests that wait

    async def _work(self, job: Coroutine[Any, Any, None]) -> None:
        """Run a waiting request; a fault of ours in it must not end the daemon."""
        self._at_work += 1
        try:
            await job
        except Exception as error:
            self._socket.log_fault(error)
        finally:
            self._at_work -= 1

    async def _probe(self, incoming: _IncomingLeaseRequest, to_probe: LeaseToProbe) -> None:
        """Probe the address and decide again: an offer, or the next address of the pool."""
        holder: Mac | None = None
        for _ in range(PROBES_PER_REQUEST):
            holder = None
            if not to_probe.is_relayed:
                holder = await self._prober.holder(to_probe.address, besides=incoming.request.mac)
            if not self._leasing.service.record_probe(incoming.request, to_probe.address, holder):
                break
            verdict = self._decide(incoming)
            if not isinstance(verdict, LeaseToProbe):
                self._take(incoming, verdict)
                return
            to_probe = verdict
        self._drop(self._in_use_by(holder, incoming.request.mac), incoming)

    def _in_use_by(self, holder: Mac | None, mac: Mac | None) -> LeaseDropReason:
        """Return the reason if an address is in use: by another machine, or by the host's other card."""
        host = self._offer_service.hosts.by_mac(mac) if mac is not None else None
        is_own = host is not None and holder in host.macs
        return LeaseDropReason.HELD_BY_OTHER_CARD if is_own else LeaseDropReason.ADDRESS_IN_USE

    async def _keep(self, incoming: _IncomingLeaseRequest, verdict: LeaseGranted | LeaseClosed) -> None:
        """Store a verdict; only then a grant is acknowledged."""
        drop_reason = await self._leasing.service.keep(verdict)
        if drop_reason is LeaseDropReason.GRANTED_ELSEWHERE and not incoming.is_again:
            again = replace(incoming, is_again=True)
            self._take(again, self._decide(again))
        elif drop_reason is not None:
            self._drop(drop_reason, incoming)
        elif isinstance(verdict, LeaseGranted):
            if incoming.request.mac is not None:
                self._offer_service.record_address(
                    incoming.request.mac, verdict.lease.address, exchange=incoming.message.xid
                )
            self._answer(incoming, LeaseAnswer.ACK, verdict.terms)
        else:
            self._drop(LeaseDropReason.NO_ANSWER_DUE, incoming)

    # Replies

    def _answer(self, incoming: _IncomingLeaseRequest, answer: LeaseAnswer, terms: LeaseTerms) -> None:
        server = self._server_for(incoming, terms)
        boot = self._boot_for(incoming.message)
        leads = (boot[0], boot[1].offer) if isinstance(boot, tuple) else None
        reply = lease_reply(incoming.message, answer, terms, server, boot=leads)
        if not self._send(incoming, answer, reply, server):
            return
        if not isinstance(boot, tuple):
            if incoming.request.mac is not None:
                self._ignored.record_cure(boot, incoming.request.mac)
            why = {} if boot is DropReason.NOT_A_BOOT_CLIENT else {"reason": boot.value}
            log.debug("lease.answered", **self._facts(incoming, answer, terms.address, **why))
            return
        client, decision = boot
        kind = decision.offer.kind.value
        self._counters.count("dhcp_offered", arch=ARCH_NAMES.get(client.arch, "other"), kind=kind)
        self._offer_service.record_offer(decision)
        data = {"arch": arch_name(client.arch), "stage": client.stage.value, "kind": kind}
        log.debug("lease.answered", **self._facts(incoming, answer, terms.address, **data, boot_file=reply.boot_file))

    def _refuse(self, incoming: _IncomingLeaseRequest, reason: str) -> None:
        server = self._server_for(incoming, None)
        if self._send(incoming, LeaseAnswer.NAK, nak_reply(incoming.message, reason, server), server):
            log.info(
                "lease.answered", **self._facts(incoming, LeaseAnswer.NAK, incoming.request.address, reason=reason)
            )

    def _send(self, incoming: _IncomingLeaseRequest, answer: LeaseAnswer, reply: Reply, server: ServerAddress) -> bool:
        to = lease_reply_address(incoming.message, answer)
        if not self._socket.send(reply.data, to, source=server.packed):
            return False
        if self._captured is not None:
            self._record(incoming, self._captured.reply(reply.data, to, server.text))
        self._counters.count("lease_answered", answer=answer.value)
        for option in reply.left_out:
            self._counters.count("dhcp_left_out", option=str(option))
        return True

    def _drop(self, reason: LeaseDropReason, incoming: _IncomingLeaseRequest) -> None:
        self._ignored.drop(reason, incoming.message)
        self._record(incoming)

    def _record(self, incoming: _IncomingLeaseRequest, *replies: CapturedPacket) -> None:
        """Record a request and its replies, when it is known whether it began a boot."""
        if self._captured is not None and incoming.at is not None:
            packets = (self._captured.request(incoming.datagram, incoming.at), *replies)
            mac = pxe.client_mac(incoming.message)
            self._captured.record(((mac, packet) for packet in packets), len(packets))

    def _boot_for(self, message: DhcpMessage) -> tuple[BootClient, Decision] | DropReason | IgnoreReason:
        """Return what the client's firmware is offered beside its lease, or why it gets the lease alone."""
        client = pxe.boot_client(message)
        if isinstance(client, DropReason):
            return client
        match self._offer_service.decide_offer(client):
            case Decision() as decision:
                return client, decision
            case Ignored(reason):
                return reason

    def _server_for(self, incoming: _IncomingLeaseRequest, terms: LeaseTerms | None) -> ServerAddress:
        """Choose our address: the one to which the client sent or that it named, else the one in its network."""
        named = incoming.message.address_option(Option.SERVER_ID)
        interface = self._interface
        chosen = interface.address
        if named in interface.addresses:
            chosen = named
        elif (destination := IPv4Address(incoming.datagram.destination)) in interface.addresses:
            chosen = destination
        elif terms is not None and chosen not in terms.network:
            chosen = next((each for each in interface.addresses if each in terms.network), chosen)
        return ServerAddress(chosen, self._http_port, interface.mtu_bytes, interface.advertise)

    def _facts(
        self, incoming: _IncomingLeaseRequest, answer: LeaseAnswer, address: IPv4Address | None, **data: str
    ) -> Mapping[str, object]:
        mac = incoming.request.mac
        host = self._offer_service.hosts.by_mac(mac) if mac is not None else None
        return {
            "answer": answer.value,
            "mac": mac,
            "host": host.name if host else None,
            "address": address and str(address),
            "state": incoming.request.kind.value,
            "iface": self._interface.name,
            **data,
        }
