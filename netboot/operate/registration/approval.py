"""The request to register unregistered machines, the names that they get, and what is known of each. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import Final

from netboot.errors import HostFileError
from netboot.model.boot.boot_client import Machine
from netboot.model.host.mac import Mac
from netboot.model.host.placeholders import identifying_facts, placeholder_note
from netboot.model.install.inspection import Inspection
from netboot.yamlfile.faults import shown
from netboot.yamlfile.plain_values import PlainValue

_NUMBER: Final = "{n}"
_SHOWN: Final = 3  # of the machines that have the same UUID


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """Machines to register. `name` is a pattern: `{n}` is the next free number.

    `addresses` are in the order of `macs`. `disk` is a path, or a table as hosts files have it. `boot_card_only`: the
    other cards that an inspection reported are not taken. `dry_run`: nothing is written.
    """

    macs: Sequence[str]
    role: str
    name: str = ""  # ROLE-{n}
    addresses: Sequence[str] = ()
    pool: str | None = None
    groups: Sequence[str] = ()
    disk: PlainValue = None
    boot_card_only: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ApprovedMachine:
    """A machine as it was reported, the name of its host, and notes on what was reported.

    `macs` are the cards of the host if its inspection reported several, the one that booted first.
    """

    host: str
    machine: Machine
    notes: Sequence[str]
    macs: Sequence[Mac] = ()
    inspection: Inspection | None = None


def approved_machines(
    request: ApprovalRequest, discovered: Sequence[Machine], known: Iterable[Machine], *, taken: Collection[str]
) -> list[ApprovedMachine]:
    """Give each machine its name; raise HostFileError if one is not unregistered, or the request is inconsistent.

    `known` are all machines, also registered ones: a UUID that two have identifies neither.
    """
    found = _found(request.macs, {machine.mac: machine for machine in discovered})
    if request.addresses and request.pool:
        raise HostFileError("cannot approve: a host has an address or a pool; give one of the two")
    if request.addresses and len(request.addresses) != len(found):
        raise HostFileError(
            f"cannot approve: {len(found)} machines and {len(request.addresses)} addresses; give one for each, in order"
        )
    names = free_names(request.name or f"{request.role}-{_NUMBER}", len(found), taken=taken)
    notes = identity_notes(found, known)
    return [ApprovedMachine(name, machine, notes[machine.mac]) for name, machine in zip(names, found, strict=True)]


def host_values(request: ApprovalRequest, machines: Sequence[ApprovedMachine]) -> dict[str, dict[str, PlainValue]]:
    """Return what the file of each host contains."""
    shared: dict[str, PlainValue] = {"role": request.role}
    own: dict[str, PlainValue] = {}
    if request.groups:
        own["groups"] = list(request.groups)
    if request.disk:
        own["disk"] = request.disk
    networks: list[dict[str, PlainValue]] = [{"address": address} for address in request.addresses]
    if not networks:
        networks = [{"pool": request.pool} if request.pool else {}] * len(machines)
    return {
        each.host: {**shared, "mac": [*map(str, each.macs)] or str(each.machine.mac), **own, "network": network}
        for each, network in zip(machines, networks, strict=True)
    }


def free_names(pattern: str, number: int, *, taken: Collection[str]) -> list[str]:
    """Return names by a pattern, with the lowest numbers from 1 on whose names are free."""
    if pattern.count(_NUMBER) > 1 or (number > 1 and _NUMBER not in pattern):
        raise HostFileError(
            f"cannot name {number} hosts {pattern}: write {_NUMBER} once, where the number is, as worker-{_NUMBER}"
        )
    if _NUMBER not in pattern:
        return [pattern]
    names: Iterator[str] = (pattern.replace(_NUMBER, str(each)) for each in count(1))
    return list(islice((name for name in names if name not in taken), number))


def identity_notes(machines: Sequence[Machine], known: Iterable[Machine]) -> dict[Mac, list[str]]:
    """List the UUIDs and serial numbers of machines that are placeholders, or that other machines have as well."""
    holders: dict[tuple[str, str], list[Mac]] = {}
    for machine in known:
        for fact in identifying_facts(asdict(machine)).items():
            holders.setdefault(fact, []).append(machine.mac)
    return {machine.mac: list(_notes(machine, holders)) for machine in machines}


def _notes(machine: Machine, holders: Mapping[tuple[str, str], Sequence[Mac]]) -> Iterator[str]:
    for key, text in identifying_facts(asdict(machine)).items():
        others = [mac for mac in holders.get((key, text), ()) if mac != machine.mac]
        if note := placeholder_note(key, text):
            yield note
        elif others:
            also = ", ".join(others[:_SHOWN]) + (f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else "")
            yield f"{key} {text} is also that of {also}: another card of this machine, or no identity"


def _found(texts: Sequence[str], discovered: Mapping[Mac, Machine]) -> list[Machine]:
    found = {}
    for text in texts:
        try:
            mac = Mac.parse(text)
        except ValueError:
            cure = "netboot host list --discovered"
            raise HostFileError(f"cannot approve {shown(text)}: it is not a MAC; {cure}") from None
        if mac not in discovered:
            raise HostFileError(
                f"cannot approve {mac}: no unregistered machine with this MAC requested a boot; "
                "netboot host list --discovered shows them, netboot host add registers any other"
            )
        found[mac] = discovered[mac]
    return list(found.values())
