"""Addresses of pools are recorded once, also by two daemons at the same time."""

import asyncio
from datetime import UTC, datetime
from ipaddress import ip_address

from netboot.model.host.address_pool import Allocation, RecordedAddress
from netboot.model.host.host import HostName
from netboot.store.allocations import Allocations
from netboot.store.database import Database

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 30, 12, tzinfo=UTC)
FIRST, SECOND, THIRD = (ip_address(text) for text in ("192.0.2.40", "192.0.2.41", "2001:db8::40"))
W1, W2, W3 = map(HostName, ("w1", "w2", "w3"))


def test_recorded_addresses_are_read_by_another_connection(store_url: str):
    async def scenario() -> None:
        first, second = await Database.open(store_url), await Database.open(store_url)
        try:
            assert await Allocations(first).record([Allocation(FIRST, W1), Allocation(THIRD, W1)], at=NOON)

            assert await Allocations(second).all() == {
                FIRST: RecordedAddress(FIRST, W1, NOON),
                THIRD: RecordedAddress(THIRD, W1, NOON),
            }
        finally:
            await first.close()
            await second.close()

    asyncio.run(scenario())


def test_of_two_daemons_that_give_one_address_at_the_same_time_one_records_it_and_the_other_nothing(store_url: str):
    async def scenario() -> None:
        first, second = await Database.open(store_url), await Database.open(store_url)
        try:
            done = await asyncio.gather(
                Allocations(first).record([Allocation(FIRST, W1), Allocation(SECOND, W2)], at=NOON),
                Allocations(second).record([Allocation(THIRD, W3), Allocation(SECOND, W3)], at=NOON),
            )

            recorded = {address: record.host for address, record in (await Allocations(first).all()).items()}
            assert sorted(done) == [False, True]
            assert recorded == ({FIRST: W1, SECOND: W2} if done[0] else {THIRD: W3, SECOND: W3})
        finally:
            await first.close()
            await second.close()

    asyncio.run(scenario())


def test_an_address_on_record_is_taken_over_by_one_of_two_daemons(store_url: str):
    async def scenario() -> None:
        first, second = await Database.open(store_url), await Database.open(store_url)
        try:
            await Allocations(first).record([Allocation(FIRST, W1)], at=NOON)
            old = (await Allocations(first).all())[FIRST]

            done = await asyncio.gather(
                Allocations(first).record([Allocation(FIRST, W2, old)], at=LATER),
                Allocations(second).record([Allocation(FIRST, W3, old)], at=LATER),
            )

            assert sorted(done) == [False, True]
            assert (await Allocations(first).all())[FIRST] == RecordedAddress(FIRST, W2 if done[0] else W3, LATER)
        finally:
            await first.close()
            await second.close()

    asyncio.run(scenario())


def test_an_address_that_its_host_has_already_is_not_written_again(store_url: str):
    async def scenario() -> None:
        database = await Database.open(store_url)
        try:
            allocations = Allocations(database)
            await allocations.record([Allocation(FIRST, W1)], at=NOON)
            before = await allocations.all()

            assert await allocations.record([Allocation(FIRST, W1, before[FIRST])], at=LATER)
            assert await allocations.all() == before
        finally:
            await database.close()

    asyncio.run(scenario())


def test_what_is_recorded_for_a_host_is_released_alone(store_url: str):
    async def scenario() -> None:
        database = await Database.open(store_url)
        try:
            allocations = Allocations(database)
            await allocations.record([Allocation(THIRD, W1), Allocation(FIRST, W1), Allocation(SECOND, W2)], at=NOON)

            assert await allocations.release(W3) == []
            assert await allocations.release(W1) == [FIRST, THIRD]
            assert set(await allocations.all()) == {SECOND}
        finally:
            await database.close()

    asyncio.run(scenario())
