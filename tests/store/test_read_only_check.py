"""Whether a daemon can start on a store is found without changing it."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from netboot.errors import StoreError
from netboot.store.database import Database
from netboot.store.read_only_check import verify_store


async def made(url: str) -> None:
    await (await Database.open(url)).close()


def test_a_store_of_this_version_is_no_fault(store_url: str):
    asyncio.run(made(store_url))

    assert asyncio.run(verify_store(store_url)) is None


def test_a_missing_file_is_no_fault_and_is_not_made(sqlite_url: str, tmp_path: Path):
    assert asyncio.run(verify_store(sqlite_url)) is None
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_a_warning_and_is_not_made(tmp_path: Path):
    warning = asyncio.run(verify_store(f"sqlite+aiosqlite:///{tmp_path}/lib/netboot/netboot.db"))

    assert warning == (
        f"store.url: there is no directory {tmp_path}/lib/netboot, and the daemon may lack the right to make it; "
        f"correct store.url, or make it: install -d -o netboot -g netboot -m 750 {tmp_path}/lib/netboot"
    )
    assert list(tmp_path.iterdir()) == []


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE schema_version (version INTEGER)")
        connection.execute("INSERT INTO schema_version VALUES (99)")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        pytest.param(Path.mkdir, "{path} is not a file; move it away, or correct store.url", id="directory"),
        pytest.param(
            lambda path: path.write_bytes(b"damaged " * 1000),
            "cannot read {path}: file is not a database; restore a backup, or correct store.url",
            id="damaged",
        ),
        pytest.param(
            newer,
            "the store has version 99, this netboot supports up to 8; "
            "run the version that wrote it, or restore a backup",
            id="newer",
        ),
    ],
)
def test_a_store_on_which_no_daemon_can_start_is_an_error(
    sqlite_url: str, tmp_path: Path, prepare: Callable[[Path], object], message: str
):
    path = tmp_path / "netboot.db"
    prepare(path)

    with pytest.raises(StoreError) as caught:
        asyncio.run(verify_store(sqlite_url))

    assert str(caught.value) == message.format(path=path)
