"""The newest event of each host is in memory: from the store at first, then as events are recorded."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from netboot.events import newest_events
from netboot.events.event_log import EventLog
from netboot.events.newest_events import NewestEvents
from netboot.model.host.host import HostName
from netboot.model.install.event import Event
from netboot.store.database import Database

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CP1, W1 = HostName("cp1"), HostName("w1")


def test_what_is_recorded_is_newer_than_what_is_stored(store_url: str):
    async def scenario() -> list[str | None]:
        database = await Database.open(store_url)
        log = EventLog(database)
        for name, host in (("a", CP1), ("b", CP1), ("c", W1), ("d", None)):
            log.take(Event(name, NOW, host=host), logging.INFO)
        await log.flush()
        newest = NewestEvents(log)
        newest.event_happened(Event("e", NOW, host=W1), logging.INFO)
        newest.event_happened(Event("f", NOW), logging.INFO)
        await newest.load_once()
        log.take(Event("g", NOW, host=CP1), logging.INFO)  # not by the bus: it is not read again
        await log.flush()
        await newest.load_once()
        await database.close()
        found = [newest.of(host) for host in (CP1, W1, HostName("w2"))]
        return [event and event.name for event in found]

    assert asyncio.run(scenario()) == ["b", "e", None]


def test_the_host_that_was_heard_the_longest_ago_is_forgotten_first(store_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(newest_events, "HOSTS_KEPT", 2)

    async def scenario() -> list[bool]:
        database = await Database.open(store_url)
        newest = NewestEvents(EventLog(database))
        for host in ("a", "b", "a", "c"):
            newest.event_happened(Event("x", NOW, host=HostName(host)), logging.INFO)
        await database.close()
        return [newest.of(HostName(host)) is not None for host in "abc"]

    assert asyncio.run(scenario()) == [True, False, True]
