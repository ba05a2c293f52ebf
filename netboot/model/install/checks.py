"""The checks that an installer makes before it writes to a disk, and the text by which it reports them. Pure.

Written by kickstart/pre.ks.j2: a first line, one line `NAME RESULT what was found` for each check, and the list of the
machine's disks. The text is ASCII; a site's own template may report checks of its own.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netboot.model.words import without_disks

FIRST_LINE: Final = "netboot-checks 1"
REQUIRED: Final = ("firmware", "disk", "members")  # without these the disk could be the wrong one, or not start
MOST_CHECKS: Final = 32
LONGEST_REPORT: Final = 16 * 1024  # characters

_REPORT: Final = re.compile(r"[ -~\n]*")
_LINE: Final = re.compile(r"([a-z][a-z0-9-]{0,31}) (pass|fail|skipped) (\S.{0,399})")


class CheckResult(StrEnum):
    PASS = "pass"  # noqa: S105  no password
    FAIL = "fail"
    SKIPPED = "skipped"  # it does not apply, or the installer has no tool for it


class MalformedReportError(ValueError):
    """A report of checks that the installer of this version does not write."""


@dataclass(frozen=True, slots=True)
class InstallCheck:
    """One check: its result, and a sentence with what was found."""

    name: str
    result: CheckResult
    found: str

    def __str__(self) -> str:
        return f"{self.name} {self.result} {self.found}"


@dataclass(frozen=True, slots=True)
class ChecksReport:
    """All checks of one boot into the installer, and the disks of the machine."""

    checks: tuple[InstallCheck, ...]
    disks: str = ""


def read_checks(text: str) -> ChecksReport:
    """Read a report; raise MalformedReportError for any text that is not exactly one."""
    if len(text) > LONGEST_REPORT or not _REPORT.fullmatch(text):
        raise MalformedReportError(f"the report of the checks is not ASCII text of at most {LONGEST_REPORT} characters")
    listed, disks = without_disks(text)
    first, *lines = listed.rstrip("\n").split("\n")
    if first != FIRST_LINE or not 0 < len(lines) <= MOST_CHECKS:
        raise MalformedReportError(f"the report of the checks is not {FIRST_LINE!r} and 1 to {MOST_CHECKS} lines")
    matches = [_LINE.fullmatch(line) for line in lines]
    checks = tuple(InstallCheck(each[1], CheckResult(each[2]), each[3]) for each in matches if each)
    if len(checks) < len(lines) or len({check.name for check in checks}) < len(checks):
        raise MalformedReportError("a line of the report is no check, or a check is reported twice")
    return ChecksReport(checks, disks)


def failures(checks: Iterable[InstallCheck]) -> Sequence[str]:
    """List why a machine with these checks may not be installed; empty: it may."""
    given = {check.name: check for check in checks}
    found = [check.found for check in given.values() if check.result is CheckResult.FAIL]
    if not found:  # a check that another one needed was skipped because that one failed
        skipped = [given[name] for name in REQUIRED if name in given and given[name].result is CheckResult.SKIPPED]
        found = [f"the check of {check.name} was skipped: {check.found}" for check in skipped]
        found += [f"the check of {name} was not made" for name in REQUIRED if name not in given]
    return found
