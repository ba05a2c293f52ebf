"""The chart of a boot: bars in percent of the width, beside how long each step usually takes."""

from datetime import UTC, datetime, timedelta

import pytest

from netboot.admin.pages.boots.boot_gantt import BootGantt, GanttBar, GanttRow, GanttTick, RowKind, boot_gantt
from netboot.model.boot.boot_progress import BootProgress
from netboot.model.boot.boot_record import BootPlan, BootRecord, BootStep
from netboot.model.boot.expected_durations import ExpectedDurations, Wait, default_of
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.operate.boots.boot_history import ShownBoot
from netboot.operate.boots.boot_waits import WaitStatus

BEGAN = datetime(2026, 11, 29, 19, 0, tzinfo=UTC)
MAC = Mac("52:54:00:aa:bb:01")
EXPECTED = ExpectedDurations()
KERNEL = "usually 2 s, at most 2 min; the default"


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def step(step: Step, begin: float, end: float | None = None, **values: object) -> BootStep:
    last = end if end is not None else begin
    return BootStep(step, at(begin), at(last), **values)  # type: ignore[arg-type]


def record(*steps: BootStep, **values: object) -> BootRecord:
    return BootRecord(HostName("cp1"), MAC, BEGAN, at(60), plan=BootPlan.INSTALL, steps=steps, **values)  # type: ignore[arg-type]


def gantt(*steps: BootStep, **values: object) -> BootGantt:
    return boot_gantt(ShownBoot(record(*steps, **values)), EXPECTED, at(60))


def waiting(step_: Step, since: float, *, is_overdue: bool, progress: BootProgress | None = None) -> ShownBoot:
    wait = WaitStatus(Wait(step_, at(since), default_of(step_, LoaderKind.UNKNOWN)), is_overdue)
    reached = record(step(Step.OFFER, 0), step(Step.LOADER, 4, 8, took_s=8.0))
    return ShownBoot(reached, progress=progress, wait=wait)


def test_a_step_is_a_bar_beside_its_usual_duration_with_the_same_in_words():
    kernel = step(Step.KERNEL, 6, 8, took_s=4.0, bytes=8_000_000, sent_s=2.0, retries=1, detail="vmlinuz")

    found = gantt(step(Step.OFFER, 0, detail="snponly.efi"), kernel)

    assert found.rows[1] == GanttRow(
        "kernel",
        RowKind.DONE,
        at(6),
        "4 s",
        GanttBar(25.0, 25.0),  # the axis is twice as long as the boot, because more is usual for the offer
        GanttBar(25.0, 12.5),
        "4 s",
        KERNEL,
        "vmlinuz, 8.0 MB at 4.0 MB/s, 1 retry",
    )
    assert found.rows[1].title == f"kernel: 4 s; {KERNEL}; vmlinuz, 8.0 MB at 4.0 MB/s, 1 retry"
    assert found.label == "Timeline of the boot of 52:54:00:aa:bb:01: 2 steps in 8 s"
    assert found.ticks == (GanttTick(31.25, "5 s"), GanttTick(62.5, "10 s"), GanttTick(93.75, "15 s"))


def test_the_first_step_has_no_duration_and_is_visible_all_the_same():
    [row] = gantt(step(Step.OFFER, 0)).rows

    assert (row.took, row.bar, row.expected) == ("", GanttBar(0.0, 0.4), GanttBar(0.0, 100.0))


@pytest.mark.parametrize(
    ("took_s", "overdue", "kind", "took"),
    [
        (119.0, frozenset(), RowKind.DONE, "1 min 59 s"),
        (121.0, frozenset(), RowKind.OVERDUE, "2 min 1 s, overdue"),
        (10.0, frozenset({Step.KERNEL}), RowKind.OVERDUE, "10 s, overdue"),
    ],
)
def test_a_step_that_came_late_is_overdue(took_s: float, overdue: frozenset[Step], kind: RowKind, took: str):
    found = gantt(step(Step.KERNEL, 1, 130, took_s=took_s), overdue=overdue)

    assert (found.rows[0].kind, found.rows[0].took) == (kind, took)
    assert found.label.endswith("; overdue: kernel") == (kind is RowKind.OVERDUE)


def test_a_failure_has_no_usual_duration():
    found = gantt(step(Step.OFFER, 0), step(Step.FAILED, 40, 40, took_s=40.0, detail="<b>the disk</b>")).rows[1]

    assert (found.kind, found.expected, found.usual) == (RowKind.FAILED, None, "")
    assert found.text == "<b>the disk</b>"


@pytest.mark.parametrize(
    ("is_overdue", "kind", "took"),
    [(False, RowKind.RUNNING, "52 s so far"), (True, RowKind.LATE, "52 s so far, overdue")],
)
def test_what_is_awaited_is_a_row_that_grows(is_overdue: bool, kind: RowKind, took: str):
    found = boot_gantt(waiting(Step.SCRIPT, 8, is_overdue=is_overdue), EXPECTED, at(60))

    last = found.rows[-1]
    assert (last.step, last.kind, last.took, last.text) == (
        "script",
        kind,
        took,
        "waits for the request for the script",
    )
    assert last.bar == GanttBar(round(100 * 8 / 120, 2), round(100 * 52 / 120, 2))


def test_a_step_that_goes_on_is_one_row_with_its_percent():
    progress = BootProgress(Step.LOADER, "snponly.efi", 40, 100, 40, 10.0, 6.0)

    found = boot_gantt(waiting(Step.LOADER, 0, is_overdue=False, progress=progress), EXPECTED, at(60))

    assert [(row.step, row.text) for row in found.rows] == [
        ("offer", ""),
        ("loader", "waits for the transfer of the loader, 40 %"),
    ]


def test_a_boot_without_a_step_is_empty():
    assert gantt() == BootGantt(
        "Timeline of the boot of 52:54:00:aa:bb:01: 0 steps in 0 s", (), (GanttTick(100.0, "1 s"),)
    )


@pytest.mark.parametrize("seconds", [0.5, 7, 100, 4_000, 14_000, 900_000, 80_000_000])
def test_every_bar_and_mark_is_within_the_width_however_long_a_boot_took(seconds: float):
    found = gantt(step(Step.OFFER, 0), step(Step.SCRIPT, seconds, took_s=seconds))

    for bar in [bar for row in found.rows for bar in (row.bar, row.expected) if bar is not None]:
        assert 0 <= bar.start <= 100
        assert 0 < bar.width <= 100.01 - bar.start
    assert [tick for tick in found.ticks if not 0 < tick.at <= 100] == []
    assert seconds > 86_400 * 6 or len(found.ticks) <= 12


def test_text_of_a_machine_is_printable():
    assert gantt(step(Step.OFFER, 0, detail="a\u202eb\x1b[31m")).rows[0].text == "a\ufffdb\ufffd[31m"
