"""Reading logs, also while they are written and beside other files."""

from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.boot_records import log_store
from netboot.boot_records.log_store import read_log
from netboot.boot_records.record_files import RecordFiles, RecordKind
from netboot.model.boot.log_line import LogLine, Severity
from netboot.model.host.host import HostName

BEGAN = datetime(2026, 11, 29, 11, 40, 3, 5, tzinfo=UTC)
CP1 = HostName("cp1")


def line(text: str) -> LogLine:
    return LogLine(BEGAN, IPv4Address("192.0.2.50"), Severity.INFO, "ipxe", text)


@pytest.fixture
def files(tmp_path: Path) -> RecordFiles:
    return RecordFiles(tmp_path)


def write(files: RecordFiles, data: str) -> None:
    path = files.path_of(CP1, BEGAN, RecordKind.LOG)
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(data)


def test_a_line_is_read_once_it_is_whole(files: RecordFiles):
    text = line("b").to_json()
    write(files, f"{line('a').to_json()}\nnot a line\n{text[:20]}")
    [boot] = files.of(CP1, RecordKind.LOG)

    first, offset = read_log(boot, 0)
    nothing, same = read_log(boot, offset)
    write(files, f"{text[20:]}\n")
    then, _ = read_log(boot, offset)

    assert ([first, nothing, then], same) == ([[line("a")], [], [line("b")]], offset)
    assert boot.began_at == BEGAN


def test_a_long_log_is_read_in_pieces(files: RecordFiles, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(log_store, "READ_AT_ONCE_BYTES", 300)
    write(files, "".join(f"{line(str(number)).to_json()}\n" for number in range(9)))
    [boot] = files.of(CP1, RecordKind.LOG)

    found, before, offset = [], -1, 0
    while offset > before:
        before = offset
        lines, offset = read_log(boot, before)
        assert len(lines) <= 3
        found += lines

    assert [each.text for each in found] == [str(number) for number in range(9)]


def test_a_deleted_log_is_empty_and_other_files_are_no_logs(files: RecordFiles):
    write(files, "")
    [boot] = files.of(CP1, RecordKind.LOG)
    (boot.path.parent / "notes.txt").write_text("x")
    (files.directory / "file").write_text("x")

    assert files.all() == [boot]
    boot.path.unlink()
    assert read_log(boot, 7) == ([], 7)
    assert files.all() == files.of(HostName("w1"), RecordKind.LOG) == RecordFiles(files.directory / "none").all() == []
