"""What a simulation found, as text and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from netboot.cli.views.simulation.simulation_view import (
    comparison_lines,
    comparison_view,
    event_view,
    failure_lines,
    failure_view,
    summary_line,
)
from netboot.model.host.mac import Mac
from netboot.model.words import printable
from netboot.probe.boot import BootOutcome
from netboot.probe.comparison import Comparison
from netboot.probe.firmwares.firmware_profile import FirmwareProfile
from netboot.probe.scope.simulation_scope import Scope


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """One simulation. `comparison` is None if nothing was compared; a deviant machine causes trouble itself."""

    profile: FirmwareProfile
    mac: Mac
    uuid: UUID
    interface: str
    scope: Scope
    host: str | None
    notes: Sequence[str]
    outcome: BootOutcome
    comparison: Comparison | None
    is_deviant: bool = False

    @property
    def is_right(self) -> bool:
        """Return whether everything was as it must be."""
        if self.outcome.failure is not None:
            return False
        if self.comparison is None:
            return True
        return not self.comparison.differences and (self.is_deviant or not self.comparison.troubles)


def report_lines(report: SimulationReport) -> Iterator[str]:
    """Describe how the boot ended, and compare both sides; what the machine did was printed meanwhile."""
    outcome = report.outcome
    if outcome.failure is not None:
        yield from failure_lines(outcome.failure)
    else:
        yield printable(f"ended at {outcome.ended_at}: {outcome.sentence}")
    if report.comparison is None:
        why = (
            "it has nothing of a rehearsal" if report.scope is Scope.REHEARSAL else "no API is at hand; give --api URL"
        )
        yield f"the server's record is not compared: {why}"
        return
    yield ""
    yield from comparison_lines(report.comparison)
    yield summary_line(report.comparison.differences, len(report.comparison.troubles))


def report_view(report: SimulationReport) -> Mapping[str, Any]:
    """Convert a simulation to JSON."""
    outcome = report.outcome
    return {
        "ok": report.is_right,
        "firmware": report.profile.name,
        "source": report.profile.source,
        "mac": report.mac,
        "uuid": str(report.uuid),
        "interface": report.interface,
        "scope": report.scope,
        "host": report.host,
        "notes": [*report.notes],
        "events": [*map(event_view, outcome.timeline.events)],
        "end": outcome.end,
        "ended_at": outcome.ended_at,
        "sentence": outcome.sentence,
        "failure": failure_view(outcome.failure),
        "comparison": comparison_view(report.comparison),
    }
