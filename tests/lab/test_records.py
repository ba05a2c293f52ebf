"""What a dead lab leaves is known, and nothing else is ever touched."""

import os
import subprocess
import sys

import pytest

from netboot.lab.records import ProcessRecord, Records, all_records, start_time


def a_sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_a_process_record_survives_being_written_and_read():
    record = ProcessRecord(pid=4711, started=123456, what="guest cp1")

    assert ProcessRecord.read(str(record)) == record


def test_a_running_process_is_ended_by_its_record():
    with a_sleeper() as sleeper:
        record = ProcessRecord.of(sleeper.pid, "a sleeper")

        record.end()

        assert sleeper.wait(timeout=10) == -9
        assert not record.is_alive


def test_a_later_process_with_the_same_number_is_left_alone():
    with a_sleeper() as sleeper:
        earlier = ProcessRecord(sleeper.pid, (start_time(sleeper.pid) or 0) - 1, "a process that had this number")

        earlier.end()

        assert not earlier.is_alive
        assert sleeper.poll() is None
        sleeper.kill()


def test_a_zombie_counts_as_gone():
    with a_sleeper() as sleeper:
        record = ProcessRecord.of(sleeper.pid, "a sleeper")
        os.kill(sleeper.pid, 9)
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)

        assert not record.is_alive


def test_a_lab_records_its_owner_its_work_and_its_processes(tmp_path):
    records = Records.create("one", tmp_path / "work", tmp_path / "run")

    records.add_process(os.getpid(), "guest cp1")

    (found,) = all_records(tmp_path / "run")
    assert found.lab_id == "one"
    assert found.owner == ProcessRecord.of(os.getpid(), "lab")
    assert found.work == tmp_path / "work"
    assert found.processes() == (ProcessRecord.of(os.getpid(), "guest cp1"),)


def test_a_name_is_taken_only_once(tmp_path):
    Records.create("one", tmp_path / "work", tmp_path / "run")

    with pytest.raises(FileExistsError):
        Records.create("one", tmp_path / "other", tmp_path / "run")

    assert [records.lab_id for records in all_records(tmp_path / "run")] == ["one"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["one"]


def test_removing_a_lab_removes_its_records_and_its_work(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "disk.img").write_bytes(b"disk")
    records = Records.create("one", tmp_path / "work", tmp_path / "run")

    records.remove()

    assert list(all_records(tmp_path / "run")) == []
    assert not (tmp_path / "work").exists()
