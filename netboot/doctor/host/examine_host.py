"""Examines one host from its entry to its Ignition."""

from collections.abc import Awaitable, Callable
from typing import Final

from netboot.doctor.doctor_finding import Area, AreaReport, DoctorFinding
from netboot.doctor.host import document_checks, host_state_checks, served_file_checks, tftp_check
from netboot.doctor.host.host_facts import HostFacts, offered_loaders
from netboot.model.host.host import Host
from netboot.model.install.install import Install

CHECKS: Final = (
    host_state_checks.REGISTERED,
    host_state_checks.FILES,
    host_state_checks.READY,
    host_state_checks.STATE,
    host_state_checks.LOADER,
    host_state_checks.DEADLINES,
    served_file_checks.LOADER_SENT,
    tftp_check.LOADER_TFTP,
    served_file_checks.MEDIUM_SENT,
    served_file_checks.RELEASE_SENT,
    document_checks.KICKSTART,
    document_checks.IGNITION,
)
_SENT: Final = (
    served_file_checks.LOADER_SENT,
    served_file_checks.MEDIUM_SENT,
    served_file_checks.RELEASE_SENT,
)


async def examine_host(facts: HostFacts) -> AreaReport:
    """Run every check of a host; without a running daemon, nothing is requested."""
    findings = [*host_state_checks.check_registered(facts), *host_state_checks.check_files(facts)]
    if facts.host is None:
        without = dict.fromkeys(CHECKS[2:], f"there is no host {facts.name} without a fault")
        return AreaReport(Area.HOST, tuple(findings), CHECKS[:2], without)
    not_checked: dict[str, str] = {}
    findings += await _of_host(facts, facts.host, not_checked)
    ran = tuple(check for check in CHECKS if check not in not_checked)
    return AreaReport(Area.HOST, tuple(findings), ran, not_checked)


async def _of_host(facts: HostFacts, host: Host, not_checked: dict[str, str]) -> list[DoctorFinding]:
    armed = Install(host.name).armed(at=facts.content.now, reason="doctor", attempts=1)
    offered = offered_loaders(facts, host, armed)
    findings = [
        *host_state_checks.check_ready(facts),
        *host_state_checks.check_state(facts, host),
        *host_state_checks.check_loader(facts, host, offered),
        *host_state_checks.check_deadlines(facts, host),
    ]
    if facts.daemon_runs:
        findings += await served_file_checks.check_served_files(facts, host, offered)
        tftp, reason = await tftp_check.check_tftp(facts, offered)
        findings += tftp
        if reason is not None:
            not_checked[tftp_check.LOADER_TFTP] = reason
    else:
        not_checked |= dict.fromkeys((*_SENT, tftp_check.LOADER_TFTP), "no daemon runs; systemctl start netboot")
    if facts.view is None:
        not_checked[host_state_checks.STATE] = "the daemon was not asked, or does not have the host"
    for check, judge in _DOCUMENTS.items():
        found, reason = await judge(facts, host)
        findings += found
        if reason is not None:
            not_checked[check] = reason
    return findings


_DOCUMENTS: Final[dict[str, Callable[[HostFacts, Host], Awaitable[tuple[list[DoctorFinding], str | None]]]]] = {
    document_checks.KICKSTART: document_checks.check_kickstart,
    document_checks.IGNITION: document_checks.check_ignition,
}
