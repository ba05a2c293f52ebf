"""Which capture of which boot is read, and why none is."""

import asyncio
import os
import tracemalloc
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from netboot.boot_records.capture_store import ReceivedPacket
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.record_files import RecordFiles, RecordKind
from netboot.boot_records.record_writer import RecordWriter
from netboot.boot_records.shown_captures import BootCaptures, CapturedBoot, NoCaptureError
from netboot.model.captured_packet import CapturedPacket, Protocol
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.telemetry.metrics import Metrics
from netboot.wire import pcapng

BEGAN = datetime(2026, 11, 29, 11, 0, tzinfo=UTC)
CP1 = HostName("cp1")
MAC = Mac.parse("52:54:00:aa:bb:01")


def at(minutes: int) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


async def known(name: str) -> HostName:
    return HostName(name)


def received(minutes: int) -> ReceivedPacket:
    ends = {"source": ("192.0.2.50", 2070), "destination": ("192.0.2.10", 69)}
    packet = CapturedPacket(Protocol.TFTP, at(minutes), "eno2", **ends, data=b"%d" % minutes, is_sent=False)
    return ReceivedPacket(CP1, at(minutes), MAC, packet)


def run(directory: Path, ask: Any) -> Any:
    """Read the captures of three boots; the last one has two packets, which wait in memory."""

    async def inside() -> Any:
        budget = DiskBudget(RecordFiles(directory), 1 << 30, now=lambda: BEGAN)
        writer = RecordWriter(budget, Metrics(), application="netboot")
        for minutes in (0, 10):
            writer.take_packet(received(minutes))
        await writer.close()
        for _ in range(2):
            writer.take_packet(received(20))
        found: Coroutine[Any, Any, Any] = ask(BootCaptures(budget.files, known, writer))
        return await found

    return asyncio.run(inside())


@pytest.mark.parametrize(("boot", "minutes"), [(0, 20), (-1, 10), (-2, 0), (1, 0), (2, 10), (3, 20)])
def test_boots_are_counted_as_journalctl_counts_them(tmp_path: Path, boot: int, minutes: int):
    data = run(tmp_path, lambda captures: captures.read("cp1", boot=boot))

    packets = [pcapng.read_packet(block) for kind, block in pcapng.blocks(data) if kind == pcapng.BlockType.PACKET]
    assert [packet.data[42:] for packet in packets] == [b"%d" % minutes] * (2 if minutes == 20 else 1)


def test_the_boots_that_have_a_capture_are_listed(tmp_path: Path):
    async def ask(captures: BootCaptures) -> list[CapturedBoot]:
        await captures.read("cp1")
        return await captures.all("cp1")

    found = run(tmp_path, ask)

    sizes = [record.size_bytes for record in RecordFiles(tmp_path).of(CP1, RecordKind.CAPTURE)]
    assert found == [
        CapturedBoot("cp1", number, at(minutes), packets, size)
        for (number, minutes, packets), size in zip([(1, 0, 1), (2, 10, 1), (3, 20, 2)], sizes, strict=True)
    ]


def test_without_a_daemon_a_capture_that_a_killed_one_cut_is_read_as_far_as_it_is_whole(tmp_path: Path):
    whole = run(tmp_path, lambda captures: captures.read("cp1"))
    record = RecordFiles(tmp_path).of(CP1, RecordKind.CAPTURE)[-1]
    os.truncate(record.path, record.size_bytes - 1)

    data = asyncio.run(BootCaptures(RecordFiles(tmp_path), known).read("cp1"))

    assert whole.startswith(data)
    assert sum(kind == pcapng.BlockType.PACKET for kind, _ in pcapng.blocks(data)) == 1


@pytest.mark.parametrize("boot", [4, -3])
def test_a_boot_that_has_no_capture_is_refused_with_the_number_of_those_that_have(tmp_path: Path, boot: int):
    why = f"no capture of boot {boot} of cp1 is kept; it has the captures of 3 boots"
    with pytest.raises(NoCaptureError, match=why):
        run(tmp_path, lambda captures: captures.read("cp1", boot=boot))


def test_a_machine_without_a_capture_is_refused_and_lists_none(tmp_path: Path):
    with pytest.raises(NoCaptureError, match=r"no capture of w1 is kept; see records\.captures"):
        run(tmp_path, lambda captures: captures.read("w1"))

    assert run(tmp_path, lambda captures: captures.all("w1")) == []


def test_a_capture_that_is_deleted_meanwhile_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def gone(self: Path) -> bytes:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_bytes", gone)
    with pytest.raises(NoCaptureError, match="no capture of boot 0 of cp1 is kept"):
        run(tmp_path, lambda captures: captures.read("cp1", boot=0))


def test_captures_are_listed_with_one_of_them_in_memory(tmp_path: Path):
    files, data = RecordFiles(tmp_path), pcapng.section("netboot", "x" * 60_000) * 10
    for minutes in range(20):
        path = files.path_of(CP1, at(minutes), RecordKind.CAPTURE)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    tracemalloc.start()
    try:
        found = asyncio.run(BootCaptures(files, known).all("cp1"))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert [(boot.packets, boot.bytes) for boot in found] == [(0, len(data))] * 20
    assert peak_bytes < 4 * len(data)


def test_the_begin_of_each_boot_with_a_capture_is_listed(tmp_path: Path):
    assert run(tmp_path, lambda captures: captures.began("cp1"))[:2] == [at(0), at(10)]
