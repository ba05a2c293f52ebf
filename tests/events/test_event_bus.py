"""One bus: each event goes to the log, the store and the counters, in order, bounded, and never delays its caller."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from netboot.errors import StoreError
from netboot.events.event_bus import EventBus
from netboot.events.event_limits import PER_HOST
from netboot.events.event_log import BUFFERED, EventLog
from netboot.model.host.host import HostName
from netboot.model.install.event import Event
from netboot.store.database import TIMEOUT_S, Database
from netboot.telemetry.metrics import Metrics

T = TypeVar("T")
NOW = datetime(2026, 11, 28, tzinfo=UTC)
CP1, W1 = HostName("cp1"), HostName("w1")


class SettableClock:
    at = NOW

    def now(self) -> datetime:
        return self.at


class FailingDatabase(Database):
    """A store that refuses every write while `fails`."""

    fails = False

    @asynccontextmanager
    async def transaction(self, *, limit_s: float = TIMEOUT_S) -> AsyncIterator[AsyncConnection]:
        if self.fails:
            raise StoreError("the store does not answer")
        async with super().transaction(limit_s=limit_s) as connection:
            yield connection


class Opened:
    """A bus on a store, with counters."""

    def __init__(self, database: FailingDatabase) -> None:
        self.database, self.clock, self.metrics = database, SettableClock(), Metrics()
        self.event_log = EventLog(database)
        self.bus = EventBus(self.event_log, now=self.clock.now, sinks=[self.metrics.event_happened])

    def counted(self) -> dict[str, float]:
        families = text_string_to_metric_families(self.metrics.exposition().decode())
        samples = [sample for family in families if family.name == "netboot_events" for sample in family.samples]
        return {sample.labels["event"]: sample.value for sample in samples if sample.name.endswith("_total")}

    async def stored(self) -> list[Event]:
        return await self.event_log.after(0)


def with_bus(store_url: str, use: Callable[[Opened], Awaitable[T]]) -> T:
    async def scenario() -> T:
        database = await FailingDatabase.open(store_url)
        assert isinstance(database, FailingDatabase)
        try:
            return await use(Opened(database))
        finally:
            await database.close()

    return asyncio.run(scenario())


def sent(number: int, host: HostName = CP1, *, at: datetime = NOW) -> Event:
    return Event("boot.content_sent", at, host, data={"number": number})


def moved(number: int) -> Event:
    return Event("install.moved", NOW, CP1, data={"number": number})


def test_ten_thousand_events_of_one_machine_in_a_second_are_ten_and_a_count(store_url: str):
    async def use(opened: Opened) -> tuple[list[object], dict[str, float]]:
        for number in range(10_000):
            opened.bus.record(sent(number, at=NOW + timedelta(microseconds=100 * number)))
        opened.clock.at = NOW + timedelta(seconds=61)
        opened.bus.publish_counts()
        await opened.event_log.flush()
        return [event.data for event in await opened.stored()], opened.counted()

    with capture_logs() as lines:
        stored, counted = with_bus(store_url, use)

    assert stored == [*({"number": number} for number in range(PER_HOST)), {"number": 9999, "count": 9990}]
    assert counted == {"boot.content_sent": 10_000}
    assert len(lines) == len(stored)


def test_the_events_of_each_machine_reach_every_sink_in_their_order(store_url: str):
    events = [sent(number, (CP1, W1)[number % 2]) for number in range(2 * PER_HOST)]

    async def use(opened: Opened) -> tuple[list[Event], list[Event]]:
        taken: list[Event] = []
        bus = EventBus(opened.event_log, now=opened.clock.now, sinks=[lambda event, _: taken.append(event)])
        for event in events:
            bus.record(event)
        await opened.event_log.flush()
        return taken, [Event(each.name, each.at, each.host, data=each.data) for each in await opened.stored()]

    with capture_logs() as lines:
        taken, stored = with_bus(store_url, use)

    assert taken == stored == events
    assert [(each["host"], each["number"]) for each in lines] == [(each.host, each.data["number"]) for each in events]


def test_what_happens_now_has_its_time_and_level(store_url: str):
    async def use(opened: Opened) -> list[Event]:
        opened.bus.emit("boot.dead_end_met", {"cure": "none"}, host=CP1, level=logging.ERROR)
        await opened.event_log.flush()
        return await opened.stored()

    with capture_logs() as lines:
        stored = with_bus(store_url, use)

    assert stored == [Event("boot.dead_end_met", NOW, CP1, data={"cure": "none"}, id=1)]
    assert [(line["event"], line["log_level"]) for line in lines] == [("boot.dead_end_met", "error")]


def test_while_the_store_fails_events_are_logged_and_counted_and_they_are_stored_later_in_their_order(store_url: str):
    async def use(opened: Opened) -> tuple[bool, dict[str, float], list[object]]:
        opened.database.fails = True
        for number in range(3):
            opened.bus.record(moved(number))
        is_written, counted = await opened.event_log.flush(), opened.counted()
        opened.database.fails = False
        opened.bus.record(moved(3))
        await opened.event_log.flush()
        return is_written, counted, [event.data["number"] for event in await opened.stored()]

    with capture_logs() as lines:
        is_written, counted, stored = with_bus(store_url, use)

    assert (is_written, counted) == (False, {"install.moved": 3})
    assert stored == [0, 1, 2, 3]
    assert [line["event"] for line in lines].count("install.moved") == 4


def test_events_beyond_the_buffer_are_lost_and_counted_in_the_log_the_store_and_the_counters(store_url: str):
    async def use(opened: Opened) -> tuple[object, Event, dict[str, float]]:
        opened.database.fails = True
        for number in range(BUFFERED + 3):
            opened.bus.record(moved(number), level=logging.DEBUG)
        await opened.event_log.flush()
        opened.database.fails = False
        opened.bus.publish_counts()
        await opened.event_log.flush()
        first = (await opened.event_log.after(0))[0]
        (last,) = await opened.event_log.after(await opened.event_log.last_id() - 1)
        return first.data["number"], last, opened.counted()

    with capture_logs() as lines:
        first, last, counted = with_bus(store_url, use)

    assert first == 4  # three, and one for the count
    assert (last.name, last.data) == ("store.events_lost", {"count": 3})
    assert counted == {"install.moved": BUFFERED + 3, "store.events_lost": 3}
    assert [line["count"] for line in lines if line["event"] == "store.events_lost"] == [3]


def test_a_stop_stores_the_counts_and_logs_what_the_store_did_not_accept(
    store_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("netboot.events.event_log.RETRY_S", 0.0)

    async def use(opened: Opened) -> list[object]:
        for number in range(PER_HOST + 5):
            opened.bus.record(sent(number))
        await opened.bus.close()
        opened.database.fails = True
        opened.bus.record(moved(0))
        await opened.bus.close()
        return [event.data.get("count") for event in await opened.stored()]

    with capture_logs() as lines:
        counts = with_bus(store_url, use)

    assert counts == [None] * PER_HOST + [5]
    assert lines[-1] == {"event": "store.events_lost", "count": 1, "log_level": "error"}


def test_a_running_bus_publishes_a_count_when_its_minute_ends_though_nothing_else_happens(
    store_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("netboot.events.event_bus.BEAT_S", 0.01)

    async def use(opened: Opened) -> list[object]:
        running = asyncio.create_task(opened.bus.run())
        for number in range(PER_HOST + 2):
            opened.bus.record(sent(number))
        opened.clock.at = NOW + timedelta(seconds=60)
        async with asyncio.timeout(30):
            while opened.counted()["boot.content_sent"] < PER_HOST + 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running.cancel()
        await opened.event_log.flush()
        return [event.data.get("count") for event in await opened.stored()]

    assert with_bus(store_url, use) == [None] * PER_HOST + [2]
