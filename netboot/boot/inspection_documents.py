"""Answers requests with the token of an inspection: for its Kickstart, and its report.

The token is valid for the machine's own addresses until the report; a request from another address raises an alarm.
"""

import logging
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

import structlog

from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.sessions.identity import Identification
from netboot.boot.token_documents import Refusal
from netboot.events.event_bus import EventBus
from netboot.model.host.hardware import hardware_in
from netboot.model.install.inspection import Inspection

log = structlog.get_logger()

INSPECTED: Final = "inspected"  # the event of the report
_DOCUMENT: Final = "inspection"


@dataclass(frozen=True, slots=True, eq=False)
class InspectionDocuments:
    """Answers requests with the token of an inspection. Async methods raise StoreError."""

    registry: LiveRegistry
    records: InspectionRecords
    identification: Identification
    events: EventBus

    async def serve_kickstart(self, token: str, address: IPv4Address, *, base_url: str) -> str | Refusal:
        """Return the Kickstart that reports the machine and writes no disk; raise RenderError."""
        opened = await self._open(token, address)
        if isinstance(opened, Refusal):
            return opened
        registry = self.registry.now
        host = registry.hosts.by_mac(opened.mac)
        name = host.name if host else opened.mac
        return registry.documents.inspection_kickstart(name, mac=opened.mac, base_url=base_url, token=token)

    async def report(self, token: str, address: IPv4Address, body: str) -> Refusal | None:
        """Store what a machine reports of itself; None: it is stored, and the token is spent."""
        opened = await self._open(token, address)
        if isinstance(opened, Refusal):
            return opened
        hardware = hardware_in(body)
        if not await self.records.report(opened.mac, token, hardware):
            return Refusal.SPENT
        data: dict[str, str | int | None] = {"medium": opened.medium, "address": str(address)}
        data |= {"firmware": hardware.firmware or None, "disks": len(hardware.disks), "cards": len(hardware.cards)}
        host = self.registry.now.hosts.by_mac(opened.mac)
        self.events.emit("boot.machine_inspected", data, host=host, mac=opened.mac)
        return None

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
