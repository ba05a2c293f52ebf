"""Adds what inspections reported to machines that are approved: the cards of each; and compares its disk rule. Pure.

A report is unverified: of a machine that reported a card which another host or machine has, only the card that booted
is taken.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from netboot.errors import HostFileError
from netboot.model.host.disk_rule import disk_mismatch
from netboot.model.host.hardware import Hardware
from netboot.model.host.host import HostFileChange
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection
from netboot.operate.registration.approval import ApprovedMachine

# The card by which a machine reaches its BMC over USB (Linux, drivers/net/usb; DSP0270): no switch is behind it, and
# many machines have the same MAC.
_BMC_DRIVERS: Final = frozenset({"cdc_ether", "cdc_eem", "cdc_ncm", "rndis_host"})

Inspections = Mapping[Mac, Inspection]


def with_inspections(
    machines: Sequence[ApprovedMachine], inspections: Inspections, *, owner_of: Callable[[Mac], str | None]
) -> list[ApprovedMachine]:
    """Return the machines with their inspections, and with all cards that those reported.

    `owner_of` returns the host that has a card.
    """
    approved = {each.machine.mac: each.host for each in machines}
    reporters: dict[Mac, list[Mac]] = {}
    for inspection in inspections.values():
        for card in _cards(inspection.mac, inspection.hardware):
            reporters.setdefault(card, []).append(inspection.mac)

    def holder_of(card: Mac, cards: Sequence[Mac]) -> str | None:
        others = (other for other in reporters.get(card, ()) if other not in cards)
        return approved.get(card) or owner_of(card) or next(others, None)

    return [_with_inspection(each, inspections.get(each.machine.mac), holder_of) for each in machines]


def _with_inspection(
    approved: ApprovedMachine,
    inspection: Inspection | None,
    holder_of: Callable[[Mac, Sequence[Mac]], str | None],
) -> ApprovedMachine:
    booted = approved.machine.mac
    if inspection is None or inspection.hardware is None:
        return replace(approved, inspection=inspection)
    cards = _cards(booted, inspection.hardware)
    held = [f"{card} is of {holder} too" for card in cards if card != booted and (holder := holder_of(card, cards))]
    if booted not in cards:
        held = [f"its inspection reported no card {booted}"]
    if held:
        notes = [*approved.notes, f"{', '.join(held)}: {approved.host} gets the card that booted alone"]
        return replace(approved, inspection=inspection, notes=notes)
    others = [card for card in cards if card != booted]
    return replace(approved, inspection=inspection, macs=(booted, *others) if others else ())


def _cards(booted: Mac, hardware: Hardware | None) -> list[Mac]:
    """List the cards of a report that a host can have beside the one that booted: of its kind, and not of a BMC."""
    found = []
    for card in hardware.cards if hardware is not None else ():
        mac = card.parsed_mac
        if mac is None or mac.is_infiniband != booted.is_infiniband:
            continue
        if mac == booted or card.driver not in _BMC_DRIVERS:
            found.append(mac)
    return list(dict.fromkeys(found))


def compare_disks(
    machines: Sequence[ApprovedMachine], changes: Sequence[HostFileChange], *, is_given: bool
) -> list[ApprovedMachine]:
    """Compare the disk of each new host with those that its inspection found, and note what does not fit.

    One that the request itself `is_given` is refused instead, with HostFileError.
    """
    found = []
    for each, change in zip(machines, changes, strict=True):
        mismatches = list(_mismatch(each, change))
        if mismatches and is_given:
            cure = f"correct the disk, or inspect the machine again: netboot host inspect {each.machine.mac}"
            raise HostFileError(f"cannot approve {each.machine.mac}: {mismatches[0]}; {cure}")
        found.append(replace(each, notes=[*each.notes, *mismatches]))
    return found


def _mismatch(approved: ApprovedMachine, change: HostFileChange) -> Iterator[str]:
    hardware = approved.inspection.hardware if approved.inspection is not None else None
    if hardware is not None and change.disk is not None:
        mismatch = disk_mismatch(change.host, change.disk, hardware.disks)
        if mismatch is not None:
            yield mismatch
