"""Examines this computer: what would keep its daemon from answering machines."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from netboot.doctor.box.box_facts import NotCheckedError
from netboot.doctor.box.box_inputs import BoxInputs
from netboot.doctor.box.firewall.firewall_checks import check_firewall
from netboot.doctor.configuration.listening_checks import check_box, links_here
from netboot.doctor.doctor_finding import Area, AreaReport, DoctorFinding
from netboot.settings.settings import Settings


def _listening(given: BoxInputs) -> Iterator[DoctorFinding]:
    report = check_box(given.settings, given.links, daemon_runs=given.daemon_runs)
    yield from report.findings("box.listening")


def _firewall(given: BoxInputs) -> Iterator[DoctorFinding]:
    yield from check_firewall(given.facts, given.settings, given.served())


Examiner = Callable[[BoxInputs], Iterator[DoctorFinding]]
_EXAMINERS: Final[Mapping[str, Examiner]] = {
    "box.listening": _listening,
    "box.firewall": _firewall,
}
CHECKS: Final = tuple(_EXAMINERS)


async def examine_box(settings: Settings, *, daemon_runs: bool) -> AreaReport:
    """Make every check of this computer with these settings."""
    return await examine(BoxInputs(settings, await links_here(), daemon_runs=daemon_runs))


async def examine(given: BoxInputs) -> AreaReport:
    """Make every check; one that cannot be made has its reason in the report."""
    findings: list[DoctorFinding] = []
    not_checked: dict[str, str] = {}
    for check, examiner in _EXAMINERS.items():
        try:
            findings += await asyncio.to_thread(_found, examiner, given)
        except NotCheckedError as error:
            not_checked[check] = str(error)
    checked = tuple(check for check in CHECKS if check not in not_checked)
    return AreaReport(Area.BOX, tuple(findings), checked, not_checked)


def _found(examiner: Examiner, given: BoxInputs) -> list[DoctorFinding]:
    return list(examiner(given))
