"""Each appliance of a shared store writes its row; one that gives no sign is found lost by one of the others, once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from netboot.model.appliances.known_appliance import Declaration, KnownAppliance
from netboot.store.appliances.appliance_rows import ApplianceRows, Refreshed
from netboot.store.database import Database

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)]

NOW = datetime(2026, 11, 30, tzinfo=UTC)
DECLARED = Declaration({"w1": "1"}, {"release ock": "abc"}, "key")
A = KnownAppliance("id-a", "a", "/run/a.sock", "http://192.0.2.10:8080", "1.0", DECLARED, NOW)
B = replace(A, id="id-b", name="b", url="http://192.0.2.11:8080")
C = replace(A, id="id-c", name="c")


def shown(found: Refreshed) -> list[KnownAppliance]:
    return [replace(each, unseen_s=0.0) for each in found.all]


async def let_pass(database: Database, appliance: KnownAppliance, seconds: int) -> None:
    """Let an appliance be unseen for some seconds."""
    async with database.transaction() as connection:
        await connection.execute(
            text("UPDATE appliances SET seen_ms = seen_ms - :ms WHERE id = :id"),
            {"ms": seconds * 1000, "id": appliance.id},
        )


def test_one_that_gives_no_sign_is_lost_once_and_joins_again(store_url: str):
    async def scenario() -> None:
        database = await Database.open(store_url)
        rows = ApplianceRows(database)
        try:
            first, second, third = [await rows.refresh(each) for each in (A, B, C)]
            assert [each.has_joined for each in (first, second, third)] == [True, True, True]
            assert shown(third) == [A, B, C]
            await let_pass(database, B, 11)

            found, later = [await rows.refresh(each) for each in (A, C)]

            assert (found.has_joined, [each.id for each in found.lost], later.lost) == (False, ["id-b"], [])
            assert shown(later) == [A, replace(B, is_lost=True), C]
            assert 11 <= later.all[1].unseen_s < 60
            again = await rows.refresh(replace(B, declared=Declaration({}, {}, "key")))
            assert (again.has_joined, shown(again)[1]) == (True, replace(B, declared=Declaration({}, {}, "key")))
            await rows.leave(C.id)
            assert [each.id for each in (await rows.refresh(A)).all] == ["id-a", "id-b"]
        finally:
            await database.close()

    asyncio.run(scenario())


def test_one_that_was_started_again_replaces_its_row_and_one_that_is_lost_for_a_day_is_forgotten(store_url: str):
    async def scenario() -> None:
        database = await Database.open(store_url)
        rows = ApplianceRows(database)
        try:
            for each in (A, B, C):
                await rows.refresh(each)
            restarted = replace(B, id="id-b2", joined_at=NOW + timedelta(seconds=5))
            await rows.refresh(restarted)
            await let_pass(database, B, 11)
            await let_pass(database, C, 11)

            found = await rows.refresh(A)

            assert [each.id for each in found.lost] == ["id-c"]
            assert [each.id for each in found.all] == ["id-a", "id-b2", "id-c"]
            async with database.transaction() as connection:
                await connection.execute(text("UPDATE appliances SET lost_ms = lost_ms - 24 * 3600 * 1000 - 1"))
            assert [each.id for each in (await rows.refresh(A)).all] == ["id-a", "id-b2"]
        finally:
            await database.close()

    asyncio.run(scenario())


def test_what_only_a_newer_version_declares_is_left_out(store_url: str):
    async def scenario() -> list[KnownAppliance]:
        database = await Database.open(store_url)
        try:
            rows = ApplianceRows(database)
            await rows.refresh(A)
            async with database.transaction() as connection:
                await connection.execute(text('UPDATE appliances SET declared = \'{"key": "k", "roles": {}}\''))
            return shown(await rows.refresh(B))
        finally:
            await database.close()

    assert asyncio.run(scenario()) == [replace(A, declared=Declaration(key="k")), B]
