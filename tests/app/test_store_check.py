"""`netboot store check` finds what is damaged in a store, in its pages, its tables and its rows."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from store.backup.test_backup import NEWEST_VERSION_STORED, load_stored

from netboot.app.backup.store_check import READ, StoreCheck, StoreFault, check_store
from netboot.errors import StoreError
from netboot.store import tables
from netboot.store.database import Database


def checked(url: str, key_file: Path | None = None) -> StoreCheck:
    return asyncio.run(check_store(url, key_file))


def stored(url: str) -> str:
    load_stored(url, NEWEST_VERSION_STORED)
    asyncio.run(execute(url))
    return url


async def execute(url: str, *statements: str) -> None:
    """Migrate a store, and run statements on it."""
    database = await Database.open(url)
    async with database.transaction() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await database.close()


def test_every_table_is_read_by_its_own_types():
    assert set(tables.metadata.tables) - {"schema_version"} == READ


def test_a_sound_store_has_no_fault(store_url: str):
    found = checked(stored(store_url))

    assert (found.faults, found.is_sound) == ([], True)
    assert found.rows["installs"] == 2
    assert set(found.rows) == READ


def test_a_store_of_an_older_version_is_sound_and_stays_as_it_is(store_url: str):
    load_stored(store_url, 5)

    found = checked(store_url)

    assert (found.version, found.faults) == (5, [])
    assert checked(store_url).version == 5


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (
            "UPDATE installs SET state = 'lost' WHERE host = 'cp1'",
            StoreFault("installs", "the row cp1 cannot be read: ValueError: 'lost' is not a valid InstallState"),
        ),
        (
            "UPDATE moves SET to_state = 'lost' WHERE id = 1",
            StoreFault("moves", "the row 1 cannot be read: ValueError: 'lost' is not a valid InstallState"),
        ),
        (
            "UPDATE events SET at = 'yesterday' WHERE id = 2",
            StoreFault("events", "the row 2 cannot be read: ValueError: Invalid isoformat string: 'yesterday'"),
        ),
        (
            "INSERT INTO appliances (id, name, place, url, version, declared, joined_at, seen_ms) "
            "VALUES ('a1', 'box', '/', '', '1', '{}', 'yesterday', 0)",
            StoreFault("appliances", "the row a1 cannot be read: ValueError: Invalid isoformat string: 'yesterday'"),
        ),
        ("DROP INDEX events_by_mac", StoreFault("events", "events_by_mac is missing")),
        ("DROP TABLE leases", StoreFault("leases", "the table is missing")),
    ],
)
def test_a_row_that_no_type_reads_and_a_missing_table_or_index_is_named(
    store_url: str, statement: str, fault: StoreFault
):
    asyncio.run(execute(stored(store_url), statement))

    assert fault in checked(store_url).faults


def test_a_damaged_page_of_sqlite_is_named(sqlite_url: str):
    path = Path(str(make_url(stored(sqlite_url)).database))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'moves_by_host'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\0" * size)

    found = checked(sqlite_url)

    assert not found.is_sound
    assert StoreFault("", "database disk image is malformed") in found.faults


def test_a_file_that_is_no_database_cannot_be_opened(sqlite_url: str):
    Path(str(make_url(sqlite_url).database)).write_bytes(b"\x17" * 8192)

    with pytest.raises(StoreError, match="file is not a database; restore a backup"):
        checked(sqlite_url)
