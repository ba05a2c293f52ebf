"""`netboot install capture` without a daemon: the list, the file, and what is wrong."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.command_line import CommandLine

from netboot.boot_records.capture_store import CaptureStore, ReceivedPacket
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.record_files import RecordFiles
from netboot.model.captured_packet import CapturedPacket, Protocol
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac

BEGAN = datetime(2026, 11, 29, 11, 0, tzinfo=UTC)


@pytest.fixture
def captured(netboot: CommandLine) -> bytes:
    """A capture of cp1 with one packet."""
    store = CaptureStore(
        DiskBudget(RecordFiles(netboot.directory / "records"), 1 << 30, now=lambda: BEGAN), application="x"
    )
    ends = {"source": ("192.0.2.50", 2070), "destination": ("192.0.2.10", 69)}
    packet = CapturedPacket(Protocol.TFTP, BEGAN, "eno2", **ends, data=b"x", is_sent=False)
    store.write([ReceivedPacket(HostName("cp1"), BEGAN, Mac.parse("02:00:00:00:00:01"), packet)])
    [file] = (netboot.directory / "records" / "cp1").iterdir()
    return file.read_bytes()


def test_the_boots_that_have_a_capture_are_listed(netboot: CommandLine, captured: bytes):
    began = BEGAN.isoformat()

    lines = netboot.printed("install", "capture", "cp1").splitlines()
    assert lines[0] == "BOOT\tBEGAN (UTC)\tAGE\tPACKETS\tBYTES"
    assert lines[1].split("\t")[:2] == ["1", f"{BEGAN:%Y-%m-%d %H:%M:%S}"]
    assert netboot.json("install", "capture", "cp1") == [
        {"machine": "cp1", "number": 1, "began_at": began, "packets": 1, "bytes": len(captured)}
    ]
    assert netboot.json("install", "capture", "w1") == []


def test_a_capture_is_written_to_a_file_or_standard_output(netboot: CommandLine, captured: bytes, tmp_path: Path):
    file = tmp_path / "boot.pcapng"

    assert netboot("install", "capture", "cp1", "-o", str(file)).stdout == f"{file}: {len(captured)} bytes\n"
    assert file.read_bytes() == captured
    assert netboot("install", "capture", "cp1", "-o", "-").stdout_bytes == captured
    assert json.loads(netboot("install", "capture", "cp1", "-o", str(file), "--json").stdout) == {
        "file": str(file),
        "bytes": len(captured),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--boot", "-1"), "--boot needs -o FILE; without it all boots are listed"),
        (("-o", "-", "--json"), "-o - writes the file to standard output: leave --json out, and redirect it"),
    ],
)
def test_options_that_exclude_each_other_are_refused(netboot: CommandLine, arguments: tuple[str, ...], message: str):
    done = netboot("install", "capture", "cp1", *arguments)

    assert (done.exit_code, message in done.output) == (2, True)


def test_a_file_that_cannot_be_written_is_named(netboot: CommandLine, captured: bytes):
    done = netboot("install", "capture", "cp1", "-o", "/nosuch/boot.pcapng")

    assert str(done.exception) == (
        "cannot write /nosuch/boot.pcapng: No such file or directory; name another file with -o"
    )
    assert captured
