"""Takes a backup of a store while its daemon works: the rows of every table, all of one moment.

Each row is read once and written; the daemon is not involved. Nothing in the store is changed.
"""

import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from sqlalchemy import Connection, select
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.store.backup.backup_file import BackupManifest, BackupWriter
from netboot.store.backup.version_tables import last_numbers, tables_at, version_of, written
from netboot.store.backup.whole_store import snapshot
from netboot.store.failure import NEWEST_VERSION, newer_store
from netboot.store.migrations import SEALED_SINCE
from netboot.store.sealing.key_file import sync_directory
from netboot.store.sealing.sealed_values import recorded_key

_ROWS_AT_ONCE: Final = 1000
_MODE: Final = 0o600  # it has password hashes, and names of hosts and people


async def take_backup(
    url: str,
    file: IO[bytes],
    *,
    netboot_version: str,
    appliance: str,
    at: datetime,
    spool: Path | None = None,
    note: Callable[[str], object] = lambda _: None,
) -> BackupManifest:
    """Write a backup of the store at `url` into a file; `note` gets the name of each table. Raises StoreError.

    A store of an older version is written as it is: `restore` migrates it.
    """
    async with _snapshot(url) as (connection, version):
        writer = BackupWriter(file, at=at, spool=spool)
        for table in tables_at(version):
            note(table.name)
            columns = [column.name for column in table.columns]
            with writer.table(table.name, columns) as rows:
                keys = [*table.primary_key]
                found = await connection.stream(select(table).order_by(*keys))
                async for some in found.partitions(_ROWS_AT_ONCE):
                    rows.add([written(row) for row in some])
        about = BackupManifest(
            schema_version=version,
            netboot_version=netboot_version,
            appliance=appliance,
            taken_at=at.isoformat(),
            database=connection.dialect.name,
            key_digest=await connection.run_sync(lambda each: _key_of(each, version)),
            sequences=await connection.run_sync(lambda each: last_numbers(each, version)),
        )
        return writer.end(about)


def _key_of(connection: Connection, version: int) -> str:
    recorded = recorded_key(connection) if version >= SEALED_SINCE else None
    return recorded.digest if recorded is not None else ""


@asynccontextmanager
async def _snapshot(url: str) -> AsyncIterator[tuple[AsyncConnection, int]]:
    async with snapshot(url) as connection:
        version = await connection.run_sync(version_of)
        if version > NEWEST_VERSION:
            raise newer_store(version)
        if version == 0:
            raise StoreError("the store is empty; correct store.url, or start the daemon once")
        yield connection, version


@contextmanager
def replaced_file(place: Path) -> Iterator[IO[bytes]]:
    """Write a file that its owner alone may read, and put it at `place` at the end: it is whole there, or not there."""
    if place.is_dir():
        raise StoreError(f"cannot write {place}: it is a directory; name a file")
    new = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _MODE)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            new.replace(place)
            sync_directory(place.parent)
        finally:
            with suppress(FileNotFoundError):
                new.unlink()
    except OSError as error:
        cure = "free some space, or name a file" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "name a file"
        raise StoreError(f"cannot write {place}: {error.strerror}; {cure} in another directory") from error
