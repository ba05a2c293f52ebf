"""Lines wait in memory for the disk, within a limit, and followers get them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from netboot.boot_records import log_writer
from netboot.boot_records.log_files import LogFiles, StoredBoot
from netboot.boot_records.log_store import LogStore, ReceivedLine
from netboot.boot_records.log_writer import BATCH, MOST_WAITING, LogWriter
from netboot.model.boot.log_line import LogLine, Severity
from netboot.model.host.host import HostName
from netboot.telemetry.metrics import Metrics

BEGAN = datetime.now(UTC)
CP1 = HostName("cp1")


def received(text: str, began_at: datetime = BEGAN) -> ReceivedLine:
    return ReceivedLine(CP1, began_at, LogLine(BEGAN, IPv4Address("192.0.2.50"), Severity.INFO, "ipxe", text))


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[LogWriter]:
    store = LogStore(LogFiles(directory), budget_bytes=1 << 30, now=lambda: datetime.now(UTC))
    writer = LogWriter(store, Metrics())
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        writer.end()
        task.cancel()
        await asyncio.wait([task])
        await writer.close()


def run(directory: Path, scenario: Callable[[LogWriter], Awaitable[Any]]) -> Any:
    async def inside() -> Any:
        async with running(directory) as writer, asyncio.timeout(20):
            return await scenario(writer)

    return asyncio.run(inside())


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - of what is tested nothing notifies
        await asyncio.sleep(0.01)


def stored(directory: Path) -> list[str]:
    files = LogFiles(directory)
    found = []
    for boot in files.boots_of(CP1):
        offset, before = 0, -1
        while offset > before:
            before = offset
            lines, offset = files.read(boot, before)
            found += [line.text for line in lines]
    return found


def test_what_was_taken_is_written_also_if_the_writer_ends_at_once(tmp_path: Path):
    async def scenario(writer: LogWriter) -> None:
        for number in range(3 * BATCH):
            writer.take(received(str(number)))

    run(tmp_path, scenario)

    assert stored(tmp_path) == [str(number) for number in range(3 * BATCH)]


def test_lines_beyond_what_may_wait_are_dropped_and_counted(tmp_path: Path):
    async def scenario(writer: LogWriter) -> str:
        for number in range(MOST_WAITING + 7):
            writer.take(received(str(number)))
        return writer.counters.exposition().decode()

    assert 'netboot_log_lines_dropped_total{reason="queue-full"} 7.0' in run(tmp_path, scenario)


def test_a_problem_is_reported_while_it_lasts(tmp_path: Path):
    (tmp_path / "file").write_text("")

    async def scenario(writer: LogWriter) -> list[str | None]:
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
    async def scenario(writer: LogWriter) -> list[str]:
        writer.take(received("a"))
        files, found, beats = writer.store.files, list[str](), 0
        await until(lambda: bool(files.boots_of(CP1)))
        async for each in writer.follow(CP1, files.boots_of(CP1)[0]):
            match each:
                case StoredBoot():
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
    monkeypatch.setattr(log_writer, "BEAT_S", 0.05)

    async def scenario(writer: LogWriter) -> list[str]:
        found = []
        async for each in writer.follow(CP1, None):
            if each is None and not found:
                writer.take(received("first"))
                found.append("waited")
            elif isinstance(each, LogLine):
                return [*found, each.text]
        return found

    assert run(tmp_path, scenario) == ["waited", "first"]
