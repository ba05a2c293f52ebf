"""The connections of a store are closed in time though its server hangs: a daemon is stopped, a command ends."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import asyncpg
import pytest
from sqlalchemy import text

from netboot.store.database import Database
from netboot.store.engine import bounded_connection
from netboot.store.engine.bounded_connection import BoundedConnection

CONNECTIONS = 5  # as many as the pool keeps
WAIT_S = 10

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)]


async def opened_sessions(database: Database) -> list[int]:
    """Open connections at once, and return the processes of the server that serve them."""
    async with AsyncExitStack() as open_connections:
        found = [await open_connections.enter_async_context(database.reading()) for _ in range(CONNECTIONS)]
        return [int(await each.scalar(text("SELECT pg_backend_pid()"))) for each in found]


@contextmanager
def stopped(processes: list[int]) -> Iterator[None]:
    """Let the server answer nothing on these connections."""
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def test_a_store_is_closed_though_its_server_answers_nothing(
    store_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(bounded_connection, "CLOSE_S", 0.1)

    async def scenario() -> int:
        database = await Database.open(store_url)
        processes = await opened_sessions(database)
        with stopped(processes):
            async with asyncio.timeout(WAIT_S):
                await database.close()
        return len(set(processes))

    assert asyncio.run(scenario()) == CONNECTIONS
    assert caplog.messages == []  # the end of a connection that was given up is no error


def test_a_deadline_of_the_caller_is_kept_and_reported_also_for_a_query_that_was_cancelled(store_url: str):
    async def scenario() -> bool:
        connection = await asyncpg.connect(
            store_url.replace("postgresql+asyncpg:", "postgresql:"), connection_class=BoundedConnection
        )
        with stopped([connection.get_server_pid()]):
            async with asyncio.timeout(WAIT_S):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await connection.fetchval("SELECT 1")
                with pytest.raises(TimeoutError):
                    await connection.close(timeout=0.1)
        return bool(connection.is_closed())

    assert asyncio.run(scenario())


def test_a_write_of_many_rows_that_is_cancelled_ends_its_connection_and_is_noted(store_url: str):
    async def scenario() -> tuple[bool, int]:
        given_up: list[None] = []
        connection = await asyncpg.connect(
            store_url.replace("postgresql+asyncpg:", "postgresql:"), connection_class=BoundedConnection
        )
        connection.on_given_up = lambda: given_up.append(None)
        await connection.execute("CREATE TEMPORARY TABLE written (line text)")
        with stopped([connection.get_server_pid()]):
            async with asyncio.timeout(WAIT_S):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):  # asyncpg sends no more rows, and the server waits for them
                        await connection.executemany("INSERT INTO written VALUES ($1)", [("x" * 1000,)] * 10_000)
        return bool(connection.is_closed()), len(given_up)

    assert asyncio.run(scenario()) == (True, 1)
