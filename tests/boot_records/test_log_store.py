"""Logs on a disk: where they are, how large they become, and which are deleted."""

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.boot_records import disk_budget, log_store
from netboot.boot_records.disk_budget import DiskBudget, on_disk
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.boot_records.log_store import (
    LONGEST_LOG_BYTES,
    READ_AT_ONCE_BYTES,
    LogStore,
    ReceivedLine,
    read_log,
    read_tail,
)
from netboot.boot_records.record_files import Owner, RecordFiles, RecordKind, StoredRecord
from netboot.model.boot.log_line import LogLine, Severity
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac

BEGAN = datetime.now(UTC)
CP1, W1 = HostName("cp1"), HostName("w1")
MAC = Mac.parse("52:54:00:aa:bb:99")
BUDGET = 1 << 20


def received(text: str, *, owner: Owner = CP1, began_at: datetime | None = BEGAN, at: datetime = BEGAN) -> ReceivedLine:
    return ReceivedLine(owner, began_at, LogLine(at, IPv4Address("192.0.2.50"), Severity.INFO, "ipxe", text))


def texts(store: LogStore, owner: Owner = CP1) -> list[list[str]]:
    """The lines of each boot of a machine."""
    logs = store.budget.files.of(owner, RecordKind.LOG)
    return [[line.text for line in read_log(log, 0)[0]] for log in logs]


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., LogStore]:
    def open_store(budget_bytes: int = BUDGET, *, later: timedelta = timedelta(0)) -> LogStore:
        files = RecordFiles(tmp_path / "logs")
        store = LogStore(DiskBudget(files, budget_bytes, now=lambda: datetime.now(UTC) + later))
        store.budget.open()
        return store

    return open_store


def test_each_boot_of_each_machine_has_a_log_that_only_the_daemon_and_its_group_may_read(
    opened: Callable[..., LogStore],
):
    store = opened()

    written = store.write(
        [
            received("a"),
            received("b"),
            received("c", began_at=BEGAN + timedelta(minutes=5)),
            received("d", owner=MAC),
            received("e", owner=W1),
        ]
    )

    assert (written.dropped, written.problem) == ({}, None)
    assert texts(store) == [["a", "b"], ["c"]]
    assert texts(store, MAC) == [["d"]]
    names = sorted(
        str(path.relative_to(store.budget.files.directory)) for path in store.budget.files.directory.rglob("*.log")
    )
    assert [Path(name).parent.name for name in names] == ["52-54-00-aa-bb-99", "cp1", "cp1", "w1"]
    modes = {path.stat().st_mode & 0o777 for path in store.budget.files.directory.rglob("*.log")}
    assert (modes, store.budget.files.directory.stat().st_mode & 0o027) == ({0o640 & ~_umask()}, 0)
    assert store.budget.used_bytes == 4 * 4096


def _umask() -> int:
    before = os.umask(0o022)
    os.umask(before)
    return before


def test_after_a_restart_a_recent_log_is_continued_and_an_old_one_is_not(opened: Callable[..., LogStore]):
    opened().write([received("before")])

    opened().write([received("after", began_at=None)])
    [boot] = opened().budget.files.of(CP1, RecordKind.LOG)
    os.utime(boot.path, (1, 1))
    later = BEGAN + timedelta(hours=3)
    opened().write([received("much later", began_at=None, at=later), received("and more", began_at=None, at=later)])

    assert texts(opened()) == [["before", "after"], ["much later", "and more"]]


def test_after_a_half_line_that_a_killed_daemon_left_no_line_is_lost(opened: Callable[..., LogStore]):
    opened().write([received("whole"), received("half")])
    [boot] = opened().budget.files.of(CP1, RecordKind.LOG)
    os.truncate(boot.path, boot.size_bytes - 5)

    store = opened()
    store.write([received("first after the restart", began_at=None)])
    store.write([received("second", began_at=None)])

    assert texts(store) == [["whole", "first after the restart", "second"]]
    assert store.budget.used_bytes == on_disk(boot.path.stat().st_size)


