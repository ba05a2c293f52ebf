"""A batch that the store committed is stored once, also if the answer to its commit came late or was lost."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import aiosqlite
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.events.event_log import BATCH, EventLog
from netboot.model.host.host import HostName
from netboot.model.install.event import Event
from netboot.store.database import Database

NOW = datetime(2026, 12, 1, tzinfo=UTC)
CP1 = HostName("cp1")
LIMIT_S: Final = 1.0  # of a transaction, in these tests
WAIT_S: Final = 30.0


class ImpatientDatabase(Database):
    """Gives up a transaction after `limit_s`."""

    limit_s = LIMIT_S

    @asynccontextmanager
    async def transaction(self, **_limits: float) -> AsyncIterator[AsyncConnection]:
        async with super().transaction(limit_s=self.limit_s) as connection:
            yield connection


class RecordingOutbox:
    """Keeps the ids that it was given; for the first `refusals` batches the transaction fails after that."""

    def __init__(self, *, refusals: int = 0, error: Exception | None = None) -> None:
        self.refusals, self.error = refusals, error or StoreError("refused")
        self.added: list[int] = []
        self.notified = 0

    async def add(self, _connection: AsyncConnection, events: Sequence[Event]) -> None:
        self.added += [event.id for event in events]
        if self.refusals:
            self.refusals -= 1
            raise self.error

    def notify(self) -> None:
        self.notified += 1


def take(log: EventLog, *names: str) -> None:
    for number, name in enumerate(names):
        log.take(Event(name, NOW + timedelta(seconds=number), CP1), logging.INFO)


async def stored(log: EventLog) -> list[tuple[int, str]]:
    return [(event.id, event.name) for event in await log.after(0)]


async def followed(log: EventLog, last: str) -> list[tuple[int, str]]:
    """Return what a follower got, to the first event of that name."""
    found = []
    async with asyncio.timeout(WAIT_S):
        async for event in log.feed.follow(0):
            if event is not None:
                found.append((event.id, event.name))
                if event.name == last:
                    break
    return found


def test_a_batch_with_a_fault_of_its_own_is_lost_and_those_after_it_are_stored(store_url: str):
    async def scenario() -> None:
        database = await Database.open(store_url)
        log = EventLog(database, outbox=RecordingOutbox(refusals=1, error=ValueError("no such text")))
        take(log, "a", "b")
        with pytest.raises(ValueError, match="no such text"):
            await log.flush()
        take(log, "c")
        assert await log.flush()
        assert [name for _, name in await stored(log)] == ["c"]
        assert (log.take_lost_count(), log.waiting_count) == (2, 0)
        await database.close()

    asyncio.run(scenario())


@dataclass
class LateCommits:
    """Delays the next COMMIT of SQLite in the driver's thread until `goes_on`."""

    goes_on: threading.Event = field(default_factory=threading.Event)
    is_next: bool = False

    def trace(self, statement: str) -> None:
        if statement == "COMMIT" and self.is_next:
            self.is_next = False
            self.goes_on.wait(WAIT_S)


@pytest.fixture
def late_commits(monkeypatch: pytest.MonkeyPatch) -> LateCommits:
    commits, connect = LateCommits(), aiosqlite.core.Connection._connect

    async def connect_traced(connection: aiosqlite.Connection) -> aiosqlite.Connection:
        connected = await connect(connection)
        await connected.set_trace_callback(commits.trace)
        return connected

    monkeypatch.setattr(aiosqlite.core.Connection, "_connect", connect_traced)
    return commits


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_batch_that_a_slow_disk_committed_too_late_is_not_written_again(store_url: str, late_commits: LateCommits):
    async def scenario() -> None:
        outbox = RecordingOutbox()
        database = await ImpatientDatabase.open(store_url)
        log = EventLog(database, outbox=outbox)
        take(log, "a", "b")
        late_commits.is_next = True
        asyncio.get_running_loop().call_later(2 * LIMIT_S, late_commits.goes_on.set)
        is_first = await log.flush()
        assert (is_first, log.waiting_count, [event.name for event in log.waiting_of(CP1)]) == (False, 2, ["a", "b"])
        assert (await stored(log), outbox.notified) == ([(1, "a"), (2, "b")], 0)
        take(log, "c")
        assert await log.flush()
        expected = [(1, "a"), (2, "b"), (3, "c")]
        assert await stored(log) == expected
        assert await followed(log, "c") == expected
        assert (outbox.added, outbox.notified, log.waiting_count, log.waiting_of(CP1)) == ([1, 2, 3], 2, 0, [])
        await database.close()

    asyncio.run(scenario())


