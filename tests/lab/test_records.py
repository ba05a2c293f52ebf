"""The remains of a dead lab are found, and nothing else is ever changed."""

import os
from pathlib import Path

import pytest

from netboot.lab.records import Records, all_records, work_directory


def test_a_lab_records_its_owner_and_its_work_and_runs_as_long_as_it_holds_its_work_directory(tmp_path: Path):
    with work_directory(tmp_path / "labs", "one") as work:
        Records.create("one", work, tmp_path / "run")

        (found,) = all_records(tmp_path / "run")
        assert (found.lab_id, found.owner, found.work, found.is_running) == ("one", os.getpid(), work, True)

    assert not found.is_running


def test_a_lab_whose_process_was_killed_does_not_run_although_its_files_are_there(tmp_path: Path):
    (tmp_path / "work").mkdir()

    records = Records.create("one", tmp_path / "work", tmp_path / "run")

    assert not records.is_running


def test_a_removed_lab_does_not_run(tmp_path: Path):
    with work_directory(tmp_path / "labs", "one") as work:
        records = Records.create("one", work, tmp_path / "run")

        records.remove()

    assert not records.is_running


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
