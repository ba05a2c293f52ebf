"""One DHCP transaction of a simulated machine: DISCOVER until its firmware has chosen, then REQUEST.

Sends and receives below the IP stack of this computer, because the machine has no address yet.
"""

import asyncio
from ipaddress import IPv4Address

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.dhcp_answer import ACK, NAK, OFFER, DhcpAnswer, answer_in
from netboot.probe.dhcp.offer_choice import ChoiceRules, HeardOffers, OfferChoice
from netboot.probe.firmwares.dhcp_client import DhcpClient, DhcpRules, MessageKind
from netboot.probe.firmwares.message_form import Values
from netboot.probe.lan.udp_frames import Way
from netboot.probe.machine import SimulatedMachine

_NOWHERE = IPv4Address(0)
_REPLY = 2
_MOST_KEPT = 64  # offers, and reasons of dropped replies: anybody can send more


class DhcpExchange:
    """The messages of one transaction. `queue` receives the frames that have its xid."""

    def __init__(
        self, machine: SimulatedMachine, client: DhcpClient, rules: ChoiceRules, *, xid: int,
        queue: asyncio.Queue[bytes],
    ) -> None:  # fmt: skip
        self.xid = xid
        self._machine = machine
        self._client = client
        self._rules = rules
        self._queue = queue
        self._offers: list[DhcpAnswer] = []
        self._dropped: list[str] = []
        self._sent = 0
        self._began_s = machine.timeline.now_s
        values = Values(machine.mac, machine.uuid, xid)
        self._chaddr = client.message(MessageKind.DISCOVER, values)[28:44]

    @property
    def heard(self) -> HeardOffers:
        """The offers until now."""
        return HeardOffers(self._offers, self._dropped, self._machine.fixed_address is None)

    @property
    def waited_s(self) -> float:
        """The seconds since the first DISCOVER."""
        return self._machine.timeline.now_s - self._began_s

    async def discover(self) -> OfferChoice:
        """Send DISCOVERs until the firmware chooses; raise BootFailedError when it gives up."""
        elapsed_s = 0.0
        for wait_s in self._client.timing.discover_s:
            self._send(MessageKind.DISCOVER, elapsed_s)
            await self._collect(self._machine.behaviour.wait_s(wait_s))
            elapsed_s += wait_s
            choice = self._rules.choose(self.heard, elapsed_s)
            if choice is not None:
                return choice
        raise self._rules.no_offer(self.heard)

    async def request(self, lease: DhcpAnswer) -> DhcpAnswer | None:
        """Request the address of an offer and return the ACK; None if it is refused (NAK). Raise BootFailedError."""
        elapsed_s = 0.0
        for wait_s in self._client.timing.request_s:
            self._send(MessageKind.REQUEST, elapsed_s, lease)
            deadline_s = asyncio.get_running_loop().time() + self._machine.behaviour.wait_s(wait_s)
            while (answer := await self._next(deadline_s)) is not None:
                if not self._is_refused(answer, (ACK, NAK)) and answer.server == lease.server:
                    return self._acknowledged(answer)
            elapsed_s += wait_s
        raise lease_failed(f"{lease.server} does not acknowledge {lease.yiaddr}, which it offered", lease)

    def _acknowledged(self, answer: DhcpAnswer) -> DhcpAnswer | None:
        if answer.kind == ACK:
            return answer
        self._machine.timeline.add(Step.OFFER, f"got a NAK of {answer.server}", size_bytes=len(answer.data))
        return None

    def secs(self, elapsed_s: float) -> int:
        """Return `secs` of the next message: iPXE's has its count and what it got, others' the elapsed seconds."""
        self._sent += 1
        if self._client.rules is DhcpRules.IPXE:
            heard = self.heard
            return self._sent << 2 | (2 if heard.leases else 0) | (1 if _has_proxy(heard) else 0)
        return self._client.timing.first_secs + int(elapsed_s)

    def is_for_us(self, answer: DhcpAnswer) -> bool:
        """Return whether a reply has our transaction's values; others are dropped without a trace."""
        hlen = self._client.discover.chaddr.value
        return answer.op == _REPLY and answer.hlen == hlen and answer.chaddr == self._chaddr

    def _send(self, kind: MessageKind, elapsed_s: float, lease: DhcpAnswer | None = None) -> None:
        values = Values(
            self._machine.mac,
            self._machine.uuid,
            self.xid,
            secs=self.secs(elapsed_s),
            server=lease.server if lease else _NOWHERE,
            address=lease.yiaddr if lease else _NOWHERE,
        )
        message = self._client.message(kind, values)
        for _ in range(2 if self._machine.behaviour.duplicates else 1):
            self._machine.lan.send_datagram(message, Way(self._machine.frame_mac))
        self._machine.timeline.add(Step.OFFER, f"sent {kind.upper()}", size_bytes=len(message))

    async def _collect(self, wait_s: float) -> None:
        """Receive offers for the time of one wait, or until the firmware has enough."""
        deadline_s = asyncio.get_running_loop().time() + wait_s
        while not self._rules.is_enough(self.heard):
            answer = await self._next(deadline_s)
            if answer is None:
                return
            if not self._is_refused(answer, (OFFER,)):
                self._take(answer)

    def _take(self, answer: DhcpAnswer) -> None:
        """Add an offer, once for each server and address."""
        if len(self._offers) < _MOST_KEPT and all(
            (answer.server, answer.yiaddr) != (each.server, each.yiaddr) for each in self._offers
        ):
            self._offers.append(answer)
            self._machine.timeline.add(Step.OFFER, f"got the offer of {answer}", size_bytes=len(answer.data))

    def _is_refused(self, answer: DhcpAnswer, kinds: tuple[int, ...]) -> bool:
        if not self.is_for_us(answer):
            reason = f"dropped a reply of {answer.source}: op, hlen or chaddr is not ours"
        elif answer.kind not in kinds:
            return True  # the reply to an earlier message, or to a duplicate
        else:
            reason = self._rules.drop_reason(answer)
        if reason and reason not in self._dropped and len(self._dropped) < _MOST_KEPT:
            self._dropped.append(reason)
            self._machine.timeline.add(Step.OFFER, reason, size_bytes=len(answer.data))
        return bool(reason)

    async def _next(self, deadline_s: float) -> DhcpAnswer | None:
        """Take the next reply; None at the deadline."""
        try:
            async with asyncio.timeout_at(deadline_s):
                while True:
                    answer = answer_in(await self._queue.get())
                    if answer is not None:
                        return answer
        except TimeoutError:
            return None


def _has_proxy(heard: HeardOffers) -> bool:
    return any(each.vendor_class.startswith(b"PXEClient") for each in heard.offers)


def lease_failed(sentence: str, lease: DhcpAnswer) -> BootFailedError:
    """Return the error of a lease that was offered and is not given."""
    cure = f"see the log of the DHCP server {lease.server}: its pool may be full or its lease taken"
    return BootFailedError(Step.OFFER, sentence, cure=cure, evidence=(f"offer of {lease}",))
