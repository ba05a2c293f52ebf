"""Restores a backup: verifies all of it, then replaces the store at once, and keeps the previous one.

SQLite: a new file is filled beside the store and renamed at the end; the previous file is NAME.before-restore.
PostgreSQL: one transaction moves the previous tables into the schema NAME_before_restore and fills new ones.
A backup of an older version gets the tables of its version and is then migrated, as its store would have been.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Table, insert, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.model.actor import Actor
from netboot.model.install.event import Event, actor_in
from netboot.store import tables
from netboot.store.backup.backup_file import BackupError, BackupManifest, BackupPart, BackupReader
from netboot.store.backup.ended_permissions import EndedPermissions, end_permissions
from netboot.store.backup.version_tables import continue_numbers, last_numbers, read_back, tables_at, version_of
from netboot.store.backup.whole_store import rewriting
from netboot.store.failure import NEWEST_VERSION
from netboot.store.locks.exclusive import Lock, lock_of_store
from netboot.store.locks.file_lock import open_or_make
from netboot.store.migrations import SEALED_SINCE, migrate
from netboot.store.sealing.key_file import sealing_with, sync_directory
from netboot.store.sealing.sealed_values import record_key
from netboot.store.sealing.sealing import Sealing

BEFORE: Final = "before-restore"
_WITH_IT: Final = ("-wal", "-shm")  # files beside a SQLite database that belong to it


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """How a backup is restored: by whom and when; `keeps_armings`: nothing happened since it was taken."""

    actor: Actor
    owner: str  # of the lock, for a daemon that starts meanwhile
    key_file: Path
    at: datetime
    keeps_armings: bool = False


@dataclass(frozen=True, slots=True)
class RestoredStore:
    """What was restored; `kept` names the previous store, None: there was none."""

    manifest: BackupManifest
    kept: str | None
    ended: EndedPermissions


async def restore_backup(
    url: str, backup: BackupReader, request: RestoreRequest, *, note: Callable[[str], object] = lambda _: None
) -> RestoredStore:
    """Replace the store at `url` by a backup; `note` gets the name of each table.

    Raises BackupError for a damaged or newer one, StoreError while a daemon or command uses the store, or if it fails.
    The store is then unchanged.
    """
    _check(backup)
    async with _alone(url, request.owner):
        if make_url(url).get_backend_name() == "sqlite":
            return await _into_file(url, backup, request, note)
        async with rewriting(url) as connection:
            version = await connection.run_sync(version_of)
            if version > NEWEST_VERSION:  # its tables are not known
                raise StoreError(
                    f"cannot restore: the store has version {version}, this netboot supports up to {NEWEST_VERSION}; "
                    "restore with the version that wrote it"
                )
            used = await connection.run_sync(lambda each: last_numbers(each, version)) if version else {}
            kept = await _move_tables_away(connection, version)
            ended = await _fill(connection, backup, request, note, used=used)
            return RestoredStore(backup.manifest, kept, ended)


def _check(backup: BackupReader) -> None:
    """Raise BackupError if a backup is damaged, newer than this program, or has other tables than its version."""
    manifest = backup.manifest
    if manifest.schema_version > NEWEST_VERSION:
        raise BackupError(
            f"{backup.path} has a store of version {manifest.schema_version}, written by netboot "
            f"{manifest.netboot_version}, and this netboot supports up to {NEWEST_VERSION}; install that version first"
        )
    expected = {table.name: {column.name for column in table.columns} for table in tables_at(manifest.schema_version)}
    if {part.table: set(part.columns) for part in manifest.parts} != expected:
        raise BackupError(
            f"{backup.path} has other tables than a store of version {manifest.schema_version}; use another backup"
        )
    backup.verify()


@asynccontextmanager
async def _alone(url: str, owner: str) -> AsyncIterator[None]:
    """Hold the store's lock, which every daemon and command takes."""
    lock: Lock | None = lock_of_store(url)
    if lock is None:
        yield
        return
    if not await lock.take(owner=owner):
        other = await lock.owner()
        raise StoreError(
            f"cannot restore: the store is in use by {other}; stop netboot on every appliance of the store "
            "(systemctl stop netboot), then restore again"
        )
    try:
        yield
    finally:
        await lock.release()


async def _fill(
    connection: AsyncConnection,
    backup: BackupReader,
    request: RestoreRequest,
    note: Callable[[str], object],
    *,
    used: Mapping[str, int],
) -> EndedPermissions:
    """Make the tables of the backup's version in an empty database, fill and migrate them, and end permissions.

    `used` has the last number of each table of the previous store: none is given twice.
    """
    manifest = backup.manifest
    version = manifest.schema_version
    nothing = Sealing(None, "nothing is sealed yet")
    await connection.run_sync(lambda each: migrate(each, nothing, newest=version))
    parts = {part.table: part for part in manifest.parts}
    for table in tables_at(version):
        note(table.name)
        await _insert(connection, table, parts[table.name], backup)
    given = manifest.sequences
    last = {table: max(given.get(table, 0), used.get(table, 0)) for table in parts if table in given or table in used}
    await connection.run_sync(lambda each: continue_numbers(each, version, last))
    await connection.run_sync(lambda each: _migrate(each, request.key_file, version))
    ended = EndedPermissions()
    if not request.keeps_armings:
        why = f"restored from a backup of {manifest.taken_at}"
        ended = await end_permissions(connection, at=request.at, note=why, actor=request.actor)
    data: dict[str, str | bool | None] = {
        "taken_at": manifest.taken_at,
        "appliance": manifest.appliance,
        "keeps_armings": request.keeps_armings,
        "hosts": ", ".join(ended.hosts) or None,
        "actor": request.actor.name,
        "source": request.actor.source.value,
    }
    event = Event("store.restored", request.at, data=data)
    row = {"at": event.at.isoformat(), "name": event.name, "data": data, "actor": actor_in(data)}
    await connection.execute(insert(tables.events), row)
    return ended


