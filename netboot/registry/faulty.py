"""Finds the hosts that the faults of the hosts files affect, and every MAC that such a host names.

A machine whose host is left out must boot its own disk, so a MAC is found even if its host can be read only in part.
Too many MACs do no harm: a MAC that is found here only boots its own disk.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from netboot.errors import Problem
from netboot.model.host.host import Host, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.registry.host_files import Declared
from netboot.yamlfile.nodes import Listing, Node, Scalar, Table

_HEX: Final = "[0-9A-Fa-f]"
_MAC: Final = re.compile(
    rf"(?<!{_HEX})({_HEX}{{2}}([:-]{_HEX}{{2}}){{5,6}}|({_HEX}{{4}}\.){{2}}{_HEX}{{4}}|{_HEX}{{12,14}})(?!{_HEX})"
)
_GUID: Final = re.compile(
    rf"(?<!{_HEX})({_HEX}{{2}}([:-]{_HEX}{{2}}){{7,20}}|({_HEX}{{4}}\.){{3,9}}{_HEX}{{4}}|{_HEX}{{16,42}})(?!{_HEX})"
)


def faulty_hosts(declared: Declared, hosts: HostSet, faults: Sequence[Problem]) -> dict[str, Problem]:
    """Return the affected hosts, each with its first fault: its own, its role's, or one of a shared section."""
    # Of `cp1` and `cp1.example.com`, the longer one matches.
    names = sorted(declared.table("hosts").entries, key=len, reverse=True)
    read = {str(name): host for name, host in hosts.hosts.items()}
    found: dict[str, Problem] = {}
    for fault in faults:
        for name in _concerned(fault.where, names, read):
            found.setdefault(name, fault)
    if any(file.text is None for file in declared.files) and not declared.table("roles").entries:
        # The file that cannot be read contains the shared sections.
        found = dict.fromkeys(names, faults[0]) | found
    return found


def _concerned(where: str, names: Sequence[str], hosts: Mapping[str, Host]) -> Iterable[str]:
    section, _, rest = where.partition(".")
    match section:
        case "hosts":
            return [name for name in names if rest == name or rest.startswith((f"{name}.", f"{name}["))][:1]
        case "roles" if (role := rest.partition(".")[0]) in list(Role):
            return [name for name in names if name in hosts and hosts[name].role == role]
        case "groups" if group := rest.partition(".")[0]:
            return [name for name in names if name in hosts and group in hosts[name].groups]
        case "address_pools" if pool := rest.partition(".")[0]:
            return [name for name in names if name in hosts and hosts[name].network.pool == pool]
        case "":
            return ()  # a whole file: its hosts are not known by name
        case _:
            return names


def macs_of_faulty(
    declared: Declared, sound: HostSet, faulty: Iterable[str], faults: Sequence[Problem]
) -> frozenset[Mac]:
    """Find every MAC that a faulty host names, in its parsed values and in the text of the files with faults.

    Not all of a text is parsed, as the second of two entries with one name. A MAC in it that a sound host has is not
    such a one, unless a text has it twice.
    """
    if not faults:
        return frozenset()
    entries, faulty_files = declared.table("hosts").entries, {fault.file for fault in faults}
    found = {mac for name in faulty for text in _texts(entries[name].value) for mac in macs_in(text)}
    written = {file.path: list(macs_in(file.raw if file.text is None else file.text)) for file in declared.files}
    times = Counter(chain.from_iterable(written.values()))
    for file in written.keys() & faulty_files:
        found.update(mac for mac in written[file] if times[mac] > 1 or sound.by_mac(mac) is None)
    return frozenset(found)


def macs_in(text: str) -> Iterator[Mac]:
    """Find every MAC in a text, in any spelling."""
    for match in chain(_MAC.finditer(text), _GUID.finditer(text)):
        try:
            yield Mac.parse(match[0])
        except ValueError:  # a group address, or fourteen digits that are not a MAC
            continue


def _texts(node: Node) -> Iterator[str]:
    match node:
        case Scalar(text=text):
            yield text
        case Listing(items=items):
            for item in items:
                yield from _texts(item)
        case Table(entries=entries):
            for entry in entries.values():
                yield from _texts(entry.value)
