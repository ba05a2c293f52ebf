"""Lines wait in memory for the disk, within a limit, and followers get them."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from netboot.boot_records import record_writer
from netboot.boot_records.capture_store import ReceivedPacket
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.log_store import ReceivedLine, read_log
from netboot.boot_records.record_files import RecordFiles, RecordKind, StoredRecord
from netboot.boot_records.record_writer import BATCH, BATCH_OF_PACKETS, MOST_WAITING, RecordWriter
from netboot.errors import StoreError
from netboot.model.boot.log_line import LogLine, Severity
from netboot.model.captured_packet import CapturedPacket, Protocol
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.telemetry.metrics import Metrics
from netboot.wire import pcapng

BEGAN = datetime.now(UTC)
CP1 = HostName("cp1")


def received(text: str, began_at: datetime = BEGAN) -> ReceivedLine:
    return ReceivedLine(CP1, began_at, LogLine(BEGAN, IPv4Address("192.0.2.50"), Severity.INFO, "ipxe", text))


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[RecordWriter]:
    budget = DiskBudget(RecordFiles(directory), 1 << 30, now=lambda: datetime.now(UTC))
    writer = RecordWriter(budget, Metrics(), application="netboot")
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        writer.end()
        task.cancel()
        await asyncio.wait([task])
        await writer.close()


def run(directory: Path, scenario: Callable[[RecordWriter], Awaitable[Any]]) -> Any:
    async def inside() -> Any:
        async with running(directory) as writer, asyncio.timeout(20):
            return await scenario(writer)

    return asyncio.run(inside())


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - of what is tested nothing notifies
        await asyncio.sleep(0.01)


def stored(directory: Path) -> list[str]:
    files = RecordFiles(directory)
    found = []
    for boot in files.of(CP1, RecordKind.LOG):
        offset, before = 0, -1
        while offset > before:
            before = offset
            lines, offset = read_log(boot, before)
            found += [line.text for line in lines]
    return found


def test_what_was_taken_is_written_also_if_the_writer_ends_at_once(tmp_path: Path):
    async def scenario(writer: RecordWriter) -> None:
        for number in range(3 * BATCH):
            writer.take(received(str(number)))

    run(tmp_path, scenario)

    assert stored(tmp_path) == [str(number) for number in range(3 * BATCH)]


def test_lines_beyond_what_may_wait_are_dropped_and_counted(tmp_path: Path):
    async def scenario(writer: RecordWriter) -> str:
        for number in range(MOST_WAITING + 7):
            writer.take(received(str(number)))
        return writer.counters.exposition().decode()

    assert 'netboot_log_lines_dropped_total{reason="queue-full"} 7.0' in run(tmp_path, scenario)


def test_a_problem_is_reported_while_it_lasts(tmp_path: Path):
    (tmp_path / "file").write_text("")

    async def scenario(writer: RecordWriter) -> list[str | None]:
        await until(lambda: writer.problem is not None)
        problem = writer.problem
        (tmp_path / "file").unlink()
        writer.take(received("x"))
        await until(lambda: writer.problem is None)
        return [problem, writer.problem]

    assert run(tmp_path / "file", scenario) == [
        f"cannot use {tmp_path}/file: File exists; see records.directory",
        None,
    ]


def test_a_follower_gets_the_stored_lines_the_later_ones_and_the_next_boot(tmp_path: Path):
    async def scenario(writer: RecordWriter) -> list[str]:
        writer.take(received("a"))
        files, found, beats = writer.budget.files, list[str](), 0
        await until(lambda: bool(files.of(CP1, RecordKind.LOG)))
        async for each in writer.follow(CP1, files.of(CP1, RecordKind.LOG)[0]):
            match each:
                case StoredRecord():
                    found.append("boot")
                case LogLine(text=text):
                    found.append(text)
                    if text == "a":
                        writer.take(received("b"))
                    elif text == "b":
                        writer.take(received("c", BEGAN + timedelta(seconds=9)))
                case None:
                    beats += 1
                    writer.end()
        return [*found, f"beats: {beats}"]

    assert run(tmp_path, scenario) == ["boot", "a", "b", "boot", "c", "beats: 1"]


def test_a_follower_waits_for_the_first_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record_writer, "BEAT_S", 0.05)

    async def scenario(writer: RecordWriter) -> list[str]:
        found = []
        async for each in writer.follow(CP1, None):
            if each is None and not found:
                writer.take(received("first"))
                found.append("waited")
            elif isinstance(each, LogLine):
                return [*found, each.text]
        return found

    assert run(tmp_path, scenario) == ["waited", "first"]


def packet(data: bytes, began_at: datetime = BEGAN) -> ReceivedPacket:
    ends = {"source": ("192.0.2.50", 2070), "destination": ("192.0.2.10", 69)}
    captured = CapturedPacket(Protocol.TFTP, BEGAN, "eno2", **ends, data=data, is_sent=False)
    return ReceivedPacket(CP1, began_at, Mac.parse("52:54:00:aa:bb:01"), captured)


def packets(directory: Path) -> list[bytes]:
    """The payloads of the datagrams that are on disk."""
    captures = RecordFiles(directory).of(CP1, RecordKind.CAPTURE)
    blocks = [each for capture in captures for each in pcapng.blocks(capture.path.read_bytes())]
    return [pcapng.read_packet(block).data[42:] for kind, block in blocks if kind == pcapng.BlockType.PACKET]


def test_packets_are_written_while_it_runs_and_the_rest_at_its_end(tmp_path: Path):
    async def scenario(writer: RecordWriter) -> list[bytes]:
        assert writer.take_packet(packet(b"first"))
        await until(lambda: bool(packets(tmp_path)))
        written = packets(tmp_path)
        for number in range(2 * BATCH_OF_PACKETS):
            writer.take_packet(packet(b"%d" % number))
        return written

    assert run(tmp_path, scenario) == [b"first"]
    assert packets(tmp_path) == [b"first", *(b"%d" % number for number in range(2 * BATCH_OF_PACKETS))]


def test_packets_that_wait_are_written_for_a_reader(tmp_path: Path):
    async def scenario(writer: RecordWriter) -> list[bytes]:
        for number in range(BATCH_OF_PACKETS + 1):
            writer.take_packet(packet(b"%d" % number))
        await writer.write_packets()
        return packets(tmp_path)

    assert len(run(tmp_path, scenario)) == BATCH_OF_PACKETS + 1


def test_packets_beyond_what_may_wait_are_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record_writer, "MOST_PACKETS_WAITING", 3)
    monkeypatch.setattr(record_writer, "MOST_BYTES_WAITING", 1000)

    async def scenario(writer: RecordWriter) -> tuple[list[bool], str]:
        taken = [writer.take_packet(packet(bytes(size))) for size in (400, 601, 600, 0, 0)]
        await writer.write_packets()
        return [*taken, writer.take_packet(packet(bytes(1000)))], writer.counters.exposition().decode()

    taken, counters = run(tmp_path, scenario)
    assert taken == [True, False, True, True, False, True]
    assert 'netboot_captured_packets_dropped_total{reason="queue-full"} 2.0' in counters


def test_unregistered_machines_leave_half_of_what_may_wait_to_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record_writer, "MOST_PACKETS_WAITING", 4)
    monkeypatch.setattr(record_writer, "MOST_BYTES_WAITING", 1000)

    async def scenario(writer: RecordWriter) -> list[bool]:
        mac = Mac.parse("52:54:00:aa:bb:99")
        theirs = [writer.take_packet(packet(bytes(size))._replace(owner=mac)) for size in (501, 1, 1, 1)]
        return [*theirs, *(writer.take_packet(packet(b"x")) for _ in range(3))]

    assert run(tmp_path, scenario) == [False, True, True, False, True, True, False]


def test_packets_that_cannot_be_written_are_a_problem_beside_that_of_lines(tmp_path: Path):
    (tmp_path / "records").mkdir()

    async def scenario(writer: RecordWriter) -> list[str | None]:
        await until(lambda: (tmp_path / "records").exists())
        (tmp_path / "records" / "cp1").write_text("")
        writer.take_packet(packet(b"x"))
        writer.take(received("x"))
        await until(lambda: len(writer._problems) == 2)
        problems = [writer.problem]
        (tmp_path / "records" / "cp1").unlink()
        writer.take(received("x"))
        await until(lambda: len(writer._problems) == 1)
        writer.take_packet(packet(b"x"))
        await until(lambda: writer.problem is None)
        return problems

    [problem] = run(tmp_path / "records", scenario)
    assert problem is not None
    assert problem.endswith(f"of cp1 in {tmp_path}/records: File exists; see records.directory")


def test_the_store_is_measured_and_a_store_that_does_not_answer_keeps_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(record_writer, "MEASURE_S", 0.01)
    sizes = iter([4096, None, 8192])

    async def measure() -> int:
        size = next(sizes, 8192)
        if size is None:
            raise StoreError("the store does not answer")
        return size

    async def inside() -> list[int]:
        budget = DiskBudget(RecordFiles(tmp_path), 1 << 30, now=lambda: datetime.now(UTC))
        writer = RecordWriter(budget, Metrics(), application="netboot", store_size=measure)
        task = asyncio.create_task(writer.run())
        found = []
        for size in (4096, 8192):
            await until(lambda size=size: budget.store_bytes == size)
            found.append(budget.store_bytes)
        task.cancel()
        await asyncio.wait([task])
        return found

    assert asyncio.run(inside()) == [4096, 8192]


def test_a_fault_of_ours_drops_the_batch_and_the_writer_continues(tmp_path: Path):
    broken = [True]

    def now() -> datetime:
        if broken:
            raise RuntimeError("the clock is broken")
        return datetime.now(UTC)

    async def inside() -> list[str | None]:
        writer = RecordWriter(DiskBudget(RecordFiles(tmp_path), 1 << 30, now=now), Metrics(), application="netboot")
        (tmp_path / "cp1").mkdir()
        RecordFiles(tmp_path).path_of(CP1, BEGAN, RecordKind.LOG).write_text("")
        task = asyncio.create_task(writer.run())
        writer.take(received("lost")._replace(began_at=None))
        await until(lambda: writer.problem is not None)
        problems = [writer.problem]
        broken.clear()
        writer.take(received("kept"))
        await until(lambda: writer.problem is None)
        task.cancel()
        await asyncio.wait([task])
        return problems

    assert asyncio.run(inside()) == ["a batch of records was not written: a fault of netboot's own, see the log"]
    assert stored(tmp_path) == ["kept"]


def test_a_disk_that_can_be_written_again_ends_its_problem_though_no_machine_boots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(record_writer, "VERIFY_S", 0.01)
    write_bytes, is_full = Path.write_bytes, True

    def full(path: Path, data: bytes) -> int:
        if is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_bytes(path, data)

    def refuse(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def scenario(writer: RecordWriter) -> str | None:
        nonlocal is_full
        monkeypatch.setattr(Path, "write_bytes", full)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", refuse)
            writer.take(received("x"))
            await until(lambda: writer.problem is not None)
        await asyncio.sleep(0.05)
        problem, is_full = writer.problem, False
        await until(lambda: writer.problem is None)
        return problem

    problem = run(tmp_path, scenario)
    assert problem is not None
    assert problem.endswith("No space left on device; free some space on its file system")
    assert list(tmp_path.glob("*.part")) == []
