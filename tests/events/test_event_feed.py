"""Followers get each stored event once and in order, whatever their speed, and delay nobody."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from netboot.events import event_feed
from netboot.events.event_feed import HELD, READ_AT_ONCE, EventFeed
from netboot.model.host.host import HostName
from netboot.model.install.event import Event

NOW = datetime(2026, 11, 28, tzinfo=UTC)
CP1, W1 = HostName("cp1"), HostName("w1")


class StoredEvents:
    """Stored events of cp1 and w1 in turn, with a feed; counts the reads of what is stored."""

    def __init__(self, stored: int = 0) -> None:
        self.events = [self.event(number) for number in range(1, stored + 1)]
        self.reads = 0
        self.feed = EventFeed(self.read_after)

    @staticmethod
    def event(number: int) -> Event:
        return Event("install.moved", NOW, (CP1, W1)[number % 2], id=number)

    async def read_after(self, last_id: int, host: HostName | None) -> Sequence[Event]:
        self.reads += 1
        await asyncio.sleep(0)
        return [each for each in self.events if each.id > last_id and host in (None, each.host)][:READ_AT_ONCE]

    def write(self, count: int) -> None:
        first = len(self.events) + 1
        batch = [self.event(number) for number in range(first, first + count)]
        self.events += batch
        self.feed.publish(batch)


async def rest_of(following: AsyncIterator[Event | None]) -> list[int]:
    return [event.id async for event in following if event is not None]


def test_a_follower_gets_stored_events_new_events_and_the_end():
    async def scenario() -> list[int]:
        stored = StoredEvents(2)
        following = stored.feed.follow(1)
        first = await anext(following)
        stored.write(2)
        stored.feed.end()
        return [first.id if first else 0, *await rest_of(following)]

    assert asyncio.run(scenario()) == [2, 3, 4]


def test_a_follower_is_woken_by_a_batch_and_finds_between_them_that_nothing_came(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_feed, "BEAT_S", 0.01)

    async def scenario() -> list[int | None]:
        stored = StoredEvents()
        following = stored.feed.follow(0)
        nothing = await anext(following)
        waiting = asyncio.create_task(anext(following))
        await asyncio.sleep(0)
        stored.write(1)
        came = await waiting
        return [nothing and nothing.id, came and came.id]

    assert asyncio.run(scenario()) == [None, 1]


def test_a_follower_that_never_reads_delays_no_write_and_no_other_follower():
    async def scenario() -> tuple[list[int], list[int], int]:
        stored = StoredEvents()
        slow, quick = stored.feed.follow(0), stored.feed.follow(0)
        stored.write(1)
        await anext(slow)
        reader = asyncio.create_task(rest_of(quick))
        await asyncio.sleep(0)
        for _ in range(6):
            stored.write(HELD // 2)
            await asyncio.sleep(0)
        read_by_quick = stored.reads
        stored.feed.end()
        return await reader, await rest_of(slow), read_by_quick

    by_quick, by_slow, read_by_quick = asyncio.run(scenario())

    assert by_quick == list(range(1, 3 * HELD + 2))
    assert by_slow == list(range(2, 3 * HELD + 2))  # from the store, since only the newest are held
    assert read_by_quick == 0


def test_a_follower_of_one_host_reads_the_store_until_it_has_a_held_batch_and_then_no_more():
    async def scenario() -> tuple[list[int], int]:
        stored = StoredEvents(5)
        reader = asyncio.create_task(rest_of(stored.feed.follow(0, host=CP1)))
        await asyncio.sleep(0.01)
        for _ in range(4):
            stored.write(1)
            await asyncio.sleep(0.01)
        stored.feed.end()
        return await reader, stored.reads

    assert asyncio.run(scenario()) == ([2, 4, 6, 8], 2)


@given(
    some.integers(0, 2 * READ_AT_ONCE),
    some.integers(0, 2 * READ_AT_ONCE),
    some.lists(some.tuples(some.integers(1, 2 * HELD), some.integers(0, HELD)), max_size=6),
    some.sampled_from([None, CP1, W1]),
)
def test_whatever_the_speed_each_event_comes_once_and_in_order(
    before: int, last_id: int, turns: list[tuple[int, int]], host: HostName | None
):
    async def scenario() -> tuple[list[int], list[Event]]:
        stored = StoredEvents(before)
        following = stored.feed.follow(last_id, host=host)
        found: list[int] = []
        for written, read in turns:
            stored.write(written)
            wanted = [each.id for each in stored.events if each.id > last_id and host in (None, each.host)]
            for _ in range(min(read, len(wanted) - len(found))):
                event = await anext(following)
                assert event is not None
                found.append(event.id)
        stored.feed.end()
        return found + await rest_of(following), stored.events

    found, events = asyncio.run(scenario())

    assert found == [each.id for each in events if each.id > last_id and host in (None, each.host)]
    assert all(before < after for before, after in pairwise(found))
