"""Several appliances write events to one PostgreSQL: their ids are in the order in which they become visible."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.events.event_log import EventLog
from netboot.events.newest_events import NewestEvents
from netboot.model.host.host import HostName
from netboot.model.install.event import Event
from netboot.store.changes.change_feed import ChangeFeed
from netboot.store.changes.notification import Changed
from netboot.store.database import Database

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)]

NOW = datetime(2026, 11, 30, tzinfo=UTC)
CP1 = HostName("cp1")
WAIT_S = 30


class HeldOutbox:
    """Holds the transaction of a batch open, after its ids were drawn, until the test lets it continue."""

    def __init__(self) -> None:
        self.has_drawn, self.may_commit = asyncio.Event(), asyncio.Event()

    async def add(self, _connection: AsyncConnection, _events: Sequence[Event]) -> None:
        self.has_drawn.set()
        await self.may_commit.wait()

    def notify(self) -> None:
        pass


class Appliance:
    """The event log of one appliance, which follows the changes of the others."""

    def __init__(self, url: str, outbox: HeldOutbox | None = None) -> None:
        self.database = Database.connect(url)
        self.log = EventLog(self.database, outbox=outbox)
        self.of_others: list[str] = []
        self.log.follow_others(lambda event: self.of_others.append(event.name))
        self.changes = ChangeFeed(url, writer=self.database.writer)
        self.changes.follow(Changed.EVENTS, self._read)
        self.is_open = asyncio.Event()

    async def _read(self, subjects: Collection[str] | None) -> None:
        await self.log.read_changed(subjects)
        self.is_open.set()

    def take(self, *names: str) -> None:
        for name in names:
            self.log.take(Event(name, NOW, CP1), logging.INFO)

    async def next(self, count: int, after: int) -> list[tuple[int, str]]:
        """Follow the events after an id until `count` came."""
        found = []
        async with asyncio.timeout(WAIT_S):
            async for event in self.log.feed.follow(after):
                if event is not None:
                    found.append((event.id, event.name))
                if len(found) == count:
                    break
        return found


@asynccontextmanager
async def appliances(url: str, outbox: HeldOutbox | None = None) -> AsyncIterator[tuple[Appliance, Appliance]]:
    await (await Database.open(url)).close()
    both = Appliance(url, outbox), Appliance(url)
    for each in both:
        await each.log.begin()
    tasks = [asyncio.create_task(each.changes.run()) for each in both]
    try:
        async with asyncio.timeout(WAIT_S):
            for each in both:
                await each.is_open.wait()
        yield both
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in both:
            await each.database.close()


def test_no_follower_misses_an_event_whose_id_was_drawn_early_and_committed_late(store_url: str):
    async def scenario() -> tuple[bool, list[list[tuple[int, str]]], list[str], list[str]]:
        outbox = HeldOutbox()
        async with appliances(store_url, outbox) as (slow, quick):
            followers = [asyncio.create_task(each.next(4, after=0)) for each in (slow, quick)]
            slow.take("early.a", "early.b")
            first = asyncio.create_task(slow.log.flush())
            await outbox.has_drawn.wait()
            quick.take("late.a", "late.b")
            second = asyncio.create_task(quick.log.flush())
            await asyncio.wait([second], timeout=0.5)
            is_passed = second.done()
            outbox.may_commit.set()
            assert await first
            assert await second
            return is_passed, [await each for each in followers], slow.of_others, quick.of_others

    is_passed, followed, of_quick, of_slow = asyncio.run(scenario())
    expected = [(1, "early.a"), (2, "early.b"), (3, "late.a"), (4, "late.b")]
    assert followed == [expected, expected]
    assert (is_passed, of_quick, of_slow) == (False, ["late.a", "late.b"], ["early.a", "early.b"])


def test_many_batches_of_both_reach_the_followers_of_both_once_in_the_order_of_ids(store_url: str):
    async def scenario() -> list[list[tuple[int, str]]]:
        async with appliances(store_url) as both:
            followers = [asyncio.create_task(each.next(400, after=0)) for each in both]

            async def write(each: Appliance, name: str) -> None:
                for number in range(20):
                    each.take(*[f"{name}.{number}"] * 10)
                    assert await each.log.flush()

            await asyncio.gather(write(both[0], "first"), write(both[1], "second"))
            return [await each for each in followers]

    of_first, of_second = asyncio.run(scenario())
    assert of_first == of_second
    assert [number for number, _ in of_first] == list(range(1, 401))
    for name in ("first", "second"):
        assert [each for _, each in of_first if each.startswith(name)] == [
            f"{name}.{number}" for number in range(20) for _ in range(10)
        ]


class ReadAtOnce(Database):
    """Reads what is new as soon as a transaction is committed, before its writer continues."""

    log: EventLog

    @asynccontextmanager
    async def transaction(self, **limits: float) -> AsyncIterator[AsyncConnection]:
        async with super().transaction(**limits) as connection:
            yield connection
        await self.log.read_changed()


def test_an_event_of_its_own_that_is_read_before_its_writer_continues_is_not_of_others(store_url: str):
    async def scenario() -> tuple[list[str], list[tuple[int, str]]]:
        await (await Database.open(store_url)).close()
        own = Appliance(store_url)
        database = ReadAtOnce.connect(store_url)
        own.log = database.log = EventLog(database)
        own.log.follow_others(lambda event: own.of_others.append(event.name))
        try:
            await own.log.begin()
            own.take("own.a", "own.b")
            assert await own.log.flush()
            return own.of_others, await own.next(2, after=0)
        finally:
            await database.close()
            await own.database.close()

    assert asyncio.run(scenario()) == ([], [(1, "own.a"), (2, "own.b")])


def test_the_newest_event_of_a_host_is_that_of_either_appliance(store_url: str):
    async def scenario() -> list[str | None]:
        async with appliances(store_url) as (first, second):
            newest = NewestEvents(first.log)
            first.log.follow_others(newest.event_of_others)
            found = []
            for at, name in ((NOW, "host.first"), (NOW + timedelta(seconds=1), "host.second")):
                second.log.take(Event(name, at, CP1), logging.INFO)
                assert await second.log.flush()
                await first.log.read_changed()
                found.append(newest.of(CP1))
            newest.event_happened(Event("host.own", NOW + timedelta(seconds=3), CP1), logging.INFO)
            newest.event_of_others(Event("host.late", NOW + timedelta(seconds=2), CP1))
            return [each and each.name for each in (*found, newest.of(CP1))]

    assert asyncio.run(scenario()) == ["host.first", "host.second", "host.own"]
