"""Listens until a time ends or it is cancelled, and reports each machine and server, once for each change."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from ipaddress import IPv4Address
from typing import Any, Final

from netboot.doctor.listening.dhcp_listener import DhcpListener
from netboot.doctor.listening.heard_changes import KEPT, HeardChanges
from netboot.doctor.listening.judged_request import HostStates, JudgedRequest, RequestJudge
from netboot.errors import WireError
from netboot.model.boot.other_server import Here, OtherServer, ServerKind, after_choice, after_reply
from netboot.model.clock import utc_now
from netboot.model.host.mac import Mac
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp.message import DhcpMessage
from netboot.wire.dhcp.server_reply import chosen_server, server_reply
from netboot.wire.frames import UdpDatagram

STATES_S: Final = 5.0  # between two reads of the hosts' states
SERVERS: Final = 64

_ServerId = tuple[str, IPv4Address, ServerKind]


@dataclass(frozen=True, slots=True)
class HeardMachine:
    """One line about a machine."""

    at: datetime
    interface: str
    port: int
    request: JudgedRequest


@dataclass(frozen=True, slots=True)
class HeardServer:
    """One line about another server."""

    at: datetime
    server: OtherServer


Heard = HeardMachine | HeardServer


@dataclass(frozen=True, slots=True)
class ListeningInputs:
    """`read_states` reads which hosts are armed; `here`: the addresses of this appliance, and whether it leases."""

    interfaces: Sequence[str]
    judge: RequestJudge
    here: Here
    read_states: Callable[[], Awaitable[HostStates]]


@dataclass(slots=True)
class Listening:
    """One run; `report` gets each line; `began` is called when every interface is listened on."""

    given: ListeningInputs
    report: Callable[[Heard], Any]
    began: Callable[[], Any] = lambda: None
    changes: HeardChanges = field(default_factory=HeardChanges)
    states: HostStates = field(default_factory=HostStates)
    _servers: dict[_ServerId, OtherServer] = field(default_factory=dict)
    _requested: OrderedDict[Mac, int] = field(default_factory=OrderedDict)  # the last `xid` of each boot client

    async def run(self, seconds: float | None) -> None:
        """Listen for some seconds, or until it is cancelled. Raises PortError."""
        self.states = await self.given.read_states()
        with ExitStack() as opened, suppress(TimeoutError):
            for interface in self.given.interfaces:
                opened.callback(DhcpListener(interface, self._receive).close)
            self.began()
            async with asyncio.timeout(seconds):
                while True:
                    await asyncio.sleep(STATES_S)
                    self.states = await self.given.read_states()

    def _receive(self, interface: str, datagram: UdpDatagram, card: bytes) -> None:
        try:
            message = dhcp.parse(datagram.data)
        except WireError:
            return
        if message.op == dhcp.REPLY:
            self._hear_reply(interface, message, datagram.source, card)
        elif datagram.destination_port != dhcp.CLIENT_PORT:
            self._hear_request(interface, datagram.destination_port, message)

    def _hear_request(self, interface: str, port: int, message: DhcpMessage) -> None:
        chosen = chosen_server(message)
        if chosen is not None and chosen not in self.given.here.addresses:
            self._hear_server(interface, chosen, ServerKind.DHCP, partial(after_choice, address=chosen))
        judged = self.given.judge.judge(message, port, self.states)
        if judged is None:
            return
        if judged.mac is not None and judged.firmware:
            self._requested[judged.mac] = message.xid
            self._requested.move_to_end(judged.mac)
            if len(self._requested) > KEPT:
                self._requested.popitem(last=False)
        aspect = (interface, port, judged.firmware, judged.stage)
        if self.changes.is_news(judged.mac, aspect, judged, now_s=_now_s()):
            self.report(HeardMachine(utc_now(), interface, port, judged))

    def _hear_reply(self, interface: str, message: DhcpMessage, source: IPv4Address, card: bytes) -> None:
        reply, ours = server_reply(message, source, _mac(card)), self.given.here.addresses
        if reply is None or source in ours or reply.server in ours:
            return
        answers_boot = self._requested.get(reply.client) == reply.exchange
        after = partial(after_reply, reply=reply, answers_boot=answers_boot)
        self._hear_server(interface, reply.server, reply.kind, after)

    def _hear_server(
        self, interface: str, address: IPv4Address, kind: ServerKind, after: Callable[..., OtherServer]
    ) -> None:
        key = (interface, address, kind)
        if key not in self._servers and len(self._servers) >= SERVERS:
            self.changes.left_out += 1
            return
        server = after(self._servers.get(key), here=self.given.here, interface=interface, now=utc_now())
        self._servers[key] = server
        found = (server.effect, server.boot_file, server.next_server)
        if self.changes.is_news(key, "server", found, now_s=_now_s()):
            self.report(HeardServer(server.last_seen, server))


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _mac(card: bytes) -> Mac | None:
    try:
        return Mac.from_bytes(card)
    except ValueError:
        return None