def test_a_log_ends_with_a_line_that_states_that_the_rest_is_missing(
    opened: Callable[..., LogStore], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(log_store, "LONGEST_LOG_BYTES", 1000)
    store = opened()

    first = store.write([received(f"line {number}") for number in range(20)])
    then = store.write([received("too late")])

    [lines] = texts(store)
    assert lines[0] == "line 0"
    assert lines[-1] == "this log has 0 MiB, and the rest of this boot is not kept"
    assert first.dropped == {RecordDrop.BOOT_FULL: 20 - len(lines) + 1}
    assert then.dropped == {RecordDrop.BOOT_FULL: 1}
    assert LONGEST_LOG_BYTES == 16 << 20


def test_the_oldest_logs_are_deleted_beyond_the_budget_and_never_those_of_running_boots(
    opened: Callable[..., LogStore],
):
    store = opened(8 * 4096)
    for number in range(12):
        store.write([received("x", began_at=BEGAN + timedelta(minutes=number))])

    kept = [boot.began_at - BEGAN for boot in store.budget.files.of(CP1, RecordKind.LOG)]
    assert kept == [timedelta(minutes=number) for number in range(5, 12)]

    for number in range(12):
        written = store.write([received("x", owner=HostName(f"w{number}"))])
    assert written.dropped == {RecordDrop.BUDGET: 1}
    assert written.problem == (
        "the records of running boots fill records.budget (32768 bytes), and no more lines are kept; "
        "set records.budget to more"
    )
    assert store.budget.used_bytes == 8 * 4096
    assert not store.budget.files.path_of(CP1, BEGAN, RecordKind.LOG).exists()


def test_unregistered_machines_displace_no_log_of_a_host(opened: Callable[..., LogStore]):
    store = opened(8 * 4096)
    earlier, later = BEGAN - timedelta(days=1), BEGAN + timedelta(hours=1)
    store.write([received("earlier", began_at=earlier), received("now")])

    for number in range(20):
        mac = Mac.from_bytes(bytes([2, 0, 0, 0, 0, number]))
        flooded = store.write([received("x", owner=mac, began_at=later)])
    written = store.write([received("x", owner=HostName(f"w{number}"), began_at=later) for number in range(5)])

    assert (flooded.dropped, written.dropped, written.problem) == ({}, {}, None)
    assert texts(store) == [["earlier"], ["now"]]
    assert {boot.path.parent.name for boot in store.budget.files.all()} == {"cp1", "w0", "w1", "w2", "w3", "w4"}


def test_a_log_that_is_not_written_for_an_hour_may_be_deleted(opened: Callable[..., LogStore]):
    store = opened(2 * 4096, later=timedelta(hours=2))

    for number in range(4):
        written = store.write([received("x", owner=HostName(f"w{number}"))])

    assert (written.dropped, written.problem) == ({}, None)
    assert [boot.path.parent.name for boot in store.budget.files.all()][-1] in ("w2", "w3")


def test_a_smaller_budget_is_kept_from_the_start(opened: Callable[..., LogStore]):
    store = opened()
    for number in range(10):
        store.write([received("x", began_at=BEGAN + timedelta(minutes=number))])

    smaller = opened(4 * 4096)

    assert smaller.budget.used_bytes < 4 * 4096
    assert len(smaller.budget.files.of(CP1, RecordKind.LOG)) == 3


def test_what_an_operator_deletes_is_free_again(opened: Callable[..., LogStore]):
    store = opened(2 * 4096)
    store.write([received("x"), received("x", owner=W1)])
    for boot in store.budget.files.all():
        boot.path.unlink()

    written = store.write([received("y")])

    assert (written.dropped, store.budget.used_bytes, texts(store)) == ({}, 4096, [["y"]])


def test_a_full_disk_is_a_problem_and_leaves_no_half_line(
    opened: Callable[..., LogStore], monkeypatch: pytest.MonkeyPatch
):
    store = opened()
    store.write([received("before")])
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) <= 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, bytes(data[:10]))

    monkeypatch.setattr(os, "write", lambda descriptor, data: full(descriptor, data[:10] if len(data) > 40 else b""))
    written = store.write([received("lost"), received("lost too")])
    monkeypatch.undo()
    after = store.write([received("after")])

    assert written.dropped == {RecordDrop.WRITE_FAILED: 2}
    assert written.problem == (
        f"cannot write the log of cp1 in {store.budget.files.directory}: No space left on device; "
        "free some space on its file system"
    )
    assert (after.dropped, after.problem, texts(store)) == ({}, None, [["before", "after"]])


def test_a_directory_that_cannot_be_made_is_a_problem_of_each_write(tmp_path: Path):
    (tmp_path / "file").write_text("")
    store = LogStore(DiskBudget(RecordFiles(tmp_path / "file"), BUDGET, now=lambda: BEGAN))

    with pytest.raises(OSError, match="File exists"):
        store.budget.open()
    written = store.write([received("x")])

    assert written.dropped == {RecordDrop.WRITE_FAILED: 1}
    assert written.problem == f"cannot write the log of cp1 in {tmp_path}/file: Not a directory; see records.directory"


def test_files_take_whole_blocks_of_the_budget():
    assert [on_disk(size) for size in (0, 1, 4096, 4097)] == [0, 4096, 4096, 8192]


def test_the_number_of_machines_in_memory_is_bounded(opened: Callable[..., LogStore], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk_budget, "MACHINES", 2)
    store = opened()

    for name in ("a", "b", "c", "a"):
        store.write([received("x", owner=HostName(name), began_at=None)])

    assert texts(store, HostName("a")) == [["x", "x"]]


def test_of_a_long_log_the_last_part_is_read_without_half_a_line(tmp_path: Path):
    log = tmp_path / "20261129T110000.000000Z.log"
    lines = [received(f"{number:07} {'x' * 1000}").line.to_json() for number in range(400)]
    log.write_text("".join(f"{each}\n" for each in lines))

    found, offset, is_cut = read_tail(record_of(log), 10_000)

    assert READ_AT_ONCE_BYTES / 1200 < len(found) < 400
    assert [each.text[:7] for each in found] == [f"{number:07}" for number in range(400 - len(found), 400)]
    assert (offset, is_cut) == (log.stat().st_size, True)


def test_a_log_that_was_deleted_has_no_last_lines(tmp_path: Path):
    assert read_tail(record_of(tmp_path / "gone.log"), 5) == ([], 0, False)


def record_of(log: Path) -> StoredRecord:
    return StoredRecord(RecordKind.LOG, BEGAN, log, 0, BEGAN)
