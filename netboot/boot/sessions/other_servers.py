"""The other DHCP and PXE servers of the boot LAN, from the replies that they send to machines.

In memory, bounded: any machine can forge replies. Nothing that a boot gets depends on it.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from netboot.boot.sessions.machines_seen import SeenMachine, SeenMachines
from netboot.events.event_bus import EventBus
from netboot.model.boot.other_server import (
    Here,
    OtherServer,
    ServerEffect,
    ServerKind,
    ServerReply,
    after_choice,
    after_reply,
)
from netboot.model.clock import Clock
from netboot.model.host.host import HostSet

SERVERS: Final = 64  # the one that was not seen for the longest time is removed
KEPT_FOR: Final = timedelta(days=1)  # after its last reply
REPORTED_FILES: Final = 8  # boot files of one server that are events; others may name each machine's own file


class _ServerKey(NamedTuple):
    """A DHCP and a PXE server at one address are two."""

    interface: str
    address: IPv4Address
    kind: ServerKind


@dataclass(slots=True)
class _Known:
    """A server, and what its last events reported of it."""

    server: OtherServer
    effect: ServerEffect | None = None
    files: set[tuple[str, str]] = field(default_factory=set)  # with this effect: boot file and next server

    def is_news(self) -> bool:
        """Record what it does now; return whether no event has reported it."""
        server = self.server
        file = (server.boot_file, server.next_server) if server.boot_file else ("", "")
        if server.effect is not self.effect:
            self.effect, self.files = server.effect, {file}
            return True
        if file in self.files or len(self.files) >= REPORTED_FILES:
            return False
        self.files.add(file)
        return True


class OtherServers:
    """All of them, the last seen at the end."""

    def __init__(self, seen: SeenMachines, *, hosts: Callable[[], HostSet], events: EventBus, clock: Clock) -> None:
        self._seen, self._hosts, self._events, self._clock = seen, hosts, events, clock
        self._known: OrderedDict[_ServerKey, _Known] = OrderedDict()

    def current(self) -> list[OtherServer]:
        """List the servers that were seen in the last day, the last seen first."""
        self._forget()
        return [known.server for known in reversed(self._known.values())]

    def record(self, reply: ServerReply, here: Here, *, interface: str) -> None:
        """Record a reply that was received on an interface."""
        machine = self._seen.get(reply.client)
        answers_boot = machine is not None and machine.requested == reply.exchange
        key, now = _ServerKey(interface, reply.server, reply.kind), self._clock.now()
        server = after_reply(self._server(key), reply, here, interface=interface, answers_boot=answers_boot, now=now)
        self._keep(key, server)
        if machine is not None and answers_boot and (reply.offers_boot or server.effect is ServerEffect.LEASES):
            self._report_offer(machine, server)

    def record_choice(self, address: IPv4Address, here: Here, *, interface: str) -> None:
        """Record that a boot request on an interface takes the lease of a server."""
        key = _ServerKey(interface, address, ServerKind.DHCP)
        self._keep(key, after_choice(self._server(key), address, here, interface=interface, now=self._clock.now()))

    def _server(self, key: _ServerKey) -> OtherServer | None:
        return self._known[key].server if key in self._known else None

    def _keep(self, key: _ServerKey, server: OtherServer) -> None:
        """Keep a server as it was seen now, and emit an event if that is news."""
        known = self._known.setdefault(key, _Known(server))
        known.server = server
        self._known.move_to_end(key)
        self._forget()
        if known.is_news():
            level = logging.WARNING if server.takes_boots else logging.INFO
            self._events.emit("lan.server_seen", _shown(server), level=level)

    def _forget(self) -> None:
        oldest = self._clock.now() - KEPT_FOR
        while self._known:
            key = next(iter(self._known))
            if len(self._known) <= SERVERS and self._known[key].server.last_seen > oldest:
                return
            del self._known[key]

    def _report_offer(self, machine: SeenMachine, server: OtherServer) -> None:
        """Emit an event with the machine that can boot from another server, once in its boot for each server."""
        if server.takes_boots and machine.boot.note_other_server(server.address):
            host = self._hosts().by_mac(machine.mac)
            self._events.emit("boot.offered_elsewhere", _shown(server), host=host, mac=machine.mac)


def _shown(server: OtherServer) -> dict[str, str | int | float | None]:
    return {
        "address": str(server.address),
        "server_mac": server.mac,
        "interface": server.interface,
        "kind": server.kind.value,
        "effect": server.effect.value,
        "boot_file": server.boot_file or None,
        "next_server": server.next_server or None,
        "sentence": server.sentence,
        "cure": server.cure,
    }
