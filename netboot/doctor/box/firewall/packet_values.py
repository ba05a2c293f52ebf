"""Compares a packet's values with those of a rule: equal, not equal, or equal for some packets only."""

from collections.abc import Iterable
from ipaddress import IPv4Network

from netboot.doctor.box.firewall.boot_packets import Ports


def any_of(found: Iterable[bool | None]) -> bool | None:
    """Return True if one is true, False if all are false, else None."""
    results = list(found)
    if True in results:
        return True
    return None if None in results else False


def negated(found: bool | None) -> bool | None:
    return None if found is None else not found


def ports_within(ports: Ports, wanted: Ports) -> bool | None:
    """Return whether every port (True), no port (False) or some (None) of `ports` are among the wanted ones."""
    if wanted[0] <= ports[0] and ports[1] <= wanted[1]:
        return True
    return False if ports[1] < wanted[0] or wanted[1] < ports[0] else None


def network_within(addresses: IPv4Network, wanted: IPv4Network) -> bool | None:
    """Return the same for addresses."""
    if addresses.subnet_of(wanted):
        return True
    return None if addresses.overlaps(wanted) else False


def interface_is(name: str, wanted: str) -> bool:
    """Compare an interface's name with one of a rule, in which a sign at the end may stand for any rest."""
    if wanted.endswith(("*", "+")):
        return name.startswith(wanted[:-1])
    return name == wanted
