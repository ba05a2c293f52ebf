"""An appliance learns of what others change in a shared store, also after its connection was lost."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import asyncpg
import pytest
from fixtures.sleeping_loop import SleepingLoop
from structlog.testing import capture_logs

from netboot.errors import StoreError
from netboot.store.changes import change_feed
from netboot.store.changes.change_feed import ChangeFeed, NotedBy
from netboot.store.changes.notification import Changed, Notification, notify, parse, payload_of
from netboot.store.database import Database

WAIT_S = 30
END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'netboot, following changes'"
)


class Reader:
    """Collects what was to be read."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Collection[str] | None] = asyncio.Queue()
        self.faults = 0
        self.failed = asyncio.Event()

    async def read(self, subjects: Collection[str] | None) -> None:
        if self.faults:
            self.faults -= 1
            self.failed.set()
            raise StoreError("the store failed")
        self.calls.put_nowait(subjects)

    async def next(self) -> Collection[str] | None:
        async with asyncio.timeout(WAIT_S):
            return await self.calls.get()


@asynccontextmanager
async def following(
    url: str, what: Changed, *, writer: str = "reader", on_noted: Callable[[NotedBy], None] = lambda _by: None
) -> AsyncIterator[Reader]:
    feed, reader = ChangeFeed(url, writer=writer, on_noted=on_noted), Reader()
    feed.follow(what, reader.read)
    task = asyncio.create_task(feed.run())
    try:
        assert await reader.next() is None  # the connection is open
        yield reader
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def session_of_follower(url: str) -> int:
    """Return the process of the server that serves the connection of the one who follows."""
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg:", "postgresql:"))
    try:
        process: int = await connection.fetchval(
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'netboot, following changes'"
        )
        return process
    finally:
        await connection.close()


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """Let a connection be dead without a word: its server's process answers nothing."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


async def change(database: Database, what: Changed, *subjects: str) -> None:
    async with database.transaction() as connection:
        await notify(connection, what, subjects)


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_reader_gets_the_changes_of_its_kind_by_others_and_none_of_its_own_or_of_a_transaction_that_failed(
    store_url: str,
):
    async def scenario() -> list[Collection[str] | None]:
        mine, others = await Database.open(store_url), await Database.open(store_url)
        try:
            async with following(store_url, Changed.INSTALL, writer=mine.writer) as reader:
                await change(mine, Changed.INSTALL, "own")
                await change(others, Changed.MACHINE, "52:54:00:00:00:01")
                with suppress(ZeroDivisionError):
                    async with others.transaction() as connection:
                        await notify(connection, Changed.INSTALL, ["undone"])
                        raise ZeroDivisionError
                await change(others, Changed.INSTALL, "cp1", "w1")
                first = await reader.next()
                await change(others, Changed.INSTALL, *(f"host-{number}" for number in range(1_000)))
                return [first, await reader.next()]
        finally:
            await mine.close()
            await others.close()

    assert asyncio.run(scenario()) == [{"cp1", "w1"}, None]


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_after_a_lost_connection_anything_may_have_changed_and_the_next_change_is_notified(store_url: str):
    async def scenario() -> Collection[str] | None:
        others = await Database.open(store_url)
        killer = await asyncpg.connect(store_url.replace("postgresql+asyncpg:", "postgresql:"))
        try:
            async with following(store_url, Changed.INSTALL) as reader:
                await killer.execute(END_SESSIONS)
                assert await reader.next() is None
                for _ in range(WAIT_S * 10):
                    if logs and logs[-1]["event"] == "store.changes_followed":
                        break
                    await asyncio.sleep(0.1)
                await change(others, Changed.INSTALL, "cp1")
                while (found := await reader.next()) is None:
                    pass
                return found
        finally:
            await killer.close()
            await others.close()

    with capture_logs() as logs:
        assert asyncio.run(scenario()) == {"cp1"}
    assert [(each["event"], each["log_level"]) for each in logs if each["log_level"] != "debug"] == [
        ("store.changes_followed", "info"),
        ("store.changes_polled", "warning"),
        ("store.changes_followed", "info"),
    ]


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_session_that_ends_just_before_its_listen_is_opened_again(store_url: str, monkeypatch: pytest.MonkeyPatch):
    add_listener = asyncpg.Connection.add_listener
    ended = []

    async def scenario() -> Collection[str] | None:
        others = await Database.open(store_url)
        killer = await asyncpg.connect(store_url.replace("postgresql+asyncpg:", "postgresql:"))

        async def ended_before(self: asyncpg.Connection, *arguments: object) -> None:
            if not ended:
                ended.append(await killer.fetch(END_SESSIONS))
            await add_listener(self, *arguments)

        monkeypatch.setattr(asyncpg.Connection, "add_listener", ended_before)
        try:
            async with following(store_url, Changed.INSTALL) as reader:
                while not any(each["event"] == "store.changes_followed" for each in logs):
                    await reader.next()
                await change(others, Changed.INSTALL, "cp1")
                while (found := await reader.next()) is None:
                    pass
                return found
        finally:
            await killer.close()
            await others.close()

    with capture_logs() as logs:
        assert asyncio.run(scenario()) == {"cp1"}
    assert [len(each) for each in ended] == [1]
    assert [each["event"] for each in logs if each["log_level"] != "debug"] == [
        "store.changes_polled",
        "store.changes_followed",
    ]


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_row_that_cannot_be_read_ends_no_follower(store_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(change_feed, "UNEXPECTED_S", 0.01)
    faults = [ValueError("'parked' is not a valid InstallState"), KeyError("state")]

    async def scenario() -> tuple[Collection[str] | None, Collection[str] | None]:
        feed, installs, leases = ChangeFeed(store_url, writer="reader"), Reader(), Reader()

        async def read(subjects: Collection[str] | None) -> None:
            if faults:
                raise faults.pop()
            await installs.read(subjects)

        feed.follow(Changed.INSTALL, read)
        feed.follow(Changed.LEASE, leases.read)
        task = asyncio.create_task(feed.run())
        try:
            return await installs.next(), await leases.next()
        finally:
            task.cancel()

    with capture_logs() as logs:
        assert asyncio.run(scenario()) == (None, None)
    assert [each["what"] for each in logs if each["event"] == "store.change_unread"] == ["install", "install"]


def test_without_a_connection_everything_is_read_again_once_a_second():
    passed_s, seconds = [], 20

    async def scenario() -> str | None:
        loop, noted = asyncio.get_running_loop(), list[NotedBy]()
        feed = ChangeFeed("postgresql+asyncpg://netboot@127.0.0.1:1/netboot", writer="reader", on_noted=noted.append)

        async def read(subjects: Collection[str] | None) -> None:
            assert subjects is None
            passed_s.append(loop.time())

        feed.follow(Changed.INSTALL, read)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds + 0.5):
                await feed.run()
        assert noted == [NotedBy.POLL] * seconds
        return feed.fault

    with asyncio.Runner(loop_factory=SleepingLoop) as runner:
        fault = runner.run(scenario())
    assert passed_s == pytest.approx([*range(1, seconds + 1)])
    assert fault is not None
    assert fault.endswith("; start the database server, or correct server and port in store.url")


@pytest.mark.integration
def test_a_server_that_accepts_a_connection_and_does_not_answer_is_the_reason(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(change_feed, "ANSWER_S", 0.3)

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:  # the kernel accepts
            port = server.getsockname()[1]
            feed = ChangeFeed(f"postgresql+asyncpg://netboot@127.0.0.1:{port}/netboot", writer="reader")
            task = asyncio.create_task(feed.run())
            for _ in range(WAIT_S * 50):
                if logs:
                    break
                await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.wait([task])

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert [(each["event"], each["reason"]) for each in logs[:1]] == [
        (
            "store.changes_polled",
            "the store failed: its database server did not answer in time; "
            "check that it runs, the load of its disk, and the network to it",
        )
    ]


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_connection_that_is_dead_without_a_word_is_polled_each_second_before_it_is_given_up(store_url: str):
    noted: list[NotedBy] = []

    async def scenario() -> None:
        others = await Database.open(store_url)
        try:
            async with following(store_url, Changed.INSTALL, on_noted=noted.append) as reader:
                await change(others, Changed.INSTALL, "cp1")
                assert await reader.next() == {"cp1"}
                noted.clear()
                with stopped(await session_of_follower(store_url)):
                    await change(others, Changed.INSTALL, "w1")
                    assert await reader.next() is None
                    assert await reader.next() is None
                    assert [each["event"] for each in logs] == ["store.changes_followed"]  # it is not given up yet
        finally:
            await others.close()

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert noted[:2] == [NotedBy.POLL] * 2


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_what_a_reader_could_not_read_is_read_again_with_what_came_meanwhile(store_url: str):
    async def scenario() -> Collection[str] | None:
        others = await Database.open(store_url)
        try:
            async with following(store_url, Changed.INSTALL) as reader:
                reader.faults = 1
                await change(others, Changed.INSTALL, "cp1")
                await reader.failed.wait()
                await change(others, Changed.INSTALL, "w1")
                return await reader.next()
        finally:
            await others.close()

    assert asyncio.run(scenario()) == {"cp1", "w1"}


def test_on_sqlite_there_is_nothing_to_follow(sqlite_url: str):
    async def scenario() -> str | None:
        database = await Database.open(sqlite_url)
        feed, reader = ChangeFeed(sqlite_url, writer="reader"), Reader()
        feed.follow(Changed.INSTALL, reader.read)
        async with asyncio.timeout(WAIT_S):
            await change(database, Changed.INSTALL, "cp1")
            await feed.run()
        await database.close()
        assert reader.calls.empty()
        return feed.fault

    assert asyncio.run(scenario()) is None


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (payload_of("w", Changed.HOOK, ["b", "ä"]), Notification("w", "hook", frozenset({"b", "ä"}))),
        (payload_of("w", Changed.HOOK, ["x" * 8_000]), Notification("w", "hook", None)),
        ('["w", "of a newer version", []]', Notification("w", "of a newer version", frozenset())),
        ("", None),
        ("17", None),
        ('["w"]', None),
    ],
)
def test_a_payload_is_read_as_it_was_written_and_any_other_text_is_none_of_ours(
    payload: str, expected: Notification | None
):
    assert parse(payload) == expected
