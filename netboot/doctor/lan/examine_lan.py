"""Examines the boot LAN on each interface at once: listens for some seconds, and sends a few packets if it may.

On each interface, at most: a DISCOVER as each of `sent_packets.CLIENTS`, `TRIES` times, from one locally administered
MAC; `PROBES` ARP probes for each address of the interface; one request to port 4011 of each of `BOOT_SERVERS` servers.
No REQUEST for a lease. docs/doctor.md states the same numbers.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from netboot.doctor.doctor_finding import NO_INTERFACE, Area, AreaReport, DoctorFinding, Level
from netboot.doctor.lan import lan_checks
from netboot.doctor.lan.heard_interface import HeardInterface
from netboot.doctor.lan.interface_examination import InterfaceExamination
from netboot.doctor.lan.lan_links import ExaminedLink
from netboot.doctor.lan.link_findings import link_findings
from netboot.doctor.lan.server_findings import server_findings
from netboot.errors import PortError

DEFAULT_SECONDS: Final = 6.0  # three BPDUs; a DHCP server that pings an address first offers it after 3 s
_OWN_OFFERS: Final = (
    "a packet that this appliance sends does not reach its own daemon; netboot simulate on another computer "
    "of this LAN tries what it offers"
)
_NOT_SENT: Final = "nothing was sent (--no-send)"
_BY_SENDING: Final = (lan_checks.DHCP_SERVER, lan_checks.LEASE_SERVERS, lan_checks.DUPLICATE_ADDRESS)


@dataclass(frozen=True, slots=True)
class LanInputs:
    """What is examined. `links`: every interface of this appliance, by name.

    `addresses` are those that this appliance publishes beside its own; `leases`: dhcp.mode is reservation;
    `port_67_holder`: another program of this appliance that holds port 67.
    """

    interfaces: Sequence[str]
    links: Mapping[str, ExaminedLink]
    addresses: frozenset[IPv4Address] = frozenset()
    leases: bool = False
    port_67_holder: str | None = None
    seconds: float = DEFAULT_SECONDS
    sends: bool = True


async def examine_lan(given: LanInputs) -> AreaReport:
    """Examine the LAN on every interface; a check that no interface permits is listed with the reason."""
    if not given.interfaces:
        return AreaReport(Area.LAN, not_checked={Area.LAN.value: NO_INTERFACE})
    results = await asyncio.gather(*(_examine(name, given) for name in given.interfaces))
    heard = [each for each in results if isinstance(each, HeardInterface)]
    reasons = [each for each in results if isinstance(each, str)]
    if not heard:
        return AreaReport(Area.LAN, not_checked={Area.LAN.value: "; ".join(dict.fromkeys(reasons))})
    findings = [*_unexamined(reasons)]
    for each in heard:
        findings += [*server_findings(each), *link_findings(each)]
    not_checked = {lan_checks.OWN_OFFERS: _OWN_OFFERS}
    not_checked |= {} if given.sends else dict.fromkeys(_BY_SENDING, _NOT_SENT)
    checked = tuple(check for check in lan_checks.CHECKS if check not in not_checked)
    return AreaReport(Area.LAN, tuple(findings), checked, not_checked)


def _unexamined(reasons: Sequence[str]) -> list[DoctorFinding]:
    """Report each interface that was not examined beside others that were."""
    return [DoctorFinding(lan_checks.LINK, Level.WARNING, f"not examined: {reason}") for reason in reasons]


async def _examine(name: str, given: LanInputs) -> HeardInterface | str:
    link = given.links.get(name)
    if link is None:
        return f"this appliance has no interface {name}"
    if not any(link.mac):
        return f"{name} is no Ethernet interface"
    if not link.is_up:
        return f"{name} is down; ip link set {name} up"
    own = given.addresses.union(*(each.addresses for each in given.links.values()))
    examination = InterfaceExamination(
        link, own=own, links=given.links, served=frozenset(given.interfaces), leases=given.leases
    )
    try:
        found = await examination.run(seconds=given.seconds, sends=given.sends, port_67_holder=given.port_67_holder)
    except PortError as error:
        return str(error)
    if found is None:
        return f"{name} has no carrier; check its cable and the switch's port"
    return found
