"""A ledger of any earlier version becomes one of this version, with everything in it."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect

from netboot.errors import StoreError
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.install import Install, InstallTarget
from netboot.store import tables
from netboot.store.database import Database
from netboot.store.installs import Installs
from netboot.store.machines import Machines
from netboot.store.migrations import MIGRATIONS
from netboot.store.version import NEWEST_VERSION

MAC = "52:54:00:aa:bb:01"


def open_once(path: Path) -> None:
    async def scenario() -> None:
        await (await Database.open(f"sqlite+aiosqlite:///{path}")).close()

    asyncio.run(scenario())


def columns(connection: Connection) -> dict[str, set[str]]:
    inspector = inspect(connection)
    return {table: {column["name"] for column in inspector.get_columns(table)} for table in inspector.get_table_names()}


def test_every_migration_together_makes_the_tables_of_this_version(store_url: str):
    async def scenario() -> dict[str, set[str]]:
        database = await Database.open(store_url)
        async with database.transaction() as connection:
            made = await connection.run_sync(columns)
        await database.close()
        return made

    assert asyncio.run(scenario()) == {
        table.name: set(table.columns.keys()) for table in tables.metadata.tables.values()
    }


def test_machines_of_the_first_version_are_kept(tmp_path: Path):
    path = tmp_path / "netboot.db"
    open_once(path)
    with sqlite3.connect(path) as old:  # as the first version left it
        old.execute("DELETE FROM schema_version WHERE version > 1")
        old.execute("ALTER TABLE machines DROP COLUMN shapes")
        old.execute("ALTER TABLE installs DROP COLUMN target")
        for table in {"leases", "accepted_files"} & {
            row[0] for row in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }:
            old.execute(f"DROP TABLE {table}")
        old.execute(
            "INSERT INTO machines VALUES (?, '2026-11-21T00:00:00+00:00', '2026-11-21T00:00:00+00:00', 'x64-uefi',"
            " 'PXEClient', NULL, '[\"192.0.2.50\"]')",
            (MAC,),
        )
    old.close()

    async def scenario() -> None:
        database = await Database.open(f"sqlite+aiosqlite:///{path}")
        try:
            machine = (await Machines(database).all())[Mac(MAC)]
        finally:
            await database.close()
        assert (machine.arch, machine.variants) == ("x64-uefi", {})

    asyncio.run(scenario())


def test_an_arming_of_an_earlier_version_is_bound_to_nothing_and_so_does_not_hold(tmp_path: Path):
    path = tmp_path / "netboot.db"
    open_once(path)
    with sqlite3.connect(path) as old:  # as the third version left it
        old.execute("DELETE FROM schema_version WHERE version > 3")
        old.execute("ALTER TABLE installs DROP COLUMN target")
        old.execute("DROP TABLE accepted_files")
        old.execute(
            "INSERT INTO installs (host, state, armed_at, armed_reason, attempts, spent, version)"
            " VALUES ('cp1', 'registered', '2026-11-21T00:00:00+00:00', 'old', 3, 0, 1)"
        )
    old.close()

    async def scenario() -> Install:
        database = await Database.open(f"sqlite+aiosqlite:///{path}")
        try:
            return await Installs(database).get(HostName("cp1"))
        finally:
            await database.close()

    install = asyncio.run(scenario())

    assert (install.is_armed, install.target) == (True, None)
    assert install.arming_changes(InstallTarget(frozenset({Mac(MAC)}), "/dev/vda", "ock")) == [
        "it was armed by an earlier version of netboot, which did not record MACs, disk and release"
    ]


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path):
    path = tmp_path / "netboot.db"
    open_once(path)
    with sqlite3.connect(path) as newer:
        newer.execute("INSERT INTO schema_version VALUES (99)")
    newer.close()

    with pytest.raises(StoreError, match=f"shape 99, this netboot knows up to {len(MIGRATIONS)}"):
        open_once(path)


def test_the_newest_version_is_known_without_loading_the_migrations():
    assert len(MIGRATIONS) == NEWEST_VERSION
