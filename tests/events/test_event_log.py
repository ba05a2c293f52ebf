"""Events are stored once, whatever ends the daemon; the store's errors show no secret."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest
import structlog
from sqlalchemy import insert

from netboot.errors import StoreError
from netboot.events.event_log import BUFFERED, EventLog
from netboot.model.install.event import Event
from netboot.store import tables
from netboot.store.database import STEP_S, Database

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def an_event(number: int) -> Event:
    return Event("install.moved", NOW, data={"number": number})


@pytest.mark.parametrize("turns", range(0, 40, 3))
def test_a_stop_in_the_middle_of_a_batch_loses_no_event_and_doubles_none(store_url: str, turns: int):
    async def scenario() -> list[object]:
        database = await Database.open(store_url)
        events = EventLog(database, now=lambda: NOW)
        for number in range(5):
            events.record(an_event(number))
        running = asyncio.create_task(events.run())
        await asyncio.sleep(STEP_S)
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        on_record = [event.data["number"] for event in await events.after(0)]
        await database.close()
        return on_record

    assert asyncio.run(scenario()) == list(range(5))


def test_events_that_an_earlier_version_stored_have_the_names_of_today(store_url: str):
    async def scenario() -> list[tuple[str, object]]:
        database = await Database.open(store_url)
        events = EventLog(database, now=lambda: NOW)
        events.record(Event("boot.shape_moved", NOW, data={"from": "with-43 a.efi", "to": "without-43 a.efi"}))
        events.record(Event("boot.shape_kept", NOW, data={"shape": "without-43 a.efi"}))
        events.record(Event("boot.dead_end_met", NOW, data={"reason": "no-loader", "shape": "with-43 a.efi"}))
        events.record(Event("boot.alarm_raised", NOW, data={"reason": "stranger"}))
        await events.flush()
        stored = [(event.name, event.data) for event in await events.after(0)]
        await database.close()
        return stored

    assert asyncio.run(scenario()) == [
        ("boot.variant_changed", {"from": "with-43 a.efi", "to": "without-43 a.efi"}),
        ("boot.variant_learned", {"variant": "without-43 a.efi"}),
        ("boot.dead_end_met", {"reason": "no-loader", "variant": "with-43 a.efi"}),
        ("boot.alarm_raised", {"reason": "unauthorised-address"}),
    ]


def test_an_error_of_the_store_never_shows_what_was_to_be_written(store_url: str):
    async def scenario() -> BaseException:
        database = await Database.open(store_url)
        row = {"host": "cp1", "state": "loading", "version": 1, "kickstart_token": "c0ffee"}

        async def write_twice() -> None:
            async with database.transaction() as connection:
                for _ in range(2):
                    await connection.execute(insert(tables.installs).values(row))

        with pytest.raises(StoreError) as caught:
            await write_twice()
        await database.close()
        return caught.value

    error = asyncio.run(scenario())
    assert "c0ffee" not in f"{error} {error.__cause__}"


def test_lost_events_are_counted_in_the_store_and_in_the_log(store_url: str):
    async def scenario() -> tuple[Event, Event]:
        database = await Database.open(store_url)
        events = EventLog(database, now=lambda: NOW)
        for number in range(BUFFERED + 3):
            events.record(an_event(number), level=logging.DEBUG)
        await events.flush()
        (first,) = await events.after(0, limit=1)
        (last,) = await events.after(await events.last_id() - 1)
        await database.close()
        return first, last

    with structlog.testing.capture_logs() as logged:
        first, last = asyncio.run(scenario())

    assert first.data == {"number": 3}
    assert (last.name, last.data) == ("store.events_lost", {"count": 3})
    assert {"event": "store.events_lost", "count": 3, "log_level": "error"} in logged


def test_a_follower_gets_stored_events_new_events_and_the_end(store_url: str):
    async def scenario() -> list[object]:
        database = await Database.open(store_url)
        events = EventLog(database, now=lambda: NOW)
        events.record(an_event(1))
        await events.flush()
        seen: list[object] = []
        async for event in events.follow(0):
            seen.append(event and event.data["number"])
            if seen == [1]:
                events.record(an_event(2))
                await events.flush()
            if event is None:
                await events.end_followers()
        await database.close()
        return seen

    assert asyncio.run(scenario()) == [1, 2, None]
