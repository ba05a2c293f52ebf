"""A machine as several appliances have seen it: what one of them changed, applied to what is stored. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TypeVar

from netboot.model.boot.boot_client import ADDRESSES, Machine

T = TypeVar("T")


def merged(stored: Machine, before: Machine | None, after: Machine) -> Machine:
    """Return a stored machine with what one appliance changed of it, from `before` to `after`; None: it is new there.

    What both changed is as `after` has it; of addresses each keeps what it added, and removes what it took away.
    """
    known = before or Machine(after.mac, after.first_seen, after.last_seen)
    return replace(
        stored,
        first_seen=min(stored.first_seen, after.first_seen),
        last_seen=max(stored.last_seen, after.last_seen),
        arch=after.arch if after.arch != known.arch else stored.arch,
        vendor_class=after.vendor_class if after.vendor_class != known.vendor_class else stored.vendor_class,
        uuid=after.uuid if after.uuid != known.uuid else stored.uuid,
        addresses=_addresses(stored.addresses, known.addresses, after.addresses),
        variants=_by_firmware(stored.variants, known.variants, after.variants),
        local_boots=_by_firmware(stored.local_boots, known.local_boots, after.local_boots),
        facts=after.facts if after.facts != known.facts else stored.facts,
        first_path=stored.first_path or after.first_path,
        last_path=after.last_path if after.last_path != known.last_path else stored.last_path,
    )


def _by_firmware(stored: Mapping[str, T], before: Mapping[str, T], after: Mapping[str, T]) -> dict[str, T]:
    """Return what is known by firmware, with what changed of some of them."""
    changed = {each for each in {*before, *after} if before.get(each) != after.get(each)}
    kept = {firmware: known for firmware, known in stored.items() if firmware not in changed}
    return kept | {firmware: after[firmware] for firmware in after if firmware in changed}


def _addresses(
    stored: tuple[IPv4Address, ...], before: tuple[IPv4Address, ...], after: tuple[IPv4Address, ...]
) -> tuple[IPv4Address, ...]:
    """Return the addresses of a machine, the one that it got last at the end."""
    if after == before:
        return stored
    is_moved = bool(after) and after[-1:] != before[-1:]
    added = tuple(each for each in after if each not in before or (is_moved and each == after[-1]))
    dropped = {*before} - {*after}
    return (*(each for each in stored if each not in dropped and each not in added), *added)[-ADDRESSES:]
