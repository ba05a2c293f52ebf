"""Events are stored once, whatever ends the daemon; the store's errors show no secret."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.events.event_log import EventLog
from netboot.model.host.host import HostName
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
        events = EventLog(database)
        for number in range(5):
            events.take(an_event(number), logging.INFO)
        running = asyncio.create_task(events.run())
        await asyncio.sleep(STEP_S)
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await events.close()
        on_record = [event.data["number"] for event in await events.after(0)]
        await database.close()
        return on_record

    assert asyncio.run(scenario()) == list(range(5))


def test_events_that_an_earlier_version_stored_have_the_names_of_today(store_url: str):
    async def scenario() -> list[tuple[str, object]]:
        database = await Database.open(store_url)
        events = EventLog(database)
        events.take(
            Event("boot.shape_moved", NOW, data={"from": "with-43 a.efi", "to": "without-43 a.efi"}), logging.INFO
        )
        events.take(Event("boot.shape_kept", NOW, data={"shape": "without-43 a.efi"}), logging.INFO)
        events.take(
            Event("boot.dead_end_met", NOW, data={"reason": "no-loader", "shape": "with-43 a.efi"}), logging.INFO
        )
        events.take(Event("boot.alarm_raised", NOW, data={"reason": "stranger"}), logging.INFO)
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


def test_an_event_with_a_step_of_a_newer_version_is_read_without_it(store_url: str):
    async def scenario() -> list[Event]:
        database = await Database.open(store_url)
        async with database.transaction() as connection:
            row = {"at": NOW.isoformat(), "name": "boot.parked", "step": "parked", "data": {}}
            await connection.execute(insert(tables.events), row)
        stored = await EventLog(database).after(0)
        await database.close()
        return stored

    assert asyncio.run(scenario()) == [Event("boot.parked", NOW, id=1)]


def test_events_that_anybody_can_cause_displace_no_other_event_of_a_host(store_url: str):
    cp1 = HostName("cp1")

    async def scenario() -> tuple[list[str], list[str]]:
        database = await Database.open(store_url)
        events = EventLog(database)
        for name in ("a", "b", *["refused"] * 9, "c", "refused"):
            events.take(Event(name, NOW, host=cp1), logging.INFO)
        await events.flush()
        together = await events.newest(cp1, limit=3)
        apart = await events.newest(cp1, limit=3, apart={"refused"}, limit_apart=2)
        await database.close()
        return [event.name for event in together], [event.name for event in apart]

    assert asyncio.run(scenario()) == (["refused", "c", "refused"], ["a", "b", "refused", "c", "refused"])


def test_the_newest_events_of_several_hosts_are_those_of_each_and_the_newest_of_each_host_is_one(store_url: str):
    hosts = [HostName("cp1"), HostName("w1"), HostName("w2")]

    async def scenario() -> tuple[dict[HostName, list[str]], dict[HostName, list[Event]], list[Event]]:
        database = await Database.open(store_url)
        events = EventLog(database)
        for number, name in enumerate(("a", "b", *["refused"] * 4, "c", "refused")):
            for host in (hosts[number % 2], None):
                events.take(Event(name, NOW, host=host), logging.INFO)
        await events.flush()
        together = await events.newest_of(hosts, limit=2, apart={"refused"}, limit_apart=1)
        alone = {host: await events.newest(host, limit=2, apart={"refused"}, limit_apart=1) for host in hosts}
        newest = await events.newest_of_each_host()
        await database.close()
        assert together == alone
        return {host: [event.name for event in found] for host, found in together.items()}, alone, newest

    names, alone, newest = asyncio.run(scenario())

    assert names == {"cp1": ["a", "refused", "c"], "w1": ["b", "refused"], "w2": []}
    assert newest == [alone[hosts[0]][-1], alone[hosts[1]][-1]]


def test_an_error_of_the_store_never_shows_what_was_to_be_written(store_url: str):
    async def scenario() -> BaseException:
        database = await Database.open(store_url)
        row = {"host": "cp1", "state": "loading", "version": 1, "kickstart_sha256": "c0ffee"}

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


class RecordingOutbox:
    """Keeps what it was given; the store fails for the first `refusals` batches."""

    def __init__(self, *, refusals: int = 0) -> None:
        self.refusals = refusals
        self.added: list[list[int]] = []
        self.notified = 0

    async def add(self, connection: AsyncConnection, events: Sequence[Event]) -> None:
        self.added.append([event.id for event in events])
        if self.refusals:
            self.refusals -= 1
            await connection.execute(text("SELECT * FROM no_such_table"))

    def notify(self) -> None:
        self.notified += 1


def test_events_are_queued_with_their_ids_in_the_transaction_that_stores_them(store_url: str):
    async def scenario() -> tuple[RecordingOutbox, list[bool], list[int]]:
        database = await Database.open(store_url)
        outbox = RecordingOutbox(refusals=1)
        events = EventLog(database, outbox=outbox)
        for number in range(3):
            events.take(an_event(number), logging.INFO)
        flushed = [await events.flush()]
        on_record = [len(await events.after(0)), outbox.notified]
        flushed.append(await events.flush())
        on_record += [len(await events.after(0)), outbox.notified]
        await database.close()
        return outbox, flushed, on_record

    outbox, flushed, on_record = asyncio.run(scenario())

    assert flushed == [False, True]
    assert on_record == [0, 0, 3, 1]
    assert len(outbox.added) == 2
    assert sorted(outbox.added[1]) == outbox.added[1]
