"""What a machine showed and reported of itself, unverified: cards, hardware, inspections, as pages show them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from netboot.admin.json_views import json_view
from netboot.admin.texts.machine_text import box_text, fact_label, path_text, wipe_text
from netboot.model.boot.boot_client import Machine
from netboot.model.host.firmware import local_boot_reason
from netboot.model.host.hardware import Hardware, InspectedDisk
from netboot.model.install.inspection import Inspection, OneTimeBoot
from netboot.model.words import printable, shown_size


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and a text."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class SeenCard:
    """One network card: when it was seen, and what its packets and its iPXE showed."""

    mac: str
    first_seen: datetime
    last_seen: datetime
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class DiskRow:
    """One disk of an inspected machine."""

    name: str
    size: str
    kind: str
    model: str
    serial: str
    path: str  # below /dev/disk


@dataclass(frozen=True, slots=True)
class CardRow:
    """One network card of an inspected machine."""

    name: str
    mac: str
    driver: str
    link: str


@dataclass(frozen=True, slots=True)
class HardwareView:
    """What an inspection found."""

    summary: str
    disks: tuple[DiskRow, ...]
    cards: tuple[CardRow, ...]


@dataclass(frozen=True, slots=True)
class InspectionView:
    """An inspection or a wipe of one card's machine; the times are None if that did not happen."""

    mac: str
    kind: str  # of the request: inspect, rescue or wipe
    requested_at: datetime | None
    begun_at: datetime | None
    reported_at: datetime | None
    medium: str
    wipe: str
    hardware: HardwareView | None


def seen_card(machine: Machine) -> SeenCard:
    """Show a card."""
    return SeenCard(machine.mac, machine.first_seen, machine.last_seen, tuple(_facts(machine)))


def _facts(machine: Machine) -> Iterator[Fact]:
    found = json_view(machine)
    texts = {
        "Architecture": machine.arch,
        "Vendor class": machine.vendor_class,
        "UUID": machine.uuid,
        "Addresses": ", ".join(map(str, machine.addresses)),
        "Boots by": ", ".join(f"{firmware}: {variant}" for firmware, variant in machine.variants.items()),
        "Local boot": "; ".join(
            f"{firmware}: {known.method}, {local_boot_reason(known)}" for firmware, known in machine.local_boots.items()
        ),
    }
    for fact, text in machine.facts.items():
        texts[f"Reported {fact_label(fact)}"] = text
    for name, path in (("First", found["first_path"]), ("Last", found["last_path"])):
        texts[f"{name} request"] = path_text(path) if path is not None else ""
    yield from (Fact(label, printable(text)) for label, text in texts.items() if text)


def inspection_view(inspection: Inspection) -> InspectionView | None:
    """Show an inspection; None if nothing was requested, begun or reported."""
    if not any((inspection.requested_at, inspection.begun_at, inspection.reported_at, inspection.wipe)):
        return None
    found: Any = json_view(inspection)
    return InspectionView(
        inspection.mac,
        inspection.kind if inspection.requested_at else OneTimeBoot.INSPECT,
        inspection.requested_at,
        inspection.begun_at,
        inspection.reported_at,
        inspection.medium or "",
        printable(wipe_text(found["wipe"])) if inspection.wipe is not None else "",
        hardware_view(inspection.hardware) if inspection.hardware is not None else None,
    )


def hardware_view(hardware: Hardware) -> HardwareView:
    """Show what an inspection found."""
    return HardwareView(
        printable(box_text(json_view(hardware))),
        tuple(_disk(disk) for disk in hardware.disks),
        tuple(
            CardRow(card.name, card.mac, card.driver, _link(card.has_link, card.speed_mbps)) for card in hardware.cards
        ),
    )


def _disk(disk: InspectedDisk) -> DiskRow:
    kinds = {True: "rotational", False: "not rotational", None: ""}
    marks = [kinds[disk.rotational], "removable" if disk.removable else "", "read-only" if disk.read_only else ""]
    return DiskRow(
        disk.name,
        shown_size(disk.size_bytes) if disk.size_bytes else "",
        ", ".join(mark for mark in marks if mark),
        disk.model,
        next(iter(disk.serials), ""),
        next(iter((*disk.by_id, *disk.by_path)), ""),
    )


def _link(has_link: bool | None, speed_mbps: int | None) -> str:
    link = {True: "link", False: "no link", None: ""}[has_link]
    speed = f"{speed_mbps} Mb/s" if speed_mbps is not None else ""
    return ", ".join(part for part in (link, speed) if part)