def _migrate(connection: Connection, key_file: Path, version: int) -> None:
    """Run the later migrations; what was stored in clear is sealed with the key, which is made if there is none."""
    sealing = Sealing(None, "nothing is to be sealed")
    if version < SEALED_SINCE:
        sealing = sealing_with(key_file, sealed_by=None)
    migrate(connection, sealing)
    if digest := sealing.key_digest:
        record_key(connection, digest, is_alone=True)  # a new file, or new tables, never had it in clear


def key_warning(manifest: BackupManifest, key_file: Path) -> str | None:
    """Return why the key file does not open what is sealed in a backup; None if it does, or nothing is sealed."""
    if not manifest.key_digest:
        return None
    return sealing_with(key_file, sealed_by=manifest.key_digest, may_make=False).problem()


async def _insert(connection: AsyncConnection, table: Table, part: BackupPart, backup: BackupReader) -> None:
    for rows in backup.rows(part):
        if rows:
            await connection.execute(insert(table), [read_back(table, part.columns, row) for row in rows])


async def _move_tables_away(connection: AsyncConnection, version: int) -> str | None:
    """Move the tables of a PostgreSQL store into another schema; return its name, None: there were no tables."""
    if version == 0:
        return None
    kept = f"{await connection.scalar(text('SELECT current_schema()'))}_{BEFORE.replace('-', '_')}"
    if await connection.scalar(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": kept}):
        raise StoreError(
            f"cannot restore: the schema {kept} has the store before an earlier restore; if nobody needs it: "
            f"psql -c 'DROP SCHEMA \"{kept}\" CASCADE'"
        )
    await connection.execute(text(f'CREATE SCHEMA "{kept}"'))
    for name in (*(table.name for table in tables_at(version)), tables.schema.name):
        await connection.execute(text(f'ALTER TABLE {name} SET SCHEMA "{kept}"'))
    return f"the schema {kept}"


async def _into_file(
    url: str, backup: BackupReader, request: RestoreRequest, note: Callable[[str], object]
) -> RestoredStore:
    """Fill a new file and put it in the place of the store."""
    place = Path(os.path.realpath(str(make_url(url).database)))  # noqa: ASYNC240 - a command; nothing else runs
    new = place.with_name(f"{place.name}.restoring")
    try:
        _make_file(new, place)
        async with rewriting(make_url(url).set(database=str(new)).render_as_string()) as connection:
            ended = await _fill(connection, backup, request, note, used=_numbers_in(place))
        return RestoredStore(backup.manifest, _put_in_place(new, place), ended)
    except OSError as error:
        name = error.filename or new
        raise StoreError(f"cannot write {name}: {error.strerror}; free some space, or run with sudo") from error
    finally:
        _remove(new)


def _kept(place: Path) -> Path:
    return place.with_name(f"{place.name}.{BEFORE}")


def _numbers_in(place: Path) -> dict[str, int]:
    """Return the last number of each table of a SQLite store; none if it is damaged, or not there."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{place.as_uri()}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
    return {}


def _make_file(new: Path, place: Path) -> None:
    """Make an empty file for the owner of its directory alone; raise StoreError if an earlier store is kept."""
    kept = _kept(place)
    if _is_second_name(kept, place):
        kept.unlink()
    if os.path.lexists(kept):
        raise StoreError(
            f"cannot restore: {kept} is the store before an earlier restore; "
            "move it away, or delete it if nobody needs it"
        )
    _remove(new)
    os.close(open_or_make(new, 0o600))


def _put_in_place(new: Path, place: Path) -> str | None:
    """Rename a new file to the store's name; return the name of the previous store, None: there was none."""
    _verify_file(new)
    had_one = place.exists()
    if had_one:
        _put_away(place, _kept(place))
    new.replace(place)
    sync_directory(place.parent)
    return str(_kept(place)) if had_one else None


def _verify_file(path: Path) -> None:
    """Write a SQLite file to disk, and verify what it has."""
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise StoreError(f"the restored store {path} is damaged: {found}; check the disk: dmesg")
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_second_name(kept: Path, place: Path) -> bool:
    """Return whether a restore was interrupted between its two names for the store: nothing was replaced."""
    return kept.exists() and place.exists() and kept.samefile(place)


def _put_away(place: Path, kept: Path) -> None:
    """Give the store a second name, with its write-ahead log; `place` stays until it is replaced.

    A sound store takes up its log. The log of a damaged one is moved away, because SQLite would apply it to the new
    store. A restore that was interrupted here is done again: what it left is used, or removed.
    """
    log, kept_log = (path.with_name(f"{path.name}-wal") for path in (place, kept))
    if log.exists():
        kept_log.unlink(missing_ok=True)
        os.link(log, kept_log)
    with suppress(sqlite3.Error), closing(sqlite3.connect(place, timeout=1)) as connection:
        is_busy, _frames, _moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not is_busy:  # all of it is in the store, which is sound
            kept_log.unlink(missing_ok=True)
    os.link(place, kept)
    for suffix in _WITH_IT:
        place.with_name(place.name + suffix).unlink(missing_ok=True)
    sync_directory(place.parent)


def _remove(path: Path) -> None:
    for suffix in ("", *_WITH_IT):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def parts_read(backup: BackupReader) -> Sequence[str]:
    """Verify a backup and read every row of it; return the tables. Raises BackupError."""
    _check(backup)
    for part in backup.manifest.parts:
        for _ in backup.rows(part):
            pass
    return [part.table for part in backup.manifest.parts]
