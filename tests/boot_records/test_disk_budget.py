"""Which records are deleted, of which machine and boot, and what the store takes of the budget."""

import errno
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from netboot.boot_records import disk_budget
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.record_files import Owner, RecordFiles, RecordKind
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac

NOW = datetime.now(UTC)
CP1 = HostName("cp1")
BLOCK = 4096


def mac(number: int) -> Mac:
    return Mac.from_bytes(bytes([2, 0, 0, 0, 0, number]))


def at(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


@pytest.fixture
def budget(tmp_path: Path) -> DiskBudget:
    found = DiskBudget(RecordFiles(tmp_path), 64 * BLOCK, now=lambda: datetime.now(UTC))
    found.open()
    return found


def write(
    budget: DiskBudget, owner: Owner, began_at: datetime, *kinds: RecordKind, blocks: int = 1, keeps: bool = True
) -> None:
    for kind in kinds or RecordKind:
        path = budget.begin(owner, began_at, kind)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(blocks * BLOCK))
        budget.note_size(owner, kind, before=0, after=blocks * BLOCK)
    if keeps:
        budget.keep()


def kept(budget: DiskBudget) -> set[tuple[str, int, RecordKind]]:
    return {
        (record.path.parent.name, round((record.began_at - NOW) / timedelta(minutes=1)), record.kind)
        for record in budget.files.all()
    }


def test_the_use_is_counted_by_kind_also_after_a_restart(budget: DiskBudget):
    write(budget, CP1, at(0))
    write(budget, mac(1), at(1), RecordKind.CAPTURE, blocks=3)
    again = DiskBudget(budget.files, 64 * BLOCK, now=lambda: NOW)
    again.open()

    for each in (budget, again):
        assert dict(each.used) == {RecordKind.LOG: BLOCK, RecordKind.CAPTURE: 4 * BLOCK}
        assert each.used_bytes == 5 * BLOCK


def test_what_a_killed_daemon_was_writing_anew_is_deleted(budget: DiskBudget):
    write(budget, CP1, at(0), RecordKind.CAPTURE)
    [capture] = budget.files.of(CP1, RecordKind.CAPTURE)
    part = capture.path.with_suffix(".part")
    part.write_text("x")

    budget.open()

    assert (part.exists(), capture.path.exists()) == (False, True)


def test_unregistered_machines_have_an_eighth_and_a_quarter_of_it_is_freed_at_once(budget: DiskBudget):
    write(budget, CP1, at(-60))
    for number in range(8):
        write(budget, mac(number), at(number), RecordKind.CAPTURE)
    assert len(kept(budget)) == 10

    write(budget, mac(8), at(8), RecordKind.CAPTURE)

    assert kept(budget) == {
        ("cp1", -60, RecordKind.LOG),
        ("cp1", -60, RecordKind.CAPTURE),
        *((mac(number).hyphenated, number, RecordKind.CAPTURE) for number in range(3, 9)),
    }


def test_both_records_of_a_running_boot_stay_though_only_one_is_written(budget: DiskBudget):
    write(budget, CP1, at(-300), blocks=10)
    log = budget.files.path_of(CP1, at(-300), RecordKind.LOG)
    capture = budget.files.path_of(CP1, at(-300), RecordKind.CAPTURE)
    os.utime(capture, (1, 1))
    write(budget, HostName("w1"), at(0), RecordKind.LOG, blocks=50)

    assert (log.exists(), capture.exists()) == (True, True)

    os.utime(log, (1, 1))
    budget.keep()

    assert (log.exists(), capture.exists()) == (True, False)  # the capture was enough


def test_a_machine_that_restarts_all_the_time_displaces_no_other(budget: DiskBudget, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk_budget, "BOOTS_OF_HOST", 3)
    write(budget, HostName("w1"), at(-60), RecordKind.LOG)

    for number in range(9):
        write(budget, CP1, at(number), keeps=False)
        write(budget, mac(1), at(number), RecordKind.CAPTURE, keeps=False)

    hosts = {(name, minutes) for name, minutes, _ in kept(budget) if "-" not in name}
    assert hosts == {("w1", -60), ("cp1", 6), ("cp1", 7), ("cp1", 8)}
    assert sum(name == mac(1).hyphenated for name, _, _ in kept(budget)) == 4
    assert budget.used_bytes == len(kept(budget)) * BLOCK


def test_forged_boots_of_a_host_displace_no_boot_that_got_further(budget: DiskBudget, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk_budget, "BOOTS_OF_HOST", 8)
    write(budget, CP1, at(0), blocks=3)  # an install

    for number in range(1, 30):  # each DISCOVER with its MAC and another `xid` begins one
        write(budget, CP1, at(number), RecordKind.CAPTURE, keeps=False)

    boots = {minutes for _, minutes, _ in kept(budget)}
    assert boots == {0, *range(23, 30)}


