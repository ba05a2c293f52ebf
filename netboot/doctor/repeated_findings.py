"""Leaves out what is reported twice: a sentence that was reported before, and a server that the LAN's area reports."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from netboot.doctor.doctor_finding import Area, AreaReport, DoctorFinding, Level

_SEEN_BY_DAEMON: Final = "configuration.other_servers"
_SERVER: Final = re.compile(r"the (DHCP|PXE) server (\S+)(?: \(\S+\))? on (\S+) ")  # of `OtherServer.sentence`
_WORST_FIRST: Final = tuple(Level)


def without_repeated(reports: Sequence[AreaReport]) -> list[AreaReport]:
    """Return the reports; of findings with one sentence, the first is kept, which may say more.

    Of a server that the daemon saw and the area of the LAN found too, the finding of the LAN is kept, which has the
    evidence; also that of the daemon if its level is worse, as for a boot file that the server sends to some machines.
    """
    on_lan = _levels_of_servers(reports)
    said: list[str] = []
    kept = []
    for report in reports:
        findings = []
        for each in report.findings:
            if any(each.sentence in text for text in said) or _is_of_lan(each, on_lan):
                continue
            said.append(each.sentence)
            findings.append(each)
        kept.append(replace(report, findings=tuple(findings)))
    return kept


def _levels_of_servers(reports: Sequence[AreaReport]) -> dict[tuple[str, ...], Level]:
    """Return the level of each server that the area of the LAN reports."""
    findings = (finding for report in reports if report.area is Area.LAN for finding in report.findings)
    return {found.groups(): each.level for each in findings if (found := _SERVER.match(each.sentence)) is not None}


def _is_of_lan(finding: DoctorFinding, on_lan: dict[tuple[str, ...], Level]) -> bool:
    """Return whether the daemon saw a server that the area of the LAN reports with this level or a worse one."""
    found = _SERVER.match(finding.sentence) if finding.check == _SEEN_BY_DAEMON else None
    level = on_lan.get(found.groups()) if found is not None else None
    return level is not None and _WORST_FIRST.index(level) <= _WORST_FIRST.index(finding.level)
