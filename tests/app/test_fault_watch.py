"""A fault of the store, of a disk or of the descriptors is one event with its cure, and its end another."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from fixtures.daemon import wait_until
from structlog.testing import capture_logs

from netboot.app.health import fault_watch
from netboot.app.health.fault_watch import FaultWatch
from netboot.events.event_bus import EventBus
from netboot.events.event_log import EventLog
from netboot.store.database import Database
from netboot.telemetry.health import Health, HealthPart, PartState

FULL = HealthPart("store", "", PartState.FAILED, ("the store failed: disk full; free some space",))
SLOW = HealthPart("store", "", PartState.FAILED, ("the check of the store did not end within 2 s",))
SOUND = HealthPart("store")
PORT = HealthPart("tftp", "s0:69", PartState.FAILED, ("cannot bind UDP port 69",))


class Watched:
    """A watch whose clock moves by two seconds at each comparison, and what it emitted."""

    def __init__(self, database: Database) -> None:
        self.emitted: list[tuple[str, dict[str, Any], int]] = []
        self.now_s = 0.0
        self.changes = 0
        bus = EventBus(EventLog(database), now=lambda: datetime(2026, 1, 1, tzinfo=UTC), sinks=[self._take])
        self.watch = FaultWatch(self.check, bus, on_change=self._note, monotonic=lambda: self.now_s)
        self.answers: list[Health | Exception] = []

    def _take(self, event: Any, level: int) -> None:
        self.emitted.append((event.name, dict(event.data), level))

    def _note(self) -> None:
        self.changes += 1

    def compare(self, *parts: HealthPart) -> list[str]:
        self.watch.compare(Health(parts))
        self.now_s += 2
        return self.watch.problems()

    async def check(self) -> Health:
        answer = self.answers.pop(0) if self.answers else Health([SOUND])
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def watched(sqlite_url: str) -> Watched:
    async def closed() -> Database:
        database = await Database.open(sqlite_url)
        await database.close()
        return database  # events wait for it in memory

    return Watched(asyncio.run(closed()))


def test_a_fault_and_its_end_are_one_event_each_and_a_problem_meanwhile(watched: Watched):
    shown = [watched.compare(part) for part in (SOUND, FULL, FULL, SLOW, SOUND, SOUND, SOUND)]

    assert shown == [[], [*FULL.reasons], [*FULL.reasons], [*SLOW.reasons], [*SLOW.reasons], [], []]
    assert watched.emitted == [
        ("appliance.fault_found", {"part": "store", "reason": FULL.reasons[0]}, logging.ERROR),
        ("appliance.fault_ended", {"part": "store", "seconds": 8}, logging.INFO),
    ]
    assert watched.changes == 7


def test_a_fault_that_comes_and_goes_is_one_fault(watched: Watched):
    for part in (FULL, SOUND, FULL, SOUND, FULL, SOUND, SOUND):
        watched.compare(part)

    assert [name for name, _, _ in watched.emitted] == ["appliance.fault_found", "appliance.fault_ended"]


def test_a_fault_that_becomes_worse_is_another_event_once_and_ends_once(watched: Watched):
    slow = HealthPart("store", "", PartState.DEGRADED, ("the store is slow: a transaction took 3.0 s",))

    shown = [watched.compare(part) for part in (slow, slow, FULL, slow, FULL, SOUND, SOUND)]

    assert shown == [[*slow.reasons]] * 2 + [[*FULL.reasons], [*slow.reasons], [*FULL.reasons], [*FULL.reasons], []]
    assert watched.emitted == [
        ("appliance.fault_found", {"part": "store", "reason": slow.reasons[0]}, logging.ERROR),
        ("appliance.fault_found", {"part": "store", "reason": FULL.reasons[0]}, logging.ERROR),
        ("appliance.fault_ended", {"part": "store", "seconds": 12}, logging.INFO),
    ]


def test_a_listener_has_events_of_its_own(watched: Watched):
    assert watched.compare(PORT) == []
    assert watched.emitted == []


def test_a_check_that_raises_is_logged_and_the_watch_goes_on(watched: Watched, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fault_watch, "WATCH_S", 0.0)
    watched.answers = [RuntimeError("a fault of ours"), Health([FULL])]

    async def scenario() -> None:
        running = asyncio.create_task(watched.watch.run())
        await asyncio.to_thread(wait_until, lambda: len(watched.emitted) == 2 or None)
        running.cancel()
        await asyncio.wait([running])

    with capture_logs() as logs:
        asyncio.run(scenario())

    assert [name for name, _, _ in watched.emitted] == ["appliance.fault_found", "appliance.fault_ended"]
    assert [line["event"] for line in logs if line["log_level"] == "error"][:1] == ["appliance.watch_failed"]