def test_the_store_is_counted_and_leaves_half_of_the_budget_to_files(budget: DiskBudget):
    for number in range(60):
        write(budget, CP1, at(number), RecordKind.LOG)
    budget.store_bytes = 20 * BLOCK
    assert (budget.limit_bytes, budget.keep()) == (44 * BLOCK, True)
    assert len(kept(budget)) == 43

    budget.store_bytes = 1000 * BLOCK
    assert (budget.limit_bytes, budget.keep()) == (32 * BLOCK, True)
    assert min(minutes for _, minutes, _ in kept(budget)) == 29


def test_after_a_restart_a_boot_whose_beginning_is_known_less_exactly_continues(budget: DiskBudget):
    write(budget, CP1, at(0), RecordKind.LOG)
    write(budget, CP1, at(5), RecordKind.LOG)
    again = DiskBudget(budget.files, 64 * BLOCK, now=lambda: NOW)

    continued = again.path_of(CP1, at(5) + timedelta(seconds=1), RecordKind.CAPTURE)
    next_boot = again.path_of(CP1, at(5) + timedelta(seconds=4), RecordKind.CAPTURE)

    assert continued == budget.files.path_of(CP1, at(5), RecordKind.CAPTURE)
    assert next_boot == budget.files.path_of(CP1, at(5) + timedelta(seconds=4), RecordKind.CAPTURE)


def test_without_a_known_boot_the_one_that_was_recorded_recently_continues(budget: DiskBudget):
    assert budget.path_of(CP1, None, RecordKind.CAPTURE) is None
    write(budget, CP1, at(0), RecordKind.LOG)
    again = DiskBudget(budget.files, 64 * BLOCK, now=lambda: datetime.now(UTC))

    for each in (budget, again):
        assert each.path_of(CP1, None, RecordKind.CAPTURE) == budget.files.path_of(CP1, at(0), RecordKind.CAPTURE)


def test_beyond_the_budget_a_part_of_it_is_freed_at_once(tmp_path: Path):
    budget = DiskBudget(RecordFiles(tmp_path), 512 * BLOCK, now=lambda: datetime.now(UTC))
    for number in range(51):
        write(budget, CP1, at(number), RecordKind.LOG, blocks=10, keeps=False)
    assert (budget.keep(), len(kept(budget))) == (True, 51)

    write(budget, CP1, at(51), RecordKind.LOG, blocks=10)

    assert min(minutes for _, minutes, _ in kept(budget)) == 2  # 510 blocks would fit, but leave no 4 of 512 free


def test_a_flood_of_unregistered_machines_ends_the_protection_of_no_running_boot(
    budget: DiskBudget, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(disk_budget, "MACHINES", 4)
    write(budget, CP1, at(0), RecordKind.LOG, blocks=30)
    for number in range(20):
        write(budget, mac(number), at(number), RecordKind.CAPTURE)
    write(budget, HostName("w1"), at(30), RecordKind.LOG, blocks=40)

    assert kept(budget) == {("cp1", 0, RecordKind.LOG), ("w1", 30, RecordKind.LOG)}


def test_files_of_others_are_no_records_and_a_directory_that_cannot_be_read_has_none(
    budget: DiskBudget, monkeypatch: pytest.MonkeyPatch
):
    write(budget, CP1, at(0), RecordKind.LOG)
    directory = budget.files.directory
    link = budget.files.path_of(CP1, at(1), RecordKind.LOG)
    link.symlink_to(link)
    budget.files.path_of(CP1, at(2), RecordKind.LOG).mkdir()
    (directory / "lost+found").mkdir()
    (directory / "notes.txt").write_text("x")
    iterdir = Path.iterdir

    def listed(path: Path) -> Iterator[Path]:
        if path.name == "lost+found":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", listed)
    budget.open()

    assert dict(budget.used) == {RecordKind.LOG: BLOCK}


def test_what_cannot_be_deleted_is_counted_and_others_are_deleted_instead(
    budget: DiskBudget, monkeypatch: pytest.MonkeyPatch
):
    for number in range(63):
        write(budget, CP1, at(number), RecordKind.LOG)
    unlink, fixed = Path.unlink, {budget.files.path_of(CP1, at(0), RecordKind.LOG)}

    def delete(path: Path, *, missing_ok: bool = False) -> None:
        if path in fixed:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", delete)
    write(budget, CP1, at(63), RecordKind.LOG)
    assert sorted(minutes for _, minutes, _ in kept(budget)) == [0, *range(2, 64)]

    fixed.update(record.path for record in budget.files.all())
    with pytest.raises(OSError, match="Read-only file system"):
        write(budget, CP1, at(64), RecordKind.LOG)
    assert budget.used_bytes == 64 * BLOCK
