"""A cancelled caller leaves no lock behind, and its writes are completed."""

import asyncio
import sqlite3

import pytest
from sqlalchemy import insert, select

from netboot.store import tables
from netboot.store.database import Database, upsert

MOVE = {"host": "cp1", "at": "", "what": "armed", "from_state": "", "to_state": "", "note": ""}


def is_free(url: str) -> bool:
    with sqlite3.connect(url.partition(":///")[2], timeout=0.5, isolation_level=None) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        other.execute("ROLLBACK")
        return True


async def write_a_move(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(insert(tables.moves).values(MOVE))
        await connection.execute(select(tables.moves))


def test_a_transaction_that_is_cancelled_anywhere_releases_its_lock(sqlite_url: str):
    async def scenario() -> list[int]:
        database = await Database.open(sqlite_url)
        locked = []
        for moment in range(60):
            work = asyncio.create_task(write_a_move(database))
            for _ in range(moment % 12):
                await asyncio.sleep(0)
            await asyncio.sleep(moment // 12 * 0.0008)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            if not await asyncio.to_thread(is_free, sqlite_url):
                locked.append(moment)
        await database.close()
        return locked

    assert asyncio.run(scenario()) == []


@pytest.mark.parametrize("turns", [0, 1, 3, 10, 30])
def test_work_that_is_to_be_finished_is_finished_before_the_store_closes(store_url: str, turns: int):
    async def scenario() -> int:
        database = await Database.open(store_url)
        caller = asyncio.create_task(database.finish(write_a_move(database)))
        await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await database.close()
        again = await Database.open(store_url)
        async with again.reading() as connection:
            found = len((await connection.execute(select(tables.moves))).all())
        await again.close()
        return found

    assert asyncio.run(scenario()) == 1


def test_a_reader_waits_for_no_writer(store_url: str):
    async def scenario() -> int:
        database = await Database.open(store_url)
        async with database.transaction() as writing:
            await writing.execute(insert(tables.moves).values(MOVE))
            async with database.reading() as connection:
                found = len((await connection.execute(select(tables.moves))).all())
        await database.close()
        return found

    assert asyncio.run(scenario()) == 0


def test_two_that_put_down_one_row_at_once_both_succeed(store_url: str):
    row = {"mac": "52:54:00:aa:bb:01", "first_seen": "", "last_seen": "", "addresses": []}

    async def scenario() -> int:
        one, other = await Database.open(store_url), await Database.open(store_url)

        async def put(database: Database, times: int) -> None:
            for _ in range(times):
                async with database.transaction() as connection:
                    await upsert(connection, tables.machines, [row])

        await asyncio.gather(put(one, 10), put(other, 10))
        async with one.reading() as connection:
            found = len((await connection.execute(select(tables.machines))).all())
        await asyncio.gather(one.close(), other.close())
        return found

    assert asyncio.run(scenario()) == 1


def test_two_first_starts_on_an_empty_database_both_find_it_migrated(store_url: str):
    async def scenario() -> None:
        databases = await asyncio.gather(*(Database.open(store_url) for _ in range(8)))
        await asyncio.gather(*(database.close() for database in databases))

    asyncio.run(scenario())
