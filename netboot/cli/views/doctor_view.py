"""Prints what the doctor found: each area with its findings, what was checked and what not, and the verdict."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import click

from netboot.cli.views.output import counted
from netboot.doctor.doctor_finding import AreaReport, DoctorFinding, Level
from netboot.model.words import printable

_COLOURS: Final = {Level.PROBLEM: "red", Level.WARNING: "yellow", Level.NOTE: None}


def report_lines(reports: Sequence[AreaReport]) -> Iterator[str]:
    """Yield the lines of every area, and the verdict last, after an empty line."""
    for report in reports:
        yield click.style(report.area, bold=True)
        for level in Level:
            for finding in report.findings:
                if finding.level is level:
                    yield from _finding_lines(finding)
        if report.checked:
            yield f"  checked: {', '.join(map(_subject, report.checked))}"
        for reason in dict.fromkeys(report.not_checked.values()):
            checks = [check for check, of_check in report.not_checked.items() if of_check == reason]
            yield f"  not checked: {', '.join(map(_subject, checks))}: {printable(reason)}"
    yield ""
    yield verdict(reports)


def report_view(reports: Sequence[AreaReport]) -> dict[str, Any]:
    """Return the same as JSON has it."""
    return {
        "ok": not _number(reports, Level.PROBLEM),
        "verdict": verdict(reports),
        "areas": [
            {
                "area": report.area.value,
                "findings": [_finding_view(finding) for finding in report.findings],
                "checked": list(report.checked),
                "not_checked": dict(report.not_checked),
            }
            for report in reports
        ],
    }


def verdict(reports: Sequence[AreaReport]) -> str:
    """Return one sentence: whether something that was found would stop a boot."""
    problems, warnings = _number(reports, Level.PROBLEM), _number(reports, Level.WARNING)
    also = f", {counted(warnings, 'warning')}" if warnings else ""
    if not problems:
        return f"nothing was found that would stop a boot{also}{_unexamined(reports)}"
    return f"{counted(problems, 'problem')} would stop a boot{also}"


def _unexamined(reports: Sequence[AreaReport]) -> str:
    """Name the areas that were not examined at all, as without the rights of root: they may have any fault."""
    areas = [report.area for report in reports if report.area in report.not_checked]
    return f"; not examined: {', '.join(areas)}" if areas else ""


def _finding_lines(finding: DoctorFinding) -> Iterator[str]:
    level = click.style(finding.level, fg=_COLOURS[finding.level])
    yield f"  {level}: {printable(finding.sentence)} [{finding.check}]"
    yield from (f"    evidence: {printable(line)}" for line in finding.evidence)
    if finding.cure is not None:
        yield f"    cure: {printable(finding.cure)}"


def _finding_view(finding: DoctorFinding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "level": finding.level.value,
        "sentence": finding.sentence,
        "evidence": list(finding.evidence),
        "cure": finding.cure,
    }


def _number(reports: Sequence[AreaReport], level: Level) -> int:
    return sum(finding.level is level for report in reports for finding in report.findings)


def _subject(check: str) -> str:
    return check.partition(".")[2].replace("_", " ") or check
