"""Stored leases remain after a restart, and many writers share a write."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.errors import StoreError
from netboot.model.host.mac import Mac
from netboot.model.lease import Lease, LeaseState
from netboot.store.database import Database
from netboot.store.leases import LeaseStore, WrittenLease

MAC = Mac("52:54:00:aa:bb:01")
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
LEASE = Lease(IPv4Address("192.0.2.50"), MAC, MAC, LeaseState.BOUND, 3600, NOW)


def in_store(url: str, use: Callable[[LeaseStore], Awaitable[None]]) -> list[Lease]:
    """Use a table of leases, then read it after it was opened again."""

    async def scenario() -> list[Lease]:
        for step in (use, None):
            database = await Database.open(url)
            try:
                if step is None:
                    return await LeaseStore(database).all()
                await step(LeaseStore(database))
            finally:
                await database.close()
        raise AssertionError

    return asyncio.run(scenario())


def test_what_was_kept_is_there_after_the_database_was_opened_again(store_url: str):
    async def use(store: LeaseStore) -> None:
        await store.keep(LEASE, known=None)

    assert in_store(store_url, use) == [LEASE]


def test_an_address_has_one_row_the_last(store_url: str):
    released = replace(LEASE, state=LeaseState.RELEASED, mac=None, client="id:00ff")

    async def use(store: LeaseStore) -> None:
        await store.keep(LEASE, known=None)
        await store.keep(released, known=LEASE)

    assert in_store(store_url, use) == [released]


def test_many_that_ask_at_once_are_all_on_record(store_url: str):
    leases = [replace(LEASE, address=LEASE.address + number) for number in range(200)]

    async def use(store: LeaseStore) -> None:
        async with asyncio.TaskGroup() as tasks:
            for lease in leases:
                tasks.create_task(store.keep(lease, known=None))

    assert sorted(in_store(store_url, use), key=lambda lease: lease.address) == leases


def test_a_clients_bound_lease_is_read_after_its_older_ones(store_url: str):
    older = replace(LEASE, address=LEASE.address + 1, state=LeaseState.EXPIRED, ends_at=NOW.replace(year=2030))

    async def use(store: LeaseStore) -> None:
        await store.keep(LEASE, known=None)
        await store.keep(older, known=None)

    assert in_store(store_url, use) == [older, LEASE]


def test_a_lease_that_cannot_be_written_fails_every_request_that_waits_for_it(store_url: str, tmp_path: Path):
    async def scenario() -> list[BaseException | None]:
        database = await Database.open(store_url)
        store = LeaseStore(database)
        async with database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE leases")
        try:
            waiting = [store.keep(replace(LEASE, address=LEASE.address + number), known=None) for number in range(3)]
            return await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            await database.close()

    assert [type(outcome) for outcome in asyncio.run(scenario())] == [StoreError] * 3


def test_a_write_that_was_broken_off_is_no_lease(store_url: str):
    async def use(store: LeaseStore) -> None:
        writing = asyncio.create_task(store.keep(LEASE, known=None))
        await asyncio.sleep(0)
        sharing = asyncio.create_task(store.keep(LEASE, known=None))
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await sharing

    assert in_store(store_url, use) == [LEASE]


def test_a_lease_that_another_appliance_stored_meanwhile_stays(store_url: str):
    theirs = replace(LEASE, client="id:theirs", mac=None)

    async def scenario() -> tuple[WrittenLease, list[Lease]]:
        here, there = await Database.open(store_url), await Database.open(store_url)
        try:
            await LeaseStore(there).keep(theirs, known=None)
            return await LeaseStore(here).keep(LEASE, known=None), await LeaseStore(here).all()
        finally:
            await here.close()
            await there.close()

    assert asyncio.run(scenario()) == (WrittenLease(theirs, theirs, is_kept=False), [theirs])


def test_of_many_appliances_that_lease_the_same_addresses_at_once_each_address_has_one(store_url: str):
    addresses = [LEASE.address + number for number in range(40)]

    def wanted(appliance: int) -> list[Lease]:
        leases = [replace(LEASE, address=each, client=f"id:{appliance}", mac=None) for each in addresses]
        return leases if appliance % 2 else leases[::-1]

    async def granted_by(appliance: int) -> set[IPv4Address]:
        database = await Database.open(store_url)
        try:
            store = LeaseStore(database)
            written = await asyncio.gather(*(store.keep(lease, known=None) for lease in wanted(appliance)))
            return {each.stored.address for each in written if each.is_kept}
        finally:
            await database.close()

    async def scenario() -> list[set[IPv4Address]]:
        await (await Database.open(store_url)).close()
        return await asyncio.gather(*map(granted_by, range(4)))

    granted = asyncio.run(scenario())

    assert sorted(address for each in granted for address in each) == addresses
