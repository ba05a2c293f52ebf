"""A backup of a store of any version and database becomes the same store in either database."""

import asyncio
import io
import json
import re
import sqlite3
import subprocess
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures.stored_databases import STORED, load_stored
from sqlalchemy import Column, Table, Text, make_url, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from netboot.errors import StoreError
from netboot.model.actor import Actor, Source
from netboot.store import tables
from netboot.store.backup.backup_file import BackupError, BackupManifest, opened_backup
from netboot.store.backup.restoring import RestoredStore, RestoreRequest, restore_backup
from netboot.store.backup.take_backup import replaced_file, take_backup
from netboot.store.backup.version_tables import tables_at
from netboot.store.database import Database
from netboot.store.failure import NEWEST_VERSION
from netboot.store.locks.exclusive import held_alone, held_together, lock_of_store
from netboot.store.migrations import MIGRATIONS
from netboot.store.sealing.sealed_values import SEALED_COLUMNS

VERSIONS: Final = sorted(int(file.stem) for file in (STORED / "sqlite").glob("*.sql"))
AT: Final = datetime(2026, 11, 30, 7, 0, tzinfo=UTC)
ROOT: Final = Actor("uid 0", Source.COMMAND)


def back_up(url: str, place: Path) -> BackupManifest:
    with replaced_file(place) as file:
        return asyncio.run(take_backup(url, file, netboot_version="1.2", appliance="box1", at=AT, spool=place.parent))


def a_request(place: Path, *, keeps_armings: bool = True) -> RestoreRequest:
    """Make the request of a restore on an appliance whose key is beside the backup."""
    return RestoreRequest(ROOT, "netboot store restore", place.with_name("store.key"), AT, keeps_armings=keeps_armings)


def restore(url: str, place: Path, *, keeps_armings: bool = True) -> RestoredStore:
    with opened_backup(place) as backup:
        return asyncio.run(restore_backup(url, backup, a_request(place, keeps_armings=keeps_armings)))


def rows_at(url: str, key_file: Path) -> dict[str, list[Any]]:
    """Migrate a store, and read every row of every table, with sealed values opened, but the event of a restore."""

    async def scenario() -> dict[str, list[Any]]:
        database = await Database.open(url, key_file=key_file)
        try:
            async with database.reading() as connection:
                found = {}
                for name, table in tables.metadata.tables.items():
                    rows = (await connection.execute(select(table).order_by(*table.primary_key))).mappings()
                    sealed = SEALED_COLUMNS.get(table, ())
                    found[name] = [
                        {
                            key: database.sealing.open(value, table.c[key], row) if key in sealed and value else value
                            for key, value in row.items()
                            if key != "is_alone"  # whether remains are erased already
                        }
                        for row in rows
                        if row.get("name") != "store.restored"
                    ]
                return found
        finally:
            await database.close()

    return asyncio.run(scenario())


