"""Examines this computer: what would keep its daemon from answering machines."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Final

from netboot.doctor.box.box_facts import NotCheckedError
from netboot.doctor.box.box_inputs import BoxInputs
from netboot.doctor.box.clock_checks import check_clock
from netboot.doctor.box.daemon_check import check_daemon
from netboot.doctor.box.disk_checks import check_disks
from netboot.doctor.box.firewall.firewall_checks import check_firewall
from netboot.doctor.box.interface_checks import check_dhcp_client, check_masters, check_mtu, check_routing
from netboot.doctor.box.kernel_checks import (
    check_buffers,
    check_conntrack,
    check_descriptors,
    check_kernel_features,
    check_memory,
)
from netboot.doctor.box.neighbour_checks import check_networks, check_ports
from netboot.doctor.box.rights_checks import check_rights, check_selinux
from netboot.doctor.configuration.listening_checks import check_box, links_here
from netboot.doctor.daemon_process import process_of_daemon
from netboot.doctor.doctor_finding import NO_INTERFACE, Area, AreaReport, DoctorFinding
from netboot.settings.settings import Settings


def _listening(given: BoxInputs) -> Iterator[DoctorFinding]:
    report = check_box(given.settings, given.links, daemon_runs=given.daemon_runs)
    yield from report.findings("box.listening")


def _firewall(given: BoxInputs) -> Iterator[DoctorFinding]:
    yield from check_firewall(given.facts, given.settings, given.served())


Examiner = Callable[[BoxInputs], Iterator[DoctorFinding]]
_EXAMINERS: Final[Mapping[str, Examiner]] = {
    "box.daemon": check_daemon,
    "box.listening": _listening,
    "box.ports": check_ports,
    "box.firewall": _firewall,
    "box.rights": check_rights,
    "box.selinux": check_selinux,
    "box.mtu": check_mtu,
    "box.master": check_masters,
    "box.dhcp_client": check_dhcp_client,
    "box.routing": check_routing,
    "box.networks": check_networks,
    "box.clock": check_clock,
    "box.disks": check_disks,
    "box.descriptors": check_descriptors,
    "box.kernel": check_kernel_features,
    "box.buffers": check_buffers,
    "box.memory": check_memory,
    "box.conntrack": check_conntrack,
}
CHECKS: Final = tuple(_EXAMINERS)
_OF_INTERFACES: Final = ("box.firewall", "box.mtu", "box.master", "box.dhcp_client", "box.routing", "box.networks")


async def examine_box(
    settings: Settings, *, daemon_runs: bool, time_servers: tuple[IPv4Address, ...] = ()
) -> AreaReport:
    """Make every check of this computer with these settings. `time_servers` are those of the hosts."""
    process = process_of_daemon(settings) if daemon_runs else None
    links = await links_here()
    return await examine(
        BoxInputs(settings, links, daemon_runs=daemon_runs, daemon_process=process, time_servers=time_servers)
    )


async def examine(given: BoxInputs) -> AreaReport:
    """Make every check; one that cannot be made has its reason in the report."""
    findings: list[DoctorFinding] = []
    not_checked = {} if given.settings.network.interfaces else dict.fromkeys(_OF_INTERFACES, NO_INTERFACE)
    for check, examiner in _EXAMINERS.items():
        if check in not_checked:
            continue
        try:
            findings += await asyncio.to_thread(_found, examiner, given)
        except NotCheckedError as error:
            not_checked[check] = str(error)
    checked = tuple(check for check in CHECKS if check not in not_checked)
    return AreaReport(Area.BOX, tuple(findings), checked, not_checked)


def _found(examiner: Examiner, given: BoxInputs) -> list[DoctorFinding]:
    return list(examiner(given))