@dataclass
class Proxy:
    """Passes bytes between netboot and PostgreSQL, except at the next COMMIT: what it does then is its mode."""

    server: Path
    mode: str = ""  # cut: the answer to COMMIT is not passed; hold: COMMIT is passed after `goes_on`
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    lost_answer: bytes = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(str(self.server))
        answers = asyncio.create_task(self._pass(there, writer))
        try:
            while data := await reader.read(1 << 16):
                mode = self.mode if b"COMMIT;" in data else ""
                if mode:
                    self.mode = ""
                    answers.cancel()
                    await asyncio.gather(answers, return_exceptions=True)
                if mode == "hold":
                    await self.goes_on.wait()
                back.write(data)
                await back.drain()
                if mode:
                    self.lost_answer = await there.read(1 << 16)
                    return
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            back.close()
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()


@dataclass
class Appliance:
    """An event log behind the proxy, and another one that is not."""

    proxy: Proxy
    outbox: RecordingOutbox
    database: ImpatientDatabase
    log: EventLog
    other: EventLog
    of_others: list[str] = field(default_factory=list)


@asynccontextmanager
async def an_appliance(store_url: str, directory: Path) -> AsyncIterator[Appliance]:
    direct = await Database.open(store_url)
    url = make_url(store_url)
    proxy, outbox = Proxy(Path(str(url.query["host"])) / ".s.PGSQL.5432"), RecordingOutbox()
    listener = await asyncio.start_unix_server(proxy.serve, directory / ".s.PGSQL.5432")
    through = url.update_query_dict({"host": str(directory)}).render_as_string(hide_password=False)
    database = ImpatientDatabase.connect(through)
    appliance = Appliance(proxy, outbox, database, EventLog(database, outbox=outbox), EventLog(direct))
    appliance.log.follow_others(lambda event: appliance.of_others.append(event.name))
    try:
        await appliance.log.begin()
        yield appliance
    finally:
        await database.close()
        await direct.close()
        listener.close()


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_batch_is_not_written_again_if_the_connection_ended_after_the_commit(store_url: str, tmp_path: Path):
    async def scenario() -> None:
        async with an_appliance(store_url, tmp_path) as own:
            take(own.log, "a", "b")
            own.proxy.mode = "cut"
            assert not await own.log.flush()
            assert b"COMMIT\0" in own.proxy.lost_answer
            await own.log.read_changed()  # as a notification begins
            take(own.other, "other")
            assert await own.other.flush()
            take(own.log, "c")
            assert await own.log.flush()
            expected = [(1, "a"), (2, "b"), (3, "other"), (4, "c")]
            assert await stored(own.log) == expected
            assert await followed(own.log, "c") == expected
            assert (own.of_others, own.outbox.added, own.outbox.notified) == (["other"], [1, 2, 4], 2)

    asyncio.run(scenario())


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_batch_is_not_written_again_if_its_commit_arrives_while_the_next_attempt_waits(
    store_url: str, tmp_path: Path
):
    async def scenario() -> None:
        async with an_appliance(store_url, tmp_path) as own:
            take(own.log, "a", "b")
            own.proxy.mode = "hold"
            assert not await own.log.flush()
            assert await stored(own.other) == []
            own.database.limit_s = WAIT_S
            second = asyncio.create_task(own.log.flush())
            await asyncio.wait([second], timeout=0.5)
            assert not second.done()
            own.proxy.goes_on.set()
            assert await second
            assert b"COMMIT\0" in own.proxy.lost_answer
            assert await stored(own.log) == [(1, "a"), (2, "b")]
            assert (own.of_others, own.outbox.added, own.outbox.notified) == ([], [1, 2], 1)

    asyncio.run(scenario())


def test_a_batch_is_written_although_another_writer_got_the_ids_of_its_failed_attempt(store_url: str):
    async def scenario() -> None:
        database, others = await Database.open(store_url), await Database.open(store_url)
        log, other = EventLog(database, outbox=RecordingOutbox(refusals=1)), EventLog(others)
        take(log, "a", "b")
        assert not await log.flush()
        take(other, "other.a", "other.b", "other.c")
        assert await other.flush()
        assert await log.flush()
        assert [name for _, name in await stored(log)] == ["other.a", "other.b", "other.c", "a", "b"]
        for each in (database, others):
            await each.close()

    asyncio.run(scenario())


def test_events_that_are_taken_after_a_failed_attempt_follow_its_batch(store_url: str):
    async def scenario() -> None:
        database = await Database.open(store_url)
        log = EventLog(database, outbox=RecordingOutbox(refusals=2))
        names = [f"event.{number}" for number in range(2 * BATCH)]
        take(log, *names[: BATCH // 2])
        assert not await log.flush()
        take(log, *names[BATCH // 2 :])
        assert not await log.flush()
        assert log.waiting_count == len(names)
        assert await log.flush()
        assert [name for _, name in await stored(log)] == names
        await database.close()

    asyncio.run(scenario())
