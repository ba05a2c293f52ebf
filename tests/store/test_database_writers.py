"""Writers of one process take turns in their order; a queue that moves is no failed store, one that does not is."""

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest

from netboot.errors import StoreError
from netboot.store import database
from netboot.store.database import Database

TIMEOUT_S = 0.3
WRITERS = 60


@pytest.fixture(autouse=True)
def short_timeout(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "TIMEOUT_S", TIMEOUT_S)
    monkeypatch.setattr(database, "BUSY_S", TIMEOUT_S / 2)


def test_writers_of_a_rack_all_get_their_turn_in_their_order(tmp_path: Path):
    written: list[int] = []

    async def write(store: Database, number: int) -> None:
        async with store.transaction():
            await asyncio.sleep(0.01)
            written.append(number)

    async def scenario() -> float:
        store = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/netboot.db")
        try:
            began_s = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for number in range(WRITERS):
                    group.create_task(write(store, number))
            return time.monotonic() - began_s
        finally:
            await store.close()

    took_s = asyncio.run(scenario())

    assert written == list(range(WRITERS))
    assert took_s > TIMEOUT_S  # so the last ones waited longer than a store may take


def test_writers_that_wait_for_a_store_that_does_not_answer_fail_together(tmp_path: Path):
    file = tmp_path / "netboot.db"

    async def write(store: Database) -> str:
        try:
            async with store.transaction():
                return "written"
        except StoreError as error:
            return str(error)

    async def scenario() -> tuple[set[str], float, str]:
        store = await Database.open(f"sqlite+aiosqlite:///{file}")
        try:
            other = sqlite3.connect(file, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
            began_s = time.monotonic()
            answers = await asyncio.gather(*(write(store) for _ in range(WRITERS)))
            took_s = time.monotonic() - began_s
            other.execute("ROLLBACK")
            other.close()
            return set(answers), took_s, await write(store)
        finally:
            await store.close()

    answers, took_s, afterwards = asyncio.run(scenario())

    assert "written" not in answers
    assert took_s < TIMEOUT_S * WRITERS / 4  # not one after another
    assert afterwards == "written"


def test_a_writer_that_is_cancelled_in_the_queue_leaves_it(tmp_path: Path):
    async def scenario() -> str:
        store = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/netboot.db")

        async def write() -> str:
            async with store.transaction():
                return "written"

        try:
            async with store.transaction():
                waiting = asyncio.create_task(write())
                await asyncio.sleep(0)
                waiting.cancel()
            return await write()
        finally:
            await store.close()

    assert asyncio.run(scenario()) == "written"
