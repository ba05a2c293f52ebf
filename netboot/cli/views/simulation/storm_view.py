"""Shows a boot storm: text and JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from netboot.cli.views.output import counted
from netboot.model.install.event import Step
from netboot.model.words import shown_size
from netboot.probe.firmwares.firmware_profile import FirmwareProfile
from netboot.probe.storm.server_load import ServerUse
from netboot.probe.storm.storm import StormProgress
from netboot.probe.storm.storm_figures import FailureGroup, Percentiles, StormFigures

_COLUMNS: Final = ("step", "machines", "p50", "p90", "p99", "worst")


@dataclass(frozen=True, slots=True)
class StormReport:
    """A storm that has ended. `use` is None if the daemon does not run on this computer."""

    profile: FirmwareProfile
    interface: str
    until: Step
    note: str
    figures: StormFigures
    use: ServerUse | None


def progress_line(progress: StormProgress, machines: int) -> str:
    """Return one line for a person who waits."""
    return (
        f"{progress.elapsed_s:6.1f} s: {progress.on} of {machines} powered on, {progress.ended} ended, "
        f"{progress.failed} failed"
    )


def storm_lines(report: StormReport) -> Iterator[str]:
    """Give the lines for a person."""
    figures = report.figures
    yield (
        f"{counted(figures.machines, 'machine')} with {report.profile.name} on {report.interface}, to {report.until}: "
        f"{figures.ended} booted in {figures.total_s:.1f} s, {figures.machines - figures.ended} failed"
    )
    if report.note:
        yield f"note: {report.note}"
    yield from _table(figures)
    if figures.fairness is not None:
        yield f"slowest ÷ fastest whole boot: {figures.fairness:.2f}"
    yield _server_line(report)
    for group in figures.failures:
        yield from _failure_lines(group)


def _table(figures: StormFigures) -> Iterator[str]:
    rows = [(step.value, found) for step, found in figures.steps.items()]
    if figures.whole_boots is not None:
        rows.append(("whole boot", figures.whole_boots))
    yield _row(_COLUMNS)
    for name, found in rows:
        times = (found.p50_s, found.p90_s, found.p99_s, found.worst_s)
        yield _row((name, str(found.count), *map(_shown_time, times)))


def _row(cells: Sequence[str]) -> str:
    first, *rest = cells
    return f"{first:<12}" + "".join(f"{each:>10}" for each in rest)


def _shown_time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _server_line(report: StormReport) -> str:
    use, machines = report.use, report.figures.machines
    if use is None:
        return "server: CPU and memory are not known here; run the command where its daemon runs, with --config"
    return (
        f"server: {use.cpu_s:.2f} s of CPU ({use.cpu_s / machines * 1000:.1f} ms per machine), "
        f"{shown_size(use.peak_bytes)} of memory at most since its start"
    )


def _failure_lines(group: FailureGroup) -> Iterator[str]:
    yield f"{group.count} × {group.step}: {group.sentence}"
    yield f"    {', '.join(group.machines)}{', …' if group.count > len(group.machines) else ''}"
    yield f"    cure: {group.cure}"


def storm_json(report: StormReport) -> dict[str, Any]:
    """Return the storm for a program; docs/simulate.md lists the keys."""
    figures = report.figures
    return {
        "ok": not figures.failures,
        "firmware": report.profile.name,
        "source": report.profile.source,
        "interface": report.interface,
        "until": report.until.value,
        "note": report.note,
        "machines": figures.machines,
        "ended": figures.ended,
        "total_s": round(figures.total_s, 3),
        "steps": {step.value: _rounded(found) for step, found in figures.steps.items()},
        "whole_boots": None if figures.whole_boots is None else _rounded(figures.whole_boots),
        "fairness": None if figures.fairness is None else round(figures.fairness, 3),
        "failures": [asdict(group) for group in figures.failures],
        "server": None if report.use is None else asdict(report.use),
    }


def _rounded(found: Percentiles) -> dict[str, float]:
    return {key: round(value, 4) for key, value in asdict(found).items()}
