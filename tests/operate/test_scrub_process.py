"""The processes that read content: how they end, and what the scrub keeps across a restart."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from netboot.content.serving.withheld_files import WithheldFile
from netboot.errors import ContentError
from netboot.operate.content import progress_process
from netboot.operate.content.progress_process import ProgressProcess
from netboot.operate.content.scrub_process import ScrubProcess
from netboot.operate.content.scrub_state import ScrubState

AT = datetime(2026, 11, 30, tzinfo=UTC)
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", file=sys.stderr, flush=True)
time.sleep(60)
"""


def test_a_process_that_does_not_end_at_an_interrupt_is_killed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress_process, "_STOP_S", 0.2)

    async def scenario() -> tuple[int, bool, list[str]]:
        process = ProgressProcess([sys.executable, "-c", STUBBORN], lambda _: None)
        running = asyncio.create_task(process.run())
        async with asyncio.timeout(30):
            while not process._complaints:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await process.stop()
            outcome = await running
            await process.stop()
        return outcome.status, process.is_stopped, list(outcome.complaints)

    assert asyncio.run(scenario()) == (-9, True, ["ready"])


def test_a_process_that_was_not_started_is_stopped_at_once():
    process = ProgressProcess(["nosuchprogram"], lambda _: None)

    asyncio.run(process.stop())

    assert process.is_stopped


def test_a_process_of_the_scrub_that_ends_fails_its_unit_and_a_cancelled_unit_ends_its_process():
    async def scenario() -> list[bool]:
        process, was_closed = ScrubProcess(), list[bool]()
        for _ in range(2):
            with pytest.raises(ContentError, match="the process that verifies content ended; see dmesg"):
                await process.read({"nothing": "that it knows"})
            was_closed.append(process._process is None)
        os.kill((await process._running()).pid, signal.SIGSTOP)  # it does not answer
        hanging = asyncio.create_task(process.read({"nothing": "that it knows"}))
        await asyncio.sleep(0.01)
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        return [*was_closed, process._process is None]

    assert asyncio.run(scenario()) == [True, True, True]


def test_the_state_of_the_scrub_is_read_as_it_was_written(tmp_path: Path):
    file = WithheldFile("/a", "unit", "medium", "ol8", "vmlinuz", "bad", AT)
    state = ScrubState(AT, None, "a/b", 7, (file,))

    state.write(tmp_path)

    read = ScrubState.read(tmp_path)
    assert (read.began_at, read.ended_at, read.position, read.size_bytes) == (AT, None, "a/b", 7)
    assert [(each.path, each.found_at) for each in read.withheld] == [("/a", AT)]
    assert read.is_running
    assert [path.name for path in tmp_path.iterdir()] == [".scrub.json"]


def test_a_state_that_cannot_be_written_or_read_is_an_empty_one(tmp_path: Path):
    ScrubState(AT).write(tmp_path / "none")
    (tmp_path / ".scrub.json").write_text('{"withheld": 1}')

    assert ScrubState.read(tmp_path / "none") == ScrubState.read(tmp_path) == ScrubState()
