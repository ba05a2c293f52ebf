"""Draws the steps of a boot against how long they take here: a Gantt chart. Pure; positions in percent of the width."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from netboot.admin.json_views import json_view
from netboot.admin.texts.boot_text import step_text
from netboot.model.boot.boot_record import BootRecord, BootStep
from netboot.model.boot.expected_durations import WAITED_FOR, Expected, ExpectedDurations, usual_text
from netboot.model.install.event import Step
from netboot.model.words import printable, shown_seconds
from netboot.operate.boots.boot_history import ShownBoot

_NARROWEST: Final = 0.4  # percent; a shorter step is not visible
_MOST_TICKS: Final = 6
_TICKS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
_WIDER: Final = 2.0  # the axis is at most so many times as long as the boot, to show what is expected


class RowKind(StrEnum):
    """How a row is drawn."""

    DONE = "done"
    OVERDUE = "overdue"  # it came later than its limit
    RUNNING = "running"
    LATE = "late"  # it is awaited, and beyond its limit
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class GanttBar:
    """A bar, in percent of the width."""

    start: float
    width: float


@dataclass(frozen=True, slots=True)
class GanttRow:
    """One step. `expected` is how long it usually takes, from where `bar` begins; the texts say the same."""

    step: str
    kind: RowKind
    at: datetime  # when it was reached, or is awaited since
    after: str  # since the boot began
    bar: GanttBar
    expected: GanttBar | None
    took: str
    usual: str
    text: str  # file, percent, bytes, rate, retries

    @property
    def title(self) -> str:
        """Describe the row in one sentence."""
        parts = [f"{self.step}: {self.took}" if self.took else self.step, self.usual, self.text]
        return "; ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class GanttTick:
    """A mark of the axis."""

    at: float  # percent
    label: str


@dataclass(frozen=True, slots=True)
class BootGantt:
    """The chart of one boot. `label` describes it to a person who does not see it."""

    label: str
    rows: tuple[GanttRow, ...]
    ticks: tuple[GanttTick, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """A step in seconds since the boot began."""

    step: Step
    kind: RowKind
    at: datetime
    begin_s: float
    end_s: float
    took: str
    expected: Expected | None
    text: str

    @property
    def usual_end_s(self) -> float:
        return self.begin_s + self.expected.median_s if self.expected is not None else self.begin_s


def boot_gantt(shown: ShownBoot, expected: ExpectedDurations, now: datetime) -> BootGantt:
    """Draw a boot: a row for each step that was reached, and one for that which it waits for now."""
    record = shown.record
    rows = list(_reached(shown, expected))
    if (waiting := _awaited(shown, now)) is not None:
        rows = [*(row for row in rows if row.step is not waiting.step), waiting]
    end_s = max((row.end_s for row in rows), default=0.0)
    usual_end_s = max((row.usual_end_s for row in rows), default=0.0)
    span_s = max(end_s, min(usual_end_s, end_s * _WIDER), 1.0)
    return BootGantt(_label(record, rows, end_s), tuple(_drawn(row, span_s) for row in rows), tuple(ticks_of(span_s)))


def _reached(shown: ShownBoot, expected: ExpectedDurations) -> Iterable[_Row]:
    record = shown.record
    texts = [printable(step_text(step)) for step in json_view(shown)["steps"]]
    for step, text in zip(record.steps, texts, strict=True):
        usual = expected.of(step.step, record.loader) if step.step is not Step.FAILED else None
        end_s = _since(record, step.last_at)
        begin_s = max(0.0, end_s - step.took_s) if step.took_s is not None else _since(record, step.at)
        took = shown_seconds(step.took_s) if step.took_s is not None else ""
        yield _Row(step.step, _kind(record, step, usual), step.at, begin_s, end_s, took, usual, text)


def _kind(record: BootRecord, step: BootStep, usual: Expected | None) -> RowKind:
    if usual is None:
        return RowKind.FAILED
    is_late = step.took_s is not None and step.took_s > usual.limit_s
    return RowKind.OVERDUE if is_late or step.step in record.overdue else RowKind.DONE


def _awaited(shown: ShownBoot, now: datetime) -> _Row | None:
    """Return the row of what a running boot waits for; None if it waits for nothing or for an operator."""
    if shown.wait is None:
        return None
    wait, is_late = shown.wait.wait, shown.wait.is_overdue
    begin_s, end_s = _since(shown.record, wait.since), _since(shown.record, now)
    text = f"waits for {WAITED_FOR[wait.step]}"
    if shown.progress is not None and shown.progress.step is wait.step:
        text += f", {shown.progress.percent} %"
    took = f"{shown_seconds(max(0.0, end_s - begin_s))} so far"
    kind = RowKind.LATE if is_late else RowKind.RUNNING
    return _Row(wait.step, kind, wait.since, begin_s, max(begin_s, end_s), took, wait.expected, text)


def _since(record: BootRecord, at: datetime) -> float:
    return max(0.0, (at - record.began_at).total_seconds())


def _drawn(row: _Row, span_s: float) -> GanttRow:
    usual = row.expected
    is_overdue = row.kind in (RowKind.OVERDUE, RowKind.LATE)
    return GanttRow(
        row.step,
        row.kind,
        row.at,
        shown_seconds(row.begin_s),
        bar_of(row.begin_s, row.end_s, span_s),
        bar_of(row.begin_s, row.usual_end_s, span_s) if usual is not None else None,
        f"{row.took}, overdue" if is_overdue and row.took else row.took,
        usual_text(usual.median_s, usual.limit_s, usual.boots) if usual is not None else "",
        row.text,
    )


def bar_of(begin_s: float, end_s: float, span_s: float) -> GanttBar:
    """Draw what lasts from one second to another on an axis of `span_s` seconds."""
    start = min(100 * begin_s / span_s, 100 - _NARROWEST)
    width = min(max(100 * (end_s - begin_s) / span_s, _NARROWEST), 100 - start)
    return GanttBar(round(start, 2), round(width, 2))


def ticks_of(span_s: float) -> Iterable[GanttTick]:
    """Mark an axis of `span_s` seconds at round numbers."""
    every_s = next((each for each in _TICKS_S if span_s / each <= _MOST_TICKS), _TICKS_S[-1])
    for number in range(1, int(span_s // every_s) + 1):
        yield GanttTick(round(100 * number * every_s / span_s, 2), shown_seconds(number * every_s))


def _label(record: BootRecord, rows: Sequence[_Row], end_s: float) -> str:
    late = [row.step for row in rows if row.kind in (RowKind.OVERDUE, RowKind.LATE)]
    overdue = f"; overdue: {', '.join(late)}" if late else ""
    return f"Timeline of the boot of {record.mac}: {len(rows)} steps in {shown_seconds(end_s)}{overdue}"
