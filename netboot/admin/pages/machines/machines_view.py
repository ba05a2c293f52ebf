"""What the pages of unregistered machines show: their list, and one of them. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from netboot.admin.json_views import json_view
from netboot.admin.pages.action_link import ActionLink
from netboot.admin.pages.boots.machine_boots import BootsView
from netboot.admin.pages.machines.seen_view import InspectionView, SeenCard, inspection_view, seen_card
from netboot.admin.texts.machine_text import port_text
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.boot.other_server import OtherServer
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection
from netboot.model.words import printable
from netboot.operate.host_status import DiscoveredMachine


@dataclass(frozen=True, slots=True)
class MachineRow:
    """A machine in the list; every text is what it showed or reported, unverified."""

    mac: str
    row_id: str
    url: str
    model: str
    serial: str
    addresses: str
    port: str  # of the switch
    relay: str
    arch: str
    last_seen: datetime
    once: str  # what it boots once or was requested, without its time
    once_at: datetime | None

    def has(self, text: str) -> bool:
        """Return whether the row has a text."""
        texts = (self.mac, self.model, self.serial, self.addresses, self.port, self.relay, self.arch, self.once)
        return any(text.lower() in each.lower() for each in texts)


@dataclass(frozen=True, slots=True)
class MachinesView:
    """What the list shows: the machine that was seen last first. `query`: the filter; `total`: without it."""

    rows: tuple[MachineRow, ...]
    total: int
    query: str
    actions: tuple[ActionLink, ...]


@dataclass(frozen=True, slots=True)
class MachineView:
    """What the page of one machine shows. `servers`: what other servers on its LAN do to boots."""

    mac: str
    url: str
    row: MachineRow
    card: SeenCard
    inspection: InspectionView | None
    servers: tuple[str, ...]
    actions: tuple[ActionLink, ...]
    boots: BootsView


def machine_url(mac: str) -> str:
    """Return the URL of the page of a machine."""
    return f"/machines/{quote(mac, safe=':')}"


def machines_view(found: Sequence[DiscoveredMachine], query: str, actions: Sequence[ActionLink]) -> MachinesView:
    """Show the machines that have a text of the filter."""
    rows = [machine_row(each) for each in sorted(found, key=lambda each: each.machine.last_seen, reverse=True)]
    query = query.strip()[:100]
    return MachinesView(tuple(row for row in rows if row.has(query)), len(rows), query, tuple(actions))


def machine_row(found: DiscoveredMachine) -> MachineRow:
    """Show a machine in one row."""
    machine, facts = found.machine, found.machine.facts
    model = " ".join(facts[name] for name in (MachineFact.MANUFACTURER, MachineFact.PRODUCT) if name in facts)
    path = machine.last_path
    once, once_at = _once(found.inspection)
    return MachineRow(
        machine.mac,
        f"machine-{machine.mac.hyphenated}",
        machine_url(machine.mac),
        printable(model),
        printable(facts.get(MachineFact.SERIAL, "")),
        ", ".join(map(str, machine.addresses)),
        printable(port_text(json_view(machine))),
        str(path.relay) if path is not None and path.relay is not None else "",
        machine.arch or "",
        machine.last_seen,
        once,
        once_at,
    )


def _once(inspection: Inspection | None) -> tuple[str, datetime | None]:
    """Return what is known of inspections and wipes, and since when."""
    if inspection is None:
        return "", None
    if inspection.wipe is not None:
        return f"wipe of {inspection.wipe.host} {inspection.wipe.state}", inspection.wipe.at
    times = {
        f"{inspection.kind} requested": inspection.requested_at,
        "inspected": inspection.reported_at,
        "inspection begun": inspection.begun_at,
    }
    return next(((text, at) for text, at in times.items() if at is not None), ("", None))


def machine_view(
    found: DiscoveredMachine, boots: BootsView, servers: Sequence[OtherServer], actions: Sequence[ActionLink]
) -> MachineView:
    """Show one machine."""
    inspection = inspection_view(found.inspection) if found.inspection is not None else None
    return MachineView(
        found.machine.mac,
        machine_url(found.machine.mac),
        machine_row(found),
        seen_card(found.machine),
        inspection,
        tuple(printable(text) for text in _effects(found.machine, servers)),
        tuple(actions),
        boots,
    )


def _effects(machine: Machine, servers: Sequence[OtherServer]) -> Iterator[str]:
    for server in servers:
        if server.takes_boots:
            own = " It was seen in a reply to this machine." if server.boot_client == machine.mac else ""
            yield f"{server.sentence}; {server.cure}.{own}" if server.cure else f"{server.sentence}.{own}"


def machine_actions(macs: Sequence[Mac], inspection_refusal: str | None, refusal: str | None) -> list[ActionLink]:
    """Return the actions on machines; `refusal`: why the requester may change nothing."""
    query = urlencode([("mac", mac) for mac in macs])
    return [
        ActionLink("approve", "Approve", f"/machines/approve?{query}", refusal),
        ActionLink("inspect", "Inspect", f"/machines/inspect?{query}", refusal or inspection_refusal),
    ]


def found_among(found: Sequence[DiscoveredMachine], mac: Any) -> DiscoveredMachine | None:
    """Return the machine with a MAC."""
    return next((each for each in found if each.machine.mac == mac), None)