def url_of(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if database == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/{request.node.name[:20]}-other.db"
    url: str = request.getfixturevalue("postgresql_server").new_database()
    return url


@pytest.mark.parametrize("other", ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_backup_of_each_version_and_database_restores_to_its_migrated_rows_in_either_database(
    store_url: str, version: int, other: str, tmp_path: Path, request: pytest.FixtureRequest
):
    load_stored(store_url, version)
    target = url_of(other, tmp_path, request)

    manifest = back_up(store_url, tmp_path / "netboot.backup")
    restored = restore(target, tmp_path / "netboot.backup")

    assert manifest.schema_version == version
    assert restored.manifest == manifest
    assert restored.kept is None
    assert rows_at(target, tmp_path / "store.key") == rows_at(store_url, tmp_path / "store.key")


@pytest.mark.parametrize("since", [0, 5])
def test_events_of_a_restored_store_go_on_after_every_id_that_was_used(store_url: str, tmp_path: Path, since: int):
    load_stored(store_url, NEWEST_VERSION_STORED)

    async def use_ids(count: int) -> None:
        database = await Database.open(store_url, key_file=tmp_path / "store.key")
        async with database.transaction() as connection:
            for number in range(count):
                row = {"at": AT.isoformat(), "name": "test", "data": {"number": number}}
                await connection.execute(tables.events.insert(), row)
            await connection.execute(tables.events.delete())  # as the pruning does
        await database.close()

    asyncio.run(use_ids(5))  # after the two that are stored
    back_up(store_url, tmp_path / "netboot.backup")
    asyncio.run(use_ids(since))
    restore(store_url, tmp_path / "netboot.backup")

    async def ids() -> list[int]:
        database = await Database.open(store_url, key_file=tmp_path / "store.key")
        async with database.reading() as connection:
            found = list((await connection.scalars(select(tables.events.c.id))).all())
        await database.close()
        return found

    assert asyncio.run(ids()) == [8 + since]


def test_a_table_that_a_later_migration_adds_is_in_a_backup_without_a_change_of_its_format(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    later = (*MIGRATIONS, ("CREATE TABLE sealed (name TEXT NOT NULL, value BLOB, PRIMARY KEY (name))",))
    monkeypatch.setattr("netboot.store.migrations.MIGRATIONS", later)
    for module in ("backup.take_backup", "backup.restoring", "failure"):
        monkeypatch.setattr(f"netboot.store.{module}.NEWEST_VERSION", len(later))
    monkeypatch.setattr("netboot.store.migrations.migrate.__kwdefaults__", {"newest": len(later)})
    sealed = Table("sealed", tables.metadata, Column("name", Text, primary_key=True))
    try:
        asyncio.run(opened_once(sqlite_url, tmp_path / "store.key"))
        with closing(sqlite3.connect(str(make_url(sqlite_url).database))) as connection:
            connection.execute("INSERT INTO sealed VALUES ('a', x'00ff80'), ('b', NULL)")
            connection.commit()

        manifest = back_up(sqlite_url, tmp_path / "netboot.backup")
        other = f"sqlite+aiosqlite:///{tmp_path}/other.db"
        restore(other, tmp_path / "netboot.backup")

        with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
            rows = connection.execute("SELECT name, value FROM sealed ORDER BY name").fetchall()
    finally:
        tables.metadata.remove(sealed)
        tables_at.cache_clear()
    assert [part.rows for part in manifest.parts if part.table == "sealed"] == [2]
    assert rows == [("a", b"\x00\xff\x80"), ("b", None)]


def test_every_table_of_the_store_is_in_a_backup(store_url: str, tmp_path: Path):
    asyncio.run(opened_once(store_url, tmp_path / "store.key"))

    manifest = back_up(store_url, tmp_path / "netboot.backup")

    assert {part.table for part in manifest.parts} == set(tables.metadata.tables) - {"schema_version"}


def test_a_backup_is_for_its_owner_alone_and_its_checksums_are_those_of_sha256sum(sqlite_url: str, tmp_path: Path):
    load_stored(sqlite_url, NEWEST_VERSION_STORED)
    place = tmp_path / "netboot.backup"

    back_up(sqlite_url, place)

    assert place.stat().st_mode & 0o777 == 0o600
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xf", place, "-C", tmp_path / "unpacked"], check=True)
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "unpacked", capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, b"")
    packed = tmp_path / "unpacked/tables/leases.jsonl.zst"
    lines = subprocess.run(["zstd", "-dc", packed], capture_output=True, check=True).stdout
    assert [json.loads(line) for line in lines.splitlines()] == [
        ["192.0.2.50", "01:52:54:00:aa:bb:02", "52:54:00:aa:bb:02", "bound", 3600, "2026-11-21T02:59:00+00:00"]
    ]


def test_nothing_is_written_at_the_place_of_a_backup_that_fails(tmp_path: Path):
    place = tmp_path / "netboot.backup"
    place.write_bytes(b"the backup of yesterday")

    with pytest.raises(StoreError, match="there is no store"):
        back_up(f"sqlite+aiosqlite:///{tmp_path}/none.db", place)

    assert place.read_bytes() == b"the backup of yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["netboot.backup"]


def test_a_full_disk_of_the_backup_is_not_a_fault_of_the_store(sqlite_url: str, tmp_path: Path):
    load_stored(sqlite_url, NEWEST_VERSION_STORED)
    place = tmp_path / "netboot.backup"
    about = {"netboot_version": "1", "appliance": "box", "at": datetime.now(UTC), "spool": tmp_path}

    with pytest.raises(StoreError) as failed, replaced_file(place), Path("/dev/full").open("wb", buffering=0) as full:
        asyncio.run(take_backup(sqlite_url, full, **about))

    assert str(failed.value) == (
        f"cannot write {place}: No space left on device; free some space, or name a file in another directory"
    )
    assert not place.exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_backup_that_is_cut_off_is_refused_and_the_store_stays(sqlite_url: str, tmp_path: Path, share: float):
    load_stored(sqlite_url, NEWEST_VERSION_STORED)
    place = tmp_path / "netboot.backup"
    back_up(sqlite_url, place)
    before = rows_at(sqlite_url, tmp_path / "store.key")
    data = place.read_bytes().rstrip(b"\0")
    place.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(BackupError, match=r"is cut off|is no backup"):
        restore(sqlite_url, place)

    assert rows_at(sqlite_url, tmp_path / "store.key") == before
    assert not list(tmp_path.glob("*restor*"))


def test_a_flipped_bit_anywhere_is_found_and_the_part_is_named(sqlite_url: str, tmp_path: Path):
    load_stored(sqlite_url, NEWEST_VERSION_STORED)
    place = tmp_path / "netboot.backup"
    back_up(sqlite_url, place)
    data = place.read_bytes()
    with tarfile.open(place) as archive:
        members = {member.name: member.offset_data for member in archive if member.size}
    found = {}

    for name, offset in members.items():
        place.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
        try:
            restore(f"sqlite+aiosqlite:///{tmp_path}/other.db", place)
        except BackupError as error:
            found[name] = str(error).partition(": ")[2].partition(":")[0]

    assert found == {name: name for name in members}
    assert not (tmp_path / "other.db").exists()


def test_a_backup_of_a_newer_version_is_refused(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asyncio.run(opened_once(sqlite_url, tmp_path / "store.key"))
    place = tmp_path / "netboot.backup"
    back_up(sqlite_url, place)
    monkeypatch.setattr("netboot.store.backup.restoring.NEWEST_VERSION", NEWEST_VERSION - 1)

    with pytest.raises(BackupError, match=f"has a store of version {NEWEST_VERSION}, written by netboot 1.2"):
        restore(sqlite_url, place)


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_store_of_a_newer_version_is_refused_before_anything_of_it_is_read(store_url: str, tmp_path: Path):
    load_stored(store_url, NEWEST_VERSION_STORED)
    back_up(store_url, tmp_path / "netboot.backup")

    async def run(*statements: str) -> list[int]:
        engine = create_async_engine(store_url)
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))
            found = list(await connection.scalars(text("SELECT max(version) FROM schema_version")))
        await engine.dispose()
        return found

    asyncio.run(run("INSERT INTO schema_version VALUES (99)", "DROP TABLE events"))  # it may lack a table of this one

    with pytest.raises(StoreError, match=r"cannot restore: the store has version 99, .*; restore with the version"):
        restore(store_url, tmp_path / "netboot.backup")
    assert asyncio.run(run()) == [99]


def test_a_file_that_is_no_backup_is_refused(tmp_path: Path):
    place = tmp_path / "other.tar"
    with tarfile.open(place, "w") as archive:
        archive.addfile(tarfile.TarInfo("readme"), io.BytesIO())

    with pytest.raises(BackupError, match="it has no manifest"), opened_backup(place):
        pass
    place.write_text("not a tar")
    with pytest.raises(BackupError, match="is no backup of netboot"), opened_backup(place):
        pass
    with pytest.raises(BackupError, match="No such file"), opened_backup(tmp_path / "none"):
        pass


def test_the_previous_store_is_kept_and_a_second_restore_does_not_replace_it(store_url: str, tmp_path: Path):
    load_stored(store_url, NEWEST_VERSION_STORED)
    place = tmp_path / "netboot.backup"
    back_up(store_url, place)
    asyncio.run(changed(store_url, tmp_path / "store.key"))
    changed_rows = rows_at(store_url, tmp_path / "store.key")

    restored = restore(store_url, place)

    assert rows_at(store_url, tmp_path / "store.key") != changed_rows
    if store_url.startswith("sqlite"):
        assert restored.kept == f"{tmp_path}/netboot.db.before-restore"
        assert rows_at(f"sqlite+aiosqlite:///{restored.kept}", tmp_path / "store.key") == changed_rows
        assert (tmp_path / "netboot.db").stat().st_mode & 0o777 == 0o600
    else:
        assert restored.kept == "the schema public_before_restore"
        kept = asyncio.run(count(store_url, "public_before_restore.machines", tmp_path / "store.key"))
        assert kept == len(changed_rows["machines"])
    with pytest.raises(StoreError, match="before an earlier restore"):
        restore(store_url, place)


def test_a_store_that_a_daemon_or_a_command_uses_is_not_restored(store_url: str, tmp_path: Path):
    load_stored(store_url, NEWEST_VERSION_STORED)
    place = tmp_path / "netboot.backup"
    back_up(store_url, place)
    before = rows_at(store_url, tmp_path / "store.key")

    async def scenario() -> list[str]:
        refused = []
        for held in (
            lambda lock: held_alone(lock, owner="the daemon with pid 7", what="the store"),
            held_together,
        ):
            lock = lock_of_store(store_url)
            assert lock is not None
            async with held(lock):
                with opened_backup(place) as backup, pytest.raises(StoreError, match="cannot restore") as error:
                    await restore_backup(store_url, backup, a_request(place))
                refused.append(str(error.value))
        return refused

    first, second = asyncio.run(scenario())

    owner, _, cure = first.removeprefix("cannot restore: the store is in use by ").partition("; ")
    assert re.fullmatch("the daemon with pid 7|netboot on .+, pid [0-9]+", owner)
    assert cure == "stop netboot on every appliance of the store (systemctl stop netboot), then restore again"
    assert "restore again" in second
    assert rows_at(store_url, tmp_path / "store.key") == before


def test_a_damaged_sqlite_store_is_replaced_and_its_log_is_not_applied_to_the_new_one(sqlite_url: str, tmp_path: Path):
    load_stored(sqlite_url, NEWEST_VERSION_STORED)
    place = tmp_path / "netboot.backup"
    back_up(sqlite_url, place)
    before = rows_at(sqlite_url, tmp_path / "store.key")
    (tmp_path / "netboot.db").write_bytes(b"\x17" * 8192)
    (tmp_path / "netboot.db-wal").write_bytes(b"a log of another time")

    restored = restore(sqlite_url, place)

    assert rows_at(sqlite_url, tmp_path / "store.key") == before
    assert restored.kept is not None
    assert Path(restored.kept).read_bytes() == b"\x17" * 8192
    assert (tmp_path / "netboot.db.before-restore-wal").read_bytes() == b"a log of another time"


async def opened_once(url: str, key_file: Path) -> None:
    await (await Database.open(url, key_file=key_file)).close()


async def changed(url: str, key_file: Path) -> None:
    database = await Database.open(url, key_file=key_file)
    async with database.transaction() as connection:
        row = {"mac": "52:54:00:00:00:99", "first_seen": AT.isoformat(), "last_seen": AT.isoformat(), "addresses": []}
        await connection.execute(tables.machines.insert(), row)
    await database.close()


async def count(url: str, table: str, key_file: Path) -> int:
    database = await Database.open(url, key_file=key_file)
    async with database.reading() as connection:
        found = await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")
        number = int(found.scalar_one())
    await database.close()
    return number


NEWEST_VERSION_STORED: Final = max(VERSIONS)
