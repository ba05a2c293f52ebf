"""Takes what installed nodes report of their updates. A token is valid for this report, from the node's addresses.

It is valid from the end of its install until the end of the next one, while the host is declared. A node that has it
can write one row, its own, once in `INTERVAL_S`; nothing else of netboot depends on that row.
"""

from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

from netboot.boot.live_registry import LiveRegistry
from netboot.boot.sessions.identity import Identification
from netboot.boot.sessions.local_boots import LocalBoots
from netboot.boot.token_documents import Refusal, emit_refusal
from netboot.events.event_bus import EventBus
from netboot.model.clock import Clock
from netboot.model.host.host import Host, HostName
from netboot.model.install.token import TokenKind, is_well_formed
from netboot.model.node_report import InstalledNode, NodeReport, read_node_report
from netboot.store.nodes.installed_nodes import Nodes

INTERVAL_S: Final = 5.0  # between two reports of one node


class TooSoon(StrEnum):
    """A report that is not stored, because the one before is a few seconds old."""

    TOO_SOON = "too-soon"


@dataclass(frozen=True, slots=True, eq=False)
class NodeReports:
    """Takes reports. Async methods raise StoreError."""

    registry: LiveRegistry
    nodes: Nodes
    _: KW_ONLY
    identification: Identification
    local_boots: LocalBoots
    events: EventBus
    clock: Clock
    _taken_s: dict[HostName, float] = field(default_factory=dict, init=False)  # of declared hosts alone

    async def take(self, token: str, body: bytes, address: IPv4Address) -> Refusal | TooSoon | None:
        """Store a report; None: it is stored. Raises MalformedReportError, and writes nothing then."""
        opened = await self._open(token, address)
        if isinstance(opened, Refusal):
            return opened
        host, node = opened
        report, now_s = read_node_report(body), self.clock.monotonic()
        if now_s - self._taken_s.get(host.name, -INTERVAL_S) < INTERVAL_S:
            return TooSoon.TOO_SOON
        self._taken_s[host.name] = now_s
        if not await self.nodes.record_report(token, report, at=self.clock.now()):
            return Refusal.UNKNOWN  # the host was retired, or installed again, meanwhile
        self.local_boots.record_sign(host, "report")
        if changes := _changes(node.report, report):
            self.events.emit("update.reported", changes, host=host, mac=host.mac)
        return None

    async def _open(self, token: str, address: IPv4Address) -> tuple[Host, InstalledNode] | Refusal:
        node = await self.nodes.by_token(token) if is_well_formed(token) else None
        if node is None:
            return self._refuse(Refusal.UNKNOWN, self.identification.machine_at(address)[1], address)
        host = self.registry.now.hosts.get(node.host)
        if host is None:
            return self._refuse(Refusal.REMOVED, node.host, address)
        if not self.identification.is_at(host, address):
            return self._refuse(Refusal.UNAUTHORISED, host, address)
        return host, node

    def _refuse(self, refusal: Refusal, host: Host | HostName | None, address: IPv4Address) -> Refusal:
        emit_refusal(self.events, refusal, TokenKind.NODE, host=host, address=address)
        return refusal


def _changes(before: NodeReport | None, report: NodeReport) -> dict[str, str]:
    """Return what a report has, if something but its times changed since the one before; empty: nothing."""

    def lasting(each: NodeReport) -> dict[str, str]:
        return {key: text for key, text in each.texts().items() if key != "booted_at"}

    found = lasting(report)
    return found if before is None or lasting(before) != found else {}
