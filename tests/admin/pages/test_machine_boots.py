"""What a page shows of the boots of a machine: from the store, and from the files of its logs and captures."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from netboot.admin.pages.boots.machine_boots import BootsView, MachineBoots
from netboot.boot.sessions.boot_recorder import BootRecorder
from netboot.boot.sessions.learned_durations import LearnedDurations
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.kept_records import KeptRecords
from netboot.boot_records.log_store import LogStore, ReceivedLine
from netboot.boot_records.record_files import RecordFiles, RecordKind
from netboot.boot_records.record_writer import RecordWriter
from netboot.model.boot.boot_progress import BootProgress
from netboot.model.boot.boot_record import BootEnd, BootPlan, BootRecord, BootStep, BrokenTransfer
from netboot.model.boot.log_line import LogLine, Severity
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.operate.boots.boot_history import BootHistory, NoBootError
from netboot.operate.boots.boot_waits import BootWaits
from netboot.store.boots.boot_store import Boots
from netboot.store.database import Database
from netboot.telemetry.metrics import Metrics

NOW = datetime(2026, 11, 29, 19, 0, tzinfo=UTC)
CP1, MAC = HostName("cp1"), Mac("52:54:00:aa:bb:01")
PROGRESS = BootProgress(Step.KERNEL, "vmlinuz", 40, 100, 40, 10.0, 6.0)


def before(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


FIRST = BootRecord(
    CP1,
    MAC,
    before(60),
    before(50),
    plan=BootPlan.INSTALL,
    end=BootEnd.FAILED,
    ended_at=before(50),
    overdue=frozenset({Step.OSTREE}),
)
LAST = BootRecord(
    CP1,
    MAC,
    before(2),
    before(1),
    plan=BootPlan.INSTALL,
    steps=(BootStep(Step.OFFER, before(2), before(2)), BootStep(Step.SCRIPT, before(1), before(1), took_s=60.0)),
    broken=BrokenTransfer(Step.KERNEL, "vmlinuz\u202e", before(1), 5, 10, "reset", times=2),
)


async def known(_: str) -> HostName:
    return CP1


def found(directory: Path, *boots: BootRecord, number: int = 0, logs: Any = (), receives: bool = False) -> BootsView:
    async def scenario() -> BootsView:
        database = await Database.open(f"sqlite+aiosqlite:///{directory}/netboot.db")
        try:
            kept = Boots(database)
            for boot in boots:
                kept.keep(boot)
            await kept.flush()
            recorder, waits = BootRecorder(kept), BootWaits(kept, LearnedDurations(kept), lambda: NOW)
            await recorder.load(NOW)
            history = BootHistory(recorder, waits, known, progress=lambda _: PROGRESS, now=lambda: NOW)
            budget = DiskBudget(RecordFiles(directory / "records"), 1 << 30, now=lambda: NOW)
            LogStore(budget).write(logs)
            writer = RecordWriter(budget, Metrics(), application="netboot") if receives else None
            records = KeptRecords(budget.files, writer, receives)
            machine = MachineBoots(history, records.logs(known), records.captures(known), lambda: NOW)
            return await machine.of("cp1", page_url="/hosts/cp1", number=number)
        finally:
            await database.close()

    return asyncio.run(scenario())


def line(minutes: float, text: str) -> ReceivedLine:
    at = before(minutes)
    return ReceivedLine(CP1, at, LogLine(at, IPv4Address("192.0.2.50"), Severity.WARNING, "ipxe", text))


def test_the_last_boot_is_shown_with_what_it_waits_for_and_the_list_begins_with_it(tmp_path: Path):
    view = found(tmp_path, FIRST, LAST)

    assert view.boot is not None
    assert (view.boot.number, view.boot.boots, view.boot.end, view.is_running) == (2, 2, "running", True)
    assert view.boot.status.startswith("waits for kernel (usually 2 s, at most 2 min; the default)")
    assert (view.boot.percent, view.boot.progress) == (40, "vmlinuz 40 %, 40 B of 100 B, 10 B/s, 6 s left")
    assert view.boot.broken == "kernel: vmlinuz\ufffd was sent in part (reset): 5 B of 10 B, 2 times"
    assert [(row.number, row.url, row.end, row.took, row.is_shown, row.is_overdue) for row in view.rows] == [
        (2, "/hosts/cp1/boots/2", "running", "1 min 0 s", True, False),
        (1, "/hosts/cp1/boots/1", "failed", "10 min 0 s", False, True),
    ]


def test_an_earlier_boot_has_its_own_log_and_capture(tmp_path: Path):
    files = RecordFiles(tmp_path / "records")
    capture = files.path_of(CP1, before(60), RecordKind.CAPTURE)
    capture.parent.mkdir(parents=True)
    capture.write_bytes(b"")

    view = found(tmp_path, FIRST, LAST, number=1, logs=[line(59, "first"), line(2, "last")], receives=True)

    assert view.boot is not None
    assert (view.boot.number, view.is_running, view.boot.status) == (1, False, "")
    assert view.boot.capture_url == "/api/v1/installs/cp1/capture?boot=1"
    assert [(each.text, each.colour) for each in view.log.lines] == [("first", "amber")]
    assert (view.log.follow_url, view.log.whole_url) == (None, "/hosts/cp1/log?boot=1")


def test_the_log_of_the_last_boot_is_followed_from_its_end(tmp_path: Path):
    view = found(tmp_path, FIRST, LAST, logs=[line(2, "last")], receives=True)

    size_bytes = next((tmp_path / "records" / "cp1").glob("*.log")).stat().st_size
    assert [each.text for each in view.log.lines] == ["last"]
    assert view.log.follow_url == f"/api/v1/installs/cp1/logs?boot=1&offset={size_bytes}"


def test_lines_of_an_earlier_boot_are_not_those_of_the_last_one(tmp_path: Path):
    view = found(tmp_path, FIRST, LAST, logs=[line(59, "first")], receives=True)

    assert (view.log.lines, view.log.problem) == ((), "no line of this boot came so far")
    assert (view.log.follow_url or "").startswith("/api/v1/installs/cp1/logs?boot=1&offset=")


@pytest.mark.parametrize(("receives", "url"), [(True, "/api/v1/installs/cp1/logs"), (False, None)])
def test_a_log_that_may_begin_is_awaited(tmp_path: Path, receives: bool, url: str | None):
    view = found(tmp_path, LAST, receives=receives)

    assert (view.log.problem, view.log.follow_url) == ("no log of cp1 is kept; see logs.listen", url)


def test_a_boot_without_a_log_has_none_although_others_have(tmp_path: Path):
    view = found(tmp_path, FIRST, LAST, number=1, logs=[line(2, "last")])

    assert (view.log.problem, view.log.lines) == ("no log of this boot is kept", ())


def test_a_machine_without_a_boot_is_shown(tmp_path: Path):
    view = found(tmp_path)

    assert (view.boot, view.rows, view.is_running) == (None, (), False)


def test_a_boot_that_showed_nothing_for_long_is_inactive(tmp_path: Path):
    old = replace(LAST, began_at=before(600), last_at=before(590))

    view = found(tmp_path, old)

    assert view.boot is not None
    assert (view.boot.status, view.rows[0].end) == ("no further sign of it for 4 hours", "inactive")


def test_a_number_that_is_not_kept_is_refused(tmp_path: Path):
    with pytest.raises(NoBootError, match="no boot 3 of cp1 is kept; there are 2"):
        found(tmp_path, FIRST, LAST, number=3)
