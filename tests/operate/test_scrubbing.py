"""The scrub withholds what is damaged, and nothing that was imported anew or removed while a round runs."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from netboot.content.library.disk import sha256
from netboot.content.library.library import Library
from netboot.content.library.record import Record
from netboot.content.serving.withheld_files import WithheldFiles
from netboot.operate.content import scrubbing as module
from netboot.operate.content.scrub_process import ReadUnit, ScrubProcess
from netboot.operate.content.scrubbing import Scrubbing

NAMES = ("images/install.img", "initrd.img", "vmlinuz")
NOW = datetime(2026, 11, 30, tzinfo=UTC)


class Events:
    def __init__(self) -> None:
        self.emitted: list[tuple[str, Mapping[str, Any]]] = []
        self.ended = asyncio.Event()

    def emit(self, name: str, data: Mapping[str, Any], **_: object) -> None:
        self.emitted.append((name, data))
        if name == "content.scrubbed":
            self.ended.set()


def imported(medium: Path, version: str) -> None:
    """Put a medium there, in the place of the one before."""
    shutil.rmtree(medium, ignore_errors=True)
    for name in NAMES:
        (medium / name).parent.mkdir(parents=True, exist_ok=True)
        (medium / name).write_text(f"{name} of {version}")
    files = {name: sha256(medium / name) for name in NAMES}
    Record("a.iso", "", "2026-11-30T00:00:00+00:00", files=files).write(medium)


async def nothing(_entry: object) -> None:
    """Have nothing read again."""


def imported_anew(medium: Path) -> None:
    imported(medium, "v2")


def damaged(medium: Path) -> None:
    (medium / "vmlinuz").write_text("something else")


@pytest.mark.parametrize(
    ("change", "found"), [(imported_anew, []), (shutil.rmtree, []), (damaged, [("ol8", "vmlinuz")])]
)
def test_what_changes_while_a_round_runs_is_withheld_only_if_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object], found: list[tuple[str, str]]
):
    monkeypatch.setattr(module, "START_S", 0.01)
    medium = tmp_path / "media/ol8"
    imported(medium, "v1")
    read, seen = ScrubProcess.read, list[Mapping[str, Any]]()

    async def read_after_a_change(self: ScrubProcess, request: Mapping[str, Any]) -> ReadUnit:
        if not seen:
            change(medium)
        seen.append(request)
        return await read(self, request)

    monkeypatch.setattr(ScrubProcess, "read", read_after_a_change)

    async def scenario() -> tuple[Events, WithheldFiles]:
        events, withheld = Events(), WithheldFiles()
        scrubbing = Scrubbing(
            Library(tmp_path),
            withheld,
            days=0,
            rate=0,
            events=events,  # type: ignore[arg-type]  # it is emitted to only
            now=lambda: NOW,
            on_repair=lambda: None,
            rescan=nothing,
        )
        scrubbing.request()
        running = asyncio.create_task(scrubbing.run())
        try:
            async with asyncio.timeout(60):
                await events.ended.wait()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return events, withheld

    events, withheld = asyncio.run(scenario())
    assert [(each.owner, each.member) for each in withheld.all()] == found
    emitted = [(data["content"], data["file"]) for name, data in events.emitted if name == "content.damaged"]
    assert emitted == found
    assert len(seen) >= len(NAMES)


@dataclass
class Rounds:
    """A scrub that begins its rounds by itself on one medium, at a time that a test moves."""

    library: Path
    now: datetime = NOW
    events: Events = field(default_factory=Events)

    def scrubbing(self, days: int = 7) -> Scrubbing:
        return Scrubbing(
            Library(self.library),
            WithheldFiles(),
            days=days,
            rate=0,
            events=self.events,  # type: ignore[arg-type]  # it is emitted to only
            now=lambda: self.now,
            on_repair=lambda: None,
            rescan=nothing,
        )

    @property
    def ended(self) -> int:
        return sum(name == "content.scrubbed" for name, _ in self.events.emitted)


@asynccontextmanager
async def running(scrubbing: Scrubbing) -> AsyncIterator[None]:
    task = asyncio.create_task(scrubbing.run())
    try:
        async with asyncio.timeout(60):
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 - the scrub sets no event
        await asyncio.sleep(0.01)


@pytest.fixture
def rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rounds:
    imported(tmp_path / "media/ol8", "v1")
    monkeypatch.setattr(module, "START_S", 0.01)
    return Rounds(tmp_path)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note each time at which the scrub checks whether a round is due, and what it finds."""
    is_due, found = Scrubbing._is_round_due, list[bool]()

    def noted(self: Scrubbing) -> bool:
        found.append(is_due(self))
        return found[-1]

    monkeypatch.setattr(Scrubbing, "_is_round_due", noted)
    return found


async def check_often(checks: list[bool]) -> None:
    before = len(checks)
    await until(lambda: len(checks) > before + 3)


def test_a_round_begins_by_itself_if_none_ended_and_again_after_its_days(rounds: Rounds, checks: list[bool]):
    async def scenario() -> list[int]:
        counts = []
        async with running(rounds.scrubbing()):
            await until(lambda: rounds.ended == 1)
            await check_often(checks)
            counts.append(rounds.ended)
            rounds.now = NOW + timedelta(days=7, seconds=-1)
            await check_often(checks)
            counts.append(rounds.ended)
            rounds.now = NOW + timedelta(days=7)
            await until(lambda: rounds.ended == 2)
            await check_often(checks)
            counts.append(rounds.ended)
        return counts

    assert asyncio.run(scenario()) == [1, 1, 2]


def test_a_restart_does_not_begin_a_round_before_its_days(rounds: Rounds, checks: list[bool]):
    async def scenario() -> list[int]:
        async with running(rounds.scrubbing()):
            await until(lambda: rounds.ended == 1)
        rounds.now = NOW + timedelta(days=6)
        async with running(rounds.scrubbing()):
            await check_often(checks)
            within = rounds.ended
            rounds.now = NOW + timedelta(days=8)
            await until(lambda: rounds.ended == 2)
        return [within, rounds.ended]

    assert asyncio.run(scenario()) == [1, 2]


def test_no_round_begins_by_itself_with_zero_days(rounds: Rounds, checks: list[bool]):
    async def scenario() -> None:
        async with running(rounds.scrubbing(days=0)):
            await check_often(checks)

    asyncio.run(scenario())
    assert (rounds.ended, set(checks)) == (0, {False})


def test_a_round_that_a_stop_interrupts_goes_on_by_itself_at_its_next_unit(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
):
    imported(rounds.library / "media/ol9", "v1")
    read, begun = ScrubProcess.read, list[Mapping[str, Any]]()

    async def read_one_then_hang(self: ScrubProcess, request: Mapping[str, Any]) -> ReadUnit:
        begun.append(request)
        return await read(self, request) if len(begun) != 2 else await asyncio.Future()

    monkeypatch.setattr(ScrubProcess, "read", read_one_then_hang)

    async def scenario() -> None:
        async with running(rounds.scrubbing()):
            await until(lambda: len(begun) == 2)
        rounds.now = NOW + timedelta(hours=1)
        async with running(rounds.scrubbing()):
            await until(lambda: rounds.ended == 1)

    asyncio.run(scenario())
    first, *later = begun
    assert later[0] == later[1], "the unit that was not read to its end"
    assert first not in later
    ((_, data),) = rounds.events.emitted
    files = [
        each
        for each in (rounds.library / "media").rglob("*")
        if each.is_file() and each.name in {Path(name).name for name in NAMES}
    ]
    assert data == {"bytes": sum(each.stat().st_size for each in files), "seconds": 3600, "damaged": 0}
