"""What the checks of a configuration found, each sentence with the id of its check, in the order of `netboot check`."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from netboot.doctor.configuration.check_report import CheckReport, finding_of
from netboot.doctor.doctor_finding import Area, AreaReport, DoctorFinding, Level
from netboot.errors import Problem

_FILES: Final = "configuration.files"
CHECKS: Final = (
    _FILES,
    *("configuration.addresses", "configuration.access", "configuration.documents", "configuration.loaders"),
    *("configuration.interfaces", "configuration.content", "configuration.administration", "configuration.registry"),
    *(
        "configuration.hosts",
        "configuration.hooks",
        "configuration.cluster",
        "configuration.bmcs",
        "configuration.store",
        "configuration.daemon",
        "configuration.other_servers",
    ),
    "configuration.deadlines",
)


@dataclass(slots=True)
class ConfigurationFindings:
    """Each problem and warning once, with the check that found it first. `faults` are those of the files."""

    faults: tuple[Problem, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    not_checked: dict[str, str] = field(default_factory=dict)  # the reason, by check

    def add(self, check: str, report: CheckReport) -> None:
        """Add what the check with this id found."""
        for problem in report.problems:
            self.problems.setdefault(problem, check)
        for warning in report.warnings:
            self.warnings.setdefault(warning, check)
        self.notes += [(note, check) for note in report.notes]

    def problems_of(self, check: str) -> list[str]:
        """List the problems that this check found."""
        return [problem for problem, found_by in self.problems.items() if found_by == check]


def configuration_report(found: ConfigurationFindings) -> AreaReport:
    """Return the area `configuration` of the doctor; what the area `box` reports is left out."""
    checked = tuple(check for check in CHECKS if check not in found.not_checked)
    return AreaReport(Area.CONFIGURATION, tuple(_findings(found)), checked, found.not_checked)


def faults_report(faults: tuple[Problem, ...]) -> AreaReport:
    """Return the area `configuration` if the settings cannot be read."""
    without = dict.fromkeys(CHECKS[1:], "the settings cannot be read")
    return AreaReport(Area.CONFIGURATION, tuple(map(_fault, faults)), (_FILES,), without)


def _fault(fault: Problem) -> DoctorFinding:
    return DoctorFinding(_FILES, Level.PROBLEM, str(replace(fault, cure="")), cure=fault.cure or None)


def _findings(found: ConfigurationFindings) -> Iterator[DoctorFinding]:
    yield from map(_fault, found.faults)
    for level, sentences in (
        (Level.PROBLEM, found.problems.items()),
        (Level.WARNING, found.warnings.items()),
        (Level.NOTE, found.notes),
    ):
        yield from (finding_of(check, level, text) for text, check in sentences if check in CHECKS)
