"""The error of a store that fails contains the cure, for the log and for the operator."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from sqlalchemy import make_url

from netboot.errors import StoreError
from netboot.store.accepted_files import AcceptedFiles
from netboot.store.database import Database
from netboot.store.failure import cannot_open


def refused(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        asyncio.run(Database.open(url))
    return str(caught.value)


def test_a_file_that_is_no_database_is_restored(sqlite_url: str, tmp_path: Path):
    (tmp_path / "netboot.db").write_bytes(b"damaged " * 1000)

    assert refused(sqlite_url) == ("the store failed: file is not a database; restore a backup, or correct store.url")


def test_a_full_disk_needs_space(sqlite_url: str):
    async def scenario() -> str:
        database = await Database.open(sqlite_url)
        try:
            async with database.reading() as connection:  # the only connection of the pool that is open
                await connection.exec_driver_sql("PRAGMA max_page_count=1")
            with pytest.raises(StoreError) as caught:
                await AcceptedFiles(database).keep([("hosts.yaml", "x" * 1_000_000)])
        finally:
            await database.close()
        return str(caught.value)

    assert asyncio.run(scenario()) == ("the store failed: database or disk is full; free some space on its file system")


@pytest.mark.integration
def test_a_database_server_that_does_not_run_is_started():
    assert refused("postgresql+asyncpg://netboot@127.0.0.1:1/netboot") == (
        "the store failed: [Errno 111] Connect call failed ('127.0.0.1', 1); "
        "start the database server, or correct server and port in store.url"
    )


@pytest.mark.integration
def test_a_server_whose_name_is_unknown_is_named_otherwise():
    assert refused("postgresql+asyncpg://netboot@no-such-server.invalid/netboot").endswith(
        "; correct the server's name in store.url"
    )


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_missing_database_is_made(store_url: str):
    name = make_url(store_url).database

    assert refused(store_url.replace(f"/{name}?", "/nosuch?")) == (
        'the store failed: database "nosuch" does not exist; correct the database in store.url, or make it: createdb'
    )


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.EACCES, "run with sudo, or join group netboot"),
        (errno.ENOSPC, "free some space on its file system"),
        (errno.EROFS, "mount its file system writable, or add its directory to ReadWritePaths= of the unit"),
        (errno.ENOTDIR, "correct store.url or admin.socket"),
    ],
)
def test_a_file_that_cannot_be_opened_is_named_with_its_cure(code: int, cure: str):
    error = cannot_open("the store", Path("/s/netboot.db"), OSError(code, os.strerror(code)))

    assert str(error) == f"cannot open the store /s/netboot.db: {os.strerror(code)}; {cure}"
