"""A directory in which commands write is at fault when it ceases to be writable, and never by the operator's choice."""

import errno
import os
from pathlib import Path

import pytest
from reliability.faults import a_disk, full, read_only

from netboot.app.health.written_directories import WrittenDirectories
from netboot.telemetry.health import HealthPart, PartState

SOUND = HealthPart("hosts-files")


def checked(*directories: Path) -> WrittenDirectories:
    return WrittenDirectories("hosts-files", "hosts", lambda: directories)


def at_fault(*reasons: str) -> HealthPart:
    return HealthPart("hosts-files", "", PartState.DEGRADED, reasons)


def test_a_missing_directory_one_that_was_never_writable_and_none_at_all_are_no_faults(tmp_path: Path):
    assert checked().check() == SOUND
    assert checked(tmp_path / "missing").check() == SOUND
    assert checked(Path("/proc/1")).check() == SOUND
    assert checked(Path("/sys/kernel")).check() == SOUND


def test_a_directory_that_owner_and_mode_forbid_later_is_the_operators_choice(tmp_path: Path):
    directory = tmp_path / "hosts.d"
    directory.symlink_to(tmp_path)
    written = checked(directory)
    directory.unlink()
    directory.symlink_to("/proc/1")  # EACCES, also for root

    assert written.check() == SOUND


@pytest.mark.integration
def test_a_directory_that_is_closed_to_this_user_is_no_fault(tmp_path: Path):
    (directory := tmp_path / "closed" / "ign").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    assert checked(directory).check() == SOUND
    os.seteuid(65534)
    try:
        found = checked(directory).check()
    finally:
        os.seteuid(0)

    assert found == SOUND


def test_a_disk_that_cannot_be_examined_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def statvfs(_path: Path) -> os.statvfs_result:
        raise OSError(errno.EIO, "Input/output error")

    written = checked(tmp_path)
    monkeypatch.setattr(os, "statvfs", statvfs)

    reason = f"cannot write hosts in {tmp_path}: Input/output error; see dmesg for the state of its disk"
    assert written.check() == at_fault(reason)


@pytest.mark.integration
def test_a_disk_that_becomes_read_only_is_a_fault_until_it_is_writable_again(tmp_path: Path):
    with a_disk(tmp_path / "hosts.d", megabytes=8) as disk:
        written = checked(disk, disk)
        before = written.check()
        with read_only(disk):
            found = written.check()
            at_the_start = checked(disk).check()
        after = written.check()

    reason = (
        f"cannot write hosts in {disk}: Read-only file system; "
        "mount it writable, see dmesg, or if it is to be read-only: systemctl restart netboot"
    )
    assert (before, found, after) == (SOUND, at_fault(reason), SOUND)
    assert at_the_start == SOUND


@pytest.mark.integration
def test_a_full_disk_is_a_fault_of_each_directory_on_it(tmp_path: Path):
    with a_disk(tmp_path / "disk", megabytes=8) as disk:
        places = [disk / "a", disk / "b"]
        for place in places:
            place.mkdir()
        written = checked(*places)
        with full(disk, left_bytes=2 << 20):
            nearly = written.check()
        with full(disk):
            found = written.check()

    cure = "No space left on device; free some space or inodes on its file system"
    assert (nearly, found) == (SOUND, at_fault(*(f"cannot write hosts in {place}: {cure}" for place in places)))


@pytest.mark.integration
def test_a_disk_without_inodes_is_full(tmp_path: Path):
    with a_disk(tmp_path / "hosts.d", megabytes=8, options="nr_inodes=2") as disk:
        written = checked(disk)
        (disk / "one").touch()

        assert [reason.split("; ")[0] for reason in written.check().reasons] == [
            f"cannot write hosts in {disk}: No space left on device"
        ]


@pytest.mark.integration
def test_a_file_system_without_a_limit_is_not_full(tmp_path: Path):
    with a_disk(tmp_path / "hosts.d", megabytes=0, options="nr_inodes=0") as disk:
        assert checked(disk).check() == SOUND
