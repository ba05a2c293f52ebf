"""Answers requests with the token of an inspection or a wipe: for its Kickstart, and its reports.

The token is valid for the machine's own addresses until the last report; a request from another address raises an
alarm. A machine writes to its disk only after it requested that here, and the permission was stored.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

import structlog

from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.sessions.identity import Identification
from netboot.boot.token_documents import Refusal
from netboot.events.event_bus import EventBus
from netboot.model.host.hardware import Hardware, hardware_in
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection
from netboot.model.install.wipe import Wipe, WipeState
from netboot.model.words import first_line, printable_line

log = structlog.get_logger()

INSPECTED: Final = "inspected"  # the event of an inspection's report
_DOCUMENT: Final = "inspection"
_LONGEST_RESULT: Final = 300  # characters


class WipeReport(StrEnum):
    """What a machine reports of the wipe of its disk."""

    WIPING = "wiping"  # its hardware; if this is accepted, it writes to its disk
    WIPED = "wiped"  # the disk
    REFUSED = "wipe-refused"  # the reason


@dataclass(frozen=True, slots=True, eq=False)
class InspectionDocuments:
    """Answers requests with the token of an inspection or a wipe. Async methods raise StoreError."""

    registry: LiveRegistry
    records: InspectionRecords
    identification: Identification
    events: EventBus

    async def serve_kickstart(self, token: str, address: IPv4Address, *, base_url: str) -> str | Refusal:
        """Return the Kickstart that inspects the machine, or wipes its disk; raise RenderError."""
        opened = await self._open(token, address)
        if isinstance(opened, Refusal):
            return opened
        documents = self.registry.now.documents
        if (wipe := opened.running_wipe) is not None:
            if self._why_not(wipe, ()):
                return Refusal.SPENT
            return documents.wipe_kickstart(wipe, mac=opened.mac, base_url=base_url, token=token)
        host = self.registry.now.hosts.by_mac(opened.mac)
        name = host.name if host else opened.mac
        return documents.inspection_kickstart(name, mac=opened.mac, base_url=base_url, token=token)

    async def report(self, token: str, address: IPv4Address, body: str) -> Refusal | None:
        """Store what a machine reports of itself; None: it is stored, and the token is spent."""
        opened = await self._open(token, address)
        if isinstance(opened, Refusal):
            return opened
        hardware = hardware_in(body)
        if opened.running_wipe is not None or not await self.records.report(opened.mac, token, hardware):
            return Refusal.SPENT
        data: dict[str, str | int | None] = {"medium": opened.medium, "address": str(address)}
        data |= {"firmware": hardware.firmware or None, "disks": len(hardware.disks), "cards": len(hardware.cards)}
        host = self.registry.now.hosts.by_mac(opened.mac)
        self.events.emit("boot.machine_inspected", data, host=host, mac=opened.mac)
        return None

    async def report_wipe(
        self, token: str, report: WipeReport, *, address: IPv4Address, body: str
    ) -> Refusal | str | None:
        """Store what a machine reports of a wipe; None: it is stored.

        A text is the reason why it may not write to its disk.
        """
        opened = await self._open(token, address)
        if isinstance(opened, Refusal):
            return opened
        wipe = opened.running_wipe
        if wipe is None:
            return Refusal.SPENT
        if report is WipeReport.WIPING:
            return await self._wiping(opened, wipe, token, hardware_in(body))
        state = WipeState.DONE if report is WipeReport.WIPED else WipeState.REFUSED
        result = printable_line(first_line(body), longest=_LONGEST_RESULT)
        if not await self.records.end_wipe(opened.mac, token, state, result):
            return Refusal.SPENT
        self._emit_ended(wipe.moved(state, at=wipe.at, note=result), opened.mac)
        return None

    async def end_unfit(self) -> None:
        """End the requests that no longer fit the hosts in force: wipes of registered machines, rescues of others."""
        registry = self.registry.now
        registered = {mac for host in registry.hosts for mac in host.macs}
        for wipe in await self.records.end_unfit(registered | registry.policy.left_out):
            self._emit_ended(wipe, wipe.macs[0])

    async def _wiping(self, opened: Inspection, wipe: Wipe, token: str, hardware: Hardware) -> Refusal | str | None:
        """Allow a machine to write to its disk, unless any of its cards is registered; its refusal ends the wipe."""
        reason = self._why_not(wipe, [mac for card in hardware.cards if (mac := card.parsed_mac)])
        if reason:
            if await self.records.end_wipe(opened.mac, token, WipeState.CANCELLED, reason):
                self._emit_ended(wipe.moved(WipeState.CANCELLED, at=wipe.at, note=reason), opened.mac)
            return reason
        if not await self.records.allow_wipe(opened.mac, token, hardware):
            return Refusal.SPENT
        if wipe.state is not WipeState.ALLOWED:  # a repeated request is accepted again
            self.events.emit("boot.wipe_begun", {"disk": str(wipe.disk)}, host=wipe.host, mac=opened.mac)
        return None

    def _why_not(self, wipe: Wipe, reported: Sequence[Mac]) -> str:
        """Return why a disk may not be wiped now; empty: it may. `reported` are the cards that its machine has."""
        registry = self.registry.now
        if not registry.policy.is_complete:
            return "the hosts files have a fault, so it is not known whether its machine is registered"
        for mac in (*wipe.macs, *reported):
            host = registry.hosts.by_mac(mac)
            if host is not None:
                return f"its machine is registered as {host.name} ({mac})"
        return ""

    def _emit_ended(self, wipe: Wipe, mac: Mac) -> None:
        data: dict[str, str] = {"disk": str(wipe.disk)}
        if wipe.state is WipeState.DONE:
            self.events.emit("boot.machine_wiped", {**data, "result": wipe.note}, host=wipe.host, mac=mac)
            return
        refused = {**data, "reason": wipe.note}
        self.events.emit("boot.wipe_refused", refused, host=wipe.host, mac=mac, level=logging.WARNING)

    async def _open(self, token: str, address: IPv4Address) -> Inspection | Refusal:
        found = await self.records.by_token(token)
        data = {"document": _DOCUMENT, "address": str(address)}
        if found is None:
            log.debug("boot.token_refused", **data, reason=Refusal.UNKNOWN.value)
            return Refusal.UNKNOWN
        host = self.registry.now.hosts.by_mac(found.mac)
        if self.identification.is_own(found.mac, host, address):
            return found
        alarm = {**data, "reason": Refusal.UNAUTHORISED.value}
        self.events.emit("boot.alarm_raised", alarm, host=host, mac=found.mac, level=logging.ERROR)
        return Refusal.UNAUTHORISED
