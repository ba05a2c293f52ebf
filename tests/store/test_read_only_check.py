"""Whether a daemon can start on a store is found without changing it."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from netboot.errors import StoreError
from netboot.model.host.address_pool import Allocation, RecordedAddress
from netboot.model.host.host import HostName
from netboot.store.allocations import Allocations
from netboot.store.database import Database
from netboot.store.failure import NEWEST_VERSION
from netboot.store.read_only_check import key_fault, read_allocations, verify_store


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
            f"the store has version 99, this netboot supports up to {NEWEST_VERSION}; "
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


def test_recorded_addresses_are_read_while_a_daemon_has_the_store_open(store_url: str):
    async def scenario() -> None:
        database = await Database.open(store_url)
        try:
            address, at = ip_address("192.0.2.40"), datetime(2026, 11, 29, tzinfo=UTC)
            await Allocations(database).record([Allocation(address, HostName("w1"))], at=at)

            assert await read_allocations(store_url) == {address: RecordedAddress(address, HostName("w1"), at)}
        finally:
            await database.close()

    asyncio.run(scenario())


def test_recorded_addresses_are_read_after_the_daemon_has_ended(store_url: str):
    async def scenario() -> None:
        database = await Database.open(store_url)
        address, at = ip_address("2001:db8::40"), datetime(2026, 11, 29, tzinfo=UTC)
        await Allocations(database).record([Allocation(address, HostName("w1"))], at=at)
        await database.close()

        assert await read_allocations(store_url) == {address: RecordedAddress(address, HostName("w1"), at)}

    asyncio.run(scenario())


def test_without_a_store_no_address_is_recorded_and_none_is_made(sqlite_url: str, tmp_path: Path):
    assert asyncio.run(read_allocations(sqlite_url)) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_store_of_an_earlier_version_has_no_recorded_address(store_url: str):
    async def scenario() -> None:
        database = await Database.open(store_url)
        async with database.transaction() as connection:
            await connection.execute(text("DROP TABLE allocations"))
            await connection.execute(text(f"DELETE FROM schema_version WHERE version = {NEWEST_VERSION}"))
        await database.close()

        assert await read_allocations(store_url) == {}

    asyncio.run(scenario())


def test_recorded_addresses_of_a_file_that_is_no_store_are_not_read(sqlite_url: str, tmp_path: Path):
    file = Path(str(make_url(sqlite_url).database))
    file.write_bytes(b"not a database, but long enough to be read as one" * 100)

    with pytest.raises(StoreError) as caught:
        asyncio.run(read_allocations(sqlite_url))

    cure = "restore a backup, or correct store.url"
    assert str(caught.value) == f"cannot read {file}: file is not a database; {cure}"


def test_the_key_of_a_new_store_is_no_fault_and_is_not_made(store_url: str, tmp_path: Path):
    key_file = tmp_path / "store.key"

    assert asyncio.run(key_fault(store_url, key_file)) is None
    assert not key_file.exists()


def test_a_key_that_does_not_fit_its_store_is_a_fault(store_url: str, tmp_path: Path):
    asyncio.run(made(store_url))
    key_file = tmp_path / "store.key"

    right = asyncio.run(key_fault(store_url, key_file))
    kept = key_file.read_bytes()
    key_file.write_bytes(bytes(32))
    other = asyncio.run(key_fault(store_url, key_file))
    key_file.unlink()
    missing = asyncio.run(key_fault(store_url, key_file))

    assert right is None
    assert len(kept) == 32
    assert str(other).startswith(f"store.key_file: {key_file} has the key ")
    assert str(missing).startswith(f"store.key_file: there is no {key_file}; the key ")
    assert not key_file.exists()
