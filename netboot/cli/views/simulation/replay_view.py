"""Shows a replay: the answers that differ from the recording, what was left out, and the verdict; text and JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from netboot.cli.views.output import counted
from netboot.cli.views.simulation.simulation_view import event_view, failure_lines, failure_view
from netboot.model.host.mac import Mac
from netboot.model.words import printable
from netboot.probe.machine_timeline import MachineTimeline
from netboot.probe.replay.recorded_boot import RecordedBoot
from netboot.probe.replay.replayed_boot import ReplayOutcome


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A replay that has ended."""

    file: Path
    recorded: RecordedBoot
    mac: Mac
    interface: str
    notes: Sequence[str]
    timeline: MachineTimeline
    outcome: ReplayOutcome

    @property
    def is_right(self) -> bool:
        """Return whether the server answered everything that was played as it did then."""
        return not self.outcome.differences and self.outcome.failure is None


def replay_lines(report: ReplayReport) -> Iterator[str]:
    """Give the lines for a person; what the machine sent was printed meanwhile."""
    outcome = report.outcome
    yield ""
    for difference in outcome.differences:
        yield printable(f"! {difference.step:<12}{difference}")
    for text in outcome.left_out:
        yield printable(f"left out: {text}")
    if outcome.failure is not None:
        yield from failure_lines(outcome.failure)
    compared = f"{counted(outcome.compared, 'answer')} of {counted(len(report.recorded.requests), 'request')} compared"
    found = counted(len(outcome.differences), "difference") if outcome.differences else "no difference"
    yield f"{compared}: {found}"


def replay_view(report: ReplayReport) -> Mapping[str, Any]:
    """Convert a replay to JSON; docs/simulate.md lists the keys."""
    outcome, recorded = report.outcome, report.recorded
    return {
        "ok": report.is_right,
        "file": str(report.file),
        "recorded_mac": recorded.mac,
        "recorded_appliance": None if recorded.appliance is None else str(recorded.appliance),
        "requests": len(recorded.requests),
        "mac": report.mac,
        "interface": report.interface,
        "notes": [*report.notes],
        "events": [*map(event_view, report.timeline.events)],
        "compared": outcome.compared,
        "differences": [asdict(each) for each in outcome.differences],
        "left_out": [*outcome.left_out],
        "failure": failure_view(outcome.failure),
    }
