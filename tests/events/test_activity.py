"""Activity is read newest first, by filter and page, from an index of either database."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from sqlalchemy import insert

from netboot.events import activity
from netboot.events.activity import ActivityFilter, ActivityLog, ActivityPage
from netboot.events.event_log import EventLog
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event
from netboot.store import tables
from netboot.store.database import Database

T = TypeVar("T")
NOW = datetime(2026, 11, 29, 2, tzinfo=UTC)
CP1, W1 = HostName("cp1"), HostName("w1")
MAC = Mac("52:54:00:aa:bb:01")


def at(minute: int) -> datetime:
    return NOW + timedelta(minutes=minute)


RECORDED = [
    Event("install.moved", at(0), CP1, data={"by": "armed", "actor": "alice"}),
    Event("boot.offered", at(1), CP1, MAC),
    Event("boot.shape_moved", at(2), None, MAC),  # as an earlier version stored it
    Event("audit.recorded", at(3), data={"action": "reload", "actor": "uid 0"}),
    Event("boot.offered", at(5), W1),
    Event("boot.script_served", at(4), W1),  # the clock was set back
    Event("audit.recorded", at(6), data={"action": "add host", "actor": "alice"}),
]


def recorded(url: str, query: Callable[[ActivityLog], Awaitable[T]]) -> T:
    """Return what a query finds in a store with these events."""

    async def scenario() -> T:
        database = await Database.open(url)
        try:
            events = EventLog(database)
            for event in RECORDED:
                events.take(event, logging.INFO)
            await events.flush()
            return await query(ActivityLog(database))
        finally:
            await database.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (ActivityFilter(), [7, 6, 5, 4, 3, 2, 1]),
        (ActivityFilter(host=CP1), [2, 1]),
        (ActivityFilter(mac=MAC), [3, 2]),
        (ActivityFilter(event="boot.offered"), [5, 2]),
        (ActivityFilter(event="boot.*"), [6, 5, 3, 2]),
        (ActivityFilter(event="boot.variant_changed"), [3]),
        (ActivityFilter(event="lan.*"), []),
        (ActivityFilter(is_audit=True), [7, 4, 1]),
        (ActivityFilter(actor="alice"), [7, 1]),
        (ActivityFilter(actor="bob"), []),
        (ActivityFilter(is_audit=True, event="audit.*"), [7, 4]),
        (ActivityFilter(since=at(4)), [7, 6, 5]),
        (ActivityFilter(until=at(5)), [6, 4, 3, 2, 1]),
        (ActivityFilter(since=at(3), until=at(5)), [6, 4]),
        (ActivityFilter(since=at(60)), []),
        (ActivityFilter(until=at(0)), []),
        (ActivityFilter(before=3), [2, 1]),
        (ActivityFilter(actor="alice", before=7, host=CP1, event="install.moved", since=at(0)), [1]),
    ],
)
def test_a_filter_selects_events_newest_first(store_url: str, wanted: ActivityFilter, ids: list[int]):
    found = recorded(store_url, lambda log: log.page(wanted, limit=100))

    assert found.older_before is None
    assert [event.id for event in found.events] == ids


def test_pages_continue_before_the_last_event_and_end_with_the_oldest(store_url: str):
    async def pages(log: ActivityLog) -> list[ActivityPage]:
        first = await log.page(ActivityFilter(event="boot.*"), limit=3)
        return [first, await log.page(ActivityFilter(event="boot.*", before=first.older_before), limit=3)]

    found = recorded(store_url, pages)

    assert [[event.id for event in page.events] for page in found] == [[6, 5, 3], [2]]
    assert [page.older_before for page in found] == [3, None]


@pytest.mark.parametrize(("most", "ids"), [(100, [7, 6, 5, 4, 3, 2, 1]), (5, [7, 6, 5, 4, 3]), (0, [])])
def test_all_events_come_in_bounded_batches(store_url: str, most: int, ids: list[int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(activity, "MOST_ON_A_PAGE", 2)

    async def batches(log: ActivityLog) -> list[list[int]]:
        return [[event.id for event in batch] async for batch in log.all(ActivityFilter(), most=most)]

    found = recorded(store_url, batches)

    assert [id_ for batch in found for id_ in batch] == ids
    assert max(map(len, found), default=0) <= 2


def test_the_names_that_occur_are_listed_as_they_are_called_today(store_url: str):
    assert recorded(store_url, lambda log: log.names()) == [
        "audit.recorded",
        "boot.offered",
        "boot.script_served",
        "boot.variant_changed",
        "install.moved",
    ]


@pytest.mark.parametrize("event", ["boot", "boot.", "BOOT.*", "*", "boot.*; DROP TABLE events", "a.b\n"])
def test_what_is_neither_an_event_nor_an_area_is_refused(event: str):
    with pytest.raises(ValueError, match="name of an event"):
        ActivityFilter(event=event)


@pytest.mark.parametrize(
    "wanted",
    [
        ActivityFilter(host=HostName("h7")),
        ActivityFilter(mac=Mac("52:54:00:00:00:07")),
        ActivityFilter(event="wipe.refused"),
        ActivityFilter(event="wipe.*"),
        ActivityFilter(is_audit=True, event="boot.*"),
        ActivityFilter(actor="bob"),
        ActivityFilter(before=5_000),
    ],
)
def test_a_filter_that_matches_little_reads_an_index(store_url: str, wanted: ActivityFilter):
    async def scenario() -> str:
        database = await Database.open(store_url)
        try:
            async with database.transaction() as connection:
                await connection.execute(insert(tables.events), [_row(number) for number in range(20_000)])
                await connection.exec_driver_sql("ANALYZE")
            async with database.reading() as connection:
                names = ["wipe.refused"] if wanted.event.startswith("wipe") else None
                names = ["boot.offered"] if wanted.is_audit else names
                query = activity._query(wanted, names).limit(101)
                text = query.compile(connection.sync_connection, compile_kwargs={"literal_binds": True})
                explained = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
                rows = (await connection.exec_driver_sql(f"{explained} {text}")).all()
                return "\n".join(str(row[-1]) for row in rows)
        finally:
            await database.close()

    plan = asyncio.run(scenario())

    assert "Seq Scan" not in plan
    assert "SCAN events\n" not in f"{plan}\n"


def _row(number: int) -> dict[str, object]:
    return {
        "at": (NOW + timedelta(seconds=number)).isoformat(),
        "name": "wipe.refused" if number == 50 else "boot.offered",
        "host": f"h{number % 100}",
        "mac": f"52:54:00:00:00:{number % 100:02x}",
        "data": {},
        "actor": "alice" if number % 1000 == 0 else None,
    }
