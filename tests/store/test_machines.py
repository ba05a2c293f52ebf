"""Machines remain after a restart; those that were removed from memory are removed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address

from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from netboot.errors import StoreError
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.mac import Mac
from netboot.store.database import TIMEOUT_S, Database
from netboot.store.machines import MACS_PER_TRANSACTION, MOST_GONE, Machines

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CP1 = Machine(
    Mac.parse("52:54:00:aa:bb:01"),
    first_seen=NOW,
    last_seen=NOW,
    arch="x64-uefi",
    vendor_class="PXEClient",
    uuid="00" * 16,
    addresses=(IPv4Address("192.0.2.50"), IPv4Address("192.0.2.51")),
    variants={"pxe": "without-43"},
)


async def opened_without_the_table(store_url: str) -> Database:
    """Open a store that accepts no machine."""
    database = await Database.open(store_url)
    async with database.transaction() as connection:
        await connection.exec_driver_sql("DROP TABLE machines")
    return database


def test_a_machine_is_read_as_it_was_kept_last(store_url: str):
    async def scenario() -> object:
        database = await Database.open(store_url)
        machines = Machines(database)
        machines.keep(replace(CP1, addresses=()))
        await machines.flush()
        machines.keep(CP1)
        await machines.flush()
        await database.close()
        again = await Database.open(store_url)
        read = await Machines(again).all()
        await again.close()
        return read

    assert asyncio.run(scenario()) == {CP1.mac: CP1}


def test_a_fact_that_only_a_newer_version_knows_is_left_out(store_url: str):
    async def scenario() -> object:
        database = await Database.open(store_url)
        machines = Machines(database)
        machines.keep(CP1)
        await machines.flush()
        async with database.transaction() as connection:
            await connection.exec_driver_sql("""UPDATE machines SET facts = '{"serial": "7XK1", "mood": "good"}'""")
        read = await machines.all()
        machines.keep(replace(CP1, arch="x64-http"), CP1)  # merged with what is stored
        await machines.flush()
        await database.close()
        return read

    assert asyncio.run(scenario()) == {CP1.mac: replace(CP1, facts={MachineFact.SERIAL: "7XK1"})}


def test_a_flood_of_unregistered_machines_is_stored_and_deleted_without_a_limit(store_url: str):
    async def scenario() -> int:
        database = await Database.open(store_url)
        machines = Machines(database)
        flood = [replace(CP1, mac=Mac.from_bytes((0x020000000000 + n).to_bytes(6, "big"))) for n in range(25_000)]
        for machine in flood:
            machines.keep(machine)
        await machines.flush()
        for machine in flood[1000:]:
            machines.forget(machine.mac)
        await machines.flush()
        left = len(await machines.all())
        await database.close()
        return left

    assert asyncio.run(scenario()) == 1000


class FailingOnce(Database):
    """A store whose second transaction fails."""

    transactions = 0

    @asynccontextmanager
    async def transaction(self, *, limit_s: float = TIMEOUT_S) -> AsyncIterator[AsyncConnection]:
        self.transactions += 1
        if self.transactions == 3:  # the first one is `open`'s migration
            raise StoreError("the disk is full")
        async with super().transaction(limit_s=limit_s) as connection:
            yield connection


def test_a_store_that_fails_half_way_has_the_first_half_and_gets_the_rest_later(store_url: str):
    async def scenario() -> list[int]:
        database, reader = await FailingOnce.open(store_url), await Database.open(store_url)
        machines, counts = Machines(database), []
        for number in range(2 * MACS_PER_TRANSACTION + 1):
            machines.keep(replace(CP1, mac=Mac.from_bytes((0x020000000000 + number).to_bytes(6, "big"))))
        for _ in range(2):
            await machines.flush()
            counts.append(len(await Machines(reader).all()))
        await database.close()
        await reader.close()
        return counts

    assert asyncio.run(scenario()) == [MACS_PER_TRANSACTION, 2 * MACS_PER_TRANSACTION + 1]


def test_a_flush_returns_when_also_what_another_one_writes_is_on_disk(store_url: str):
    async def scenario() -> int:
        database, reader = await Database.open(store_url), await Database.open(store_url)
        machines = Machines(database)
        machines.keep(CP1)
        other = asyncio.create_task(machines.flush())
        await asyncio.sleep(0)
        await machines.flush()
        on_disk = len(await Machines(reader).all())
        await other
        await database.close()
        await reader.close()
        return on_disk

    assert asyncio.run(scenario()) == 1


def test_a_running_writer_stores_what_is_kept_and_the_rest_when_it_is_cancelled(store_url: str):
    async def scenario() -> list[object]:
        database = await Database.open(store_url)
        machines = Machines(database)
        writing = asyncio.create_task(machines.run())
        machines.keep(CP1)
        for _ in range(600):
            if await machines.all():
                break
            await asyncio.sleep(0.05)
        stored: list[object] = list(await machines.all())
        machines.forget(CP1.mac)
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        stored.append(list(await machines.all()))
        await database.close()
        return stored

    assert asyncio.run(scenario()) == [CP1.mac, []]


def test_machines_that_the_store_never_accepts_are_counted_in_the_log(store_url: str):
    async def scenario() -> None:
        database = await opened_without_the_table(store_url)
        machines = Machines(database)
        machines.keep(CP1)
        machines.forget(Mac.parse("52:54:00:aa:bb:02"))
        await machines.close()
        await database.close()

    with capture_logs() as logs:
        asyncio.run(scenario())

    assert [each["event"] for each in logs] == ["store.machines_delayed", "store.machines_lost"]
    assert logs[-1] == {"event": "store.machines_lost", "log_level": "error", "count": 2}


def test_a_flood_while_the_store_fails_fills_no_memory(store_url: str):
    async def scenario() -> None:
        database = await opened_without_the_table(store_url)
        machines = Machines(database)
        for number in range(MOST_GONE + 20_000):
            machines.forget(Mac(f"02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"))
            if number == MOST_GONE // 2:
                await machines.flush()
        await machines.close()
        await database.close()

    with capture_logs() as logs:
        asyncio.run(scenario())

    assert logs[-1] == {"event": "store.machines_lost", "log_level": "error", "count": MOST_GONE}
