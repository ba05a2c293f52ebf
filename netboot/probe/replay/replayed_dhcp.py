"""The DHCP of a recorded boot, played again: messages as they were recorded, on the addresses of this LAN."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.boot_server_request import bound_socket
from netboot.probe.dhcp.dhcp_answer import ACK, OFFER, DhcpAnswer, answer_in, answer_of_datagram, is_url
from netboot.probe.firmwares.message_form import Filled, MessageForm, Values, written_message
from netboot.probe.lan.udp_frames import Way
from netboot.probe.machine import HeldAddress, SimulatedMachine
from netboot.probe.replay.differences import ReplayDifference, Substitutions, dhcp_differences
from netboot.probe.replay.recorded_boot import DhcpRequest, RecordedBoot
from netboot.probe.replay.rewritten_message import LiveValues, rewritten, uuid_of, written_uuid

_DISCOVER, _REQUEST = 1, 3
_KINDS: Final = {_DISCOVER: "DISCOVER", _REQUEST: "REQUEST", 8: "INFORM"}
_LONGEST_GAP_S: Final = 5.0
_ANSWER_S: Final = 2.0
_LARGEST: Final = 65_535
_MASK: Final = 1
_RELEASE: Final = b"\7"


@dataclass
class ReplayedDhcp:
    """The DHCP side of one replay. `http_port` is that of the live scripts, None until an offer names it."""

    machine: SimulatedMachine
    recorded: RecordedBoot
    http_port: int | None = None
    _appliance: IPv4Address | None = None  # of this LAN
    _lease: DhcpAnswer | None = None  # the live offer that is requested
    _recorded_address: IPv4Address | None = None
    _recorded_server: IPv4Address | None = None
    _xids: dict[bytes, int] = field(default_factory=dict)
    _last_at_s: float | None = None

    @property
    def substitutions(self) -> Substitutions:
        """The addresses of this LAN for those of the recorded one."""
        pairs = (
            (self.recorded.appliance, self._appliance),
            (self._recorded_address, self.machine.address),
            (self._recorded_server, self._lease.server if self._lease is not None else None),
        )
        addresses = {was: now for was, now in pairs if was is not None and now is not None}
        mac = str(self.machine.mac)
        return Substitutions(addresses, str(self.recorded.mac), mac, self._identities)

    @property
    def _uuid(self) -> UUID | None:
        """The UUID to send in place of the recorded one, which may be a real machine's; None: that one."""
        return None if self.machine.mac == self.recorded.mac else self.machine.uuid

    @cached_property
    def _identities(self) -> tuple[bytes, bytes]:
        messages = (each.payload for each in self.recorded.requests if isinstance(each, DhcpRequest))
        found = next((uuid for each in messages if (uuid := uuid_of(each)) is not None), None)
        return (b"", b"") if found is None else (written_uuid(found), written_uuid(self._uuid or found))

    async def play(self, request: DhcpRequest) -> list[ReplayDifference]:
        """Send one message and return how the appliance's replies to it differ."""
        await self._wait(request)
        name = _KINDS.get(request.kind, f"message {request.kind}")
        where = f"to {request.server}, port {request.port}" if request.server else "by broadcast"
        step = Step.OFFER if request.server is None else Step.PXE_REQUEST
        self.machine.timeline.add(step, f"sent the recorded {name} {where}", size_bytes=len(request.payload))
        if request.server is None:
            answers = await self._broadcast(request)
        elif request.server == self.recorded.appliance:
            answers = await self._unicast(request)
        else:
            return []
        await self._take(request, answers)
        return list(self._compared(request, answers, f"the reply to {name}", step))

    async def _wait(self, request: DhcpRequest) -> None:
        if self._last_at_s is not None:
            gap_s = min(max(0.0, request.at_s - self._last_at_s), _LONGEST_GAP_S)
            await asyncio.sleep(self.machine.behaviour.wait_s(gap_s))
        self._last_at_s = request.at_s

    def _message(self, request: DhcpRequest) -> tuple[int, bytes]:
        xid = self._xids.setdefault(request.payload[4:8], self.machine.lan.new_xid())
        address = self._lease.yiaddr if self._lease is not None else self.machine.address
        server = self._lease.server if self._lease is not None else self._appliance
        if request.server is not None:
            server = self._appliance
        return xid, rewritten(request.payload, LiveValues(xid, self.machine.mac, address, server, self._uuid))

    async def _broadcast(self, request: DhcpRequest) -> list[DhcpAnswer]:
        xid, message = self._message(request)
        found: list[DhcpAnswer] = []
        with self.machine.lan.replies(xid) as queue:
            self.machine.lan.send_datagram(message, Way(self.machine.frame_mac, source_port=request.source_port))
            with suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER_S):
                    while not self._is_complete(request, found):
                        answer = answer_in(await queue.get())
                        if answer is not None and answer.chaddr[:6] == message[28:34]:
                            found.append(answer)
        return found

    def _is_complete(self, request: DhcpRequest, found: list[DhcpAnswer]) -> bool:
        """Return whether nothing more is expected: the appliance's recorded replies, and a lease of any server.

        A capture of netboot has no replies of the LAN's DHCP server.
        """
        recorded = [each.is_lease for each in request.answers if each.source == self.recorded.appliance]
        if request.kind == _DISCOVER and not recorded:
            return False  # a reply that was not recorded may come
        has_lease = any(each.is_lease for each in found) or self.machine.fixed_address is not None
        return has_lease and all(kind in [each.is_lease for each in found] for kind in recorded)

    async def _unicast(self, request: DhcpRequest) -> list[DhcpAnswer]:
        xid, message = self._message(request)
        if self._appliance is None or self.machine.address is None:
            return []
        await self.machine.lan.reach(self._appliance)
        loop = asyncio.get_running_loop()
        with bound_socket(self.machine.address, request.source_port) as opened:
            await loop.sock_sendto(opened, message, (str(self._appliance), request.port))
            with suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER_S):
                    while True:
                        answer = answer_of_datagram(*await loop.sock_recvfrom(opened, _LARGEST))
                        if answer is not None and answer.xid == xid:
                            return [answer]
        return []

    async def _take(self, request: DhcpRequest, answers: list[DhcpAnswer]) -> None:
        """Use what the answers give: the appliance's address, a lease."""
        for answer in answers:
            named = answer.boot_file_option or answer.file
            if self._appliance is None and (named or answer.vendor_class):
                self._appliance = answer.boot_server
            if is_url(named) and answer.boot_server == self._appliance:
                self.http_port = urlsplit(named).port or 80
        leases = [each for each in answers if each.is_lease]
        if request.kind == _DISCOVER and request.server is None:
            self._lease = next((each for each in leases if each.kind == OFFER), None)
            if self._lease is None and self.machine.fixed_address is not None and self.machine.address is None:
                await self.machine.hold(HeldAddress(self.machine.fixed_address))
        acknowledged = next((each for each in leases if each.kind == ACK), None)
        recorded = next((each for each in request.answers if each.is_lease and each.kind == ACK), None)
        if acknowledged is not None:
            await self._hold(acknowledged)
            if recorded is not None:
                self._recorded_address, self._recorded_server = recorded.yiaddr, recorded.server
        elif recorded is not None and self.machine.address is None:
            raise BootFailedError(
                Step.OFFER,
                "no DHCP server of this LAN leases an address to the machine, as one did in the recording",
                cure="add --address, or run it on a LAN with a DHCP server",
            )
        if self._appliance is not None and self.machine.address is not None:
            await self.machine.lan.reach(self._appliance)

    async def _hold(self, ack: DhcpAnswer) -> None:
        """Use the address of an ACK; also of a later stage, because each ACK changes the ARP table of its server."""
        earlier = [held for held in self.machine.held if held.address.ip == ack.yiaddr]
        masks = ack.addresses(_MASK)
        form = MessageForm(((53, _RELEASE), (54, Filled.SERVER)), 0)
        values = Values(
            self.machine.mac, self.machine.uuid, self.machine.lan.new_xid(), ciaddr=ack.yiaddr, server=ack.server
        )
        way = Way(self.machine.frame_mac, ack.source_mac, source=ack.yiaddr, destination=ack.server)
        address = IPv4Interface(f"{ack.yiaddr}/{masks[0] if masks else 32}")
        await self.machine.hold(HeldAddress(address, (written_message(form, values), way)))
        for held in earlier:
            self.machine.held.remove(held)
            await self.machine.lan.remove_address(held.address.ip)

    def _compared(
        self, request: DhcpRequest, answers: list[DhcpAnswer], what: str, step: Step
    ) -> Iterator[ReplayDifference]:
        """Compare the replies of the appliance: its offers, its leases, its refusals."""
        here = self.substitutions
        was = [each for each in request.answers if each.source == self.recorded.appliance]
        now = [each for each in answers if each.source == self._appliance]
        for number, recorded in enumerate(was):
            same = [each for each in now if each.is_lease == recorded.is_lease]
            live = same[number] if number < len(same) else None
            yield from dhcp_differences(recorded, live, what, step=step, here=here)
        unexpected = next((each for each in now if _has_boot_data(each)), None)
        if unexpected is not None and not was:
            yield ReplayDifference(step, what, "no reply", str(unexpected))


def _has_boot_data(answer: DhcpAnswer) -> bool:
    return bool(answer.vendor_class or answer.boot_file_option or answer.file)
