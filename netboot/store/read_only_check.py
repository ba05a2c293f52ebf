"""Reads the store without changing it: whether a daemon can start on it, and the recorded addresses.

Loads SQLAlchemy only for PostgreSQL.
"""

import asyncio
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from netboot.errors import NO_RIGHT, StoreError
from netboot.model.access.secret_file import is_credential
from netboot.model.host.address_pool import IpAddress, RecordedAddress
from netboot.store.failure import NEWEST_VERSION, newer_store
from netboot.store.sealing.key_file import default_key_file, sealing_with


async def verify_store(url: str) -> str | None:
    """Read the store at `url` once, and return a warning; StoreError: no daemon can start on it. It may be missing."""
    scheme, _, path = url.partition(":///")
    if scheme.startswith("sqlite"):
        return _verify_sqlite(Path(path))
    from netboot.store.database import Database

    await Database.verify(url)
    return None


async def key_fault(url: str, key_file: Path | None) -> str | None:
    """Return why what the store at `url` has sealed cannot be opened, with the cure; StoreError: it cannot be read.

    A store without a key gets one at the start of the daemon: that is no fault.
    """
    path = key_file or default_key_file(url)
    scheme, _, database = url.partition(":///")
    if scheme.startswith("sqlite"):
        sealed_by = await asyncio.to_thread(_sqlite_key, Path(database))
    else:
        sealed_by = await _recorded_digest(url)
    return await asyncio.to_thread(_fault_of, path, sealed_by)


def _fault_of(path: Path, sealed_by: str | None) -> str | None:
    if sealed_by is None and not is_credential(path) and not os.path.lexists(path):
        return None
    return sealing_with(path, sealed_by=sealed_by, may_make=False).fault


async def _recorded_digest(url: str) -> str | None:
    from netboot.store.database import Database
    from netboot.store.sealing.sealed_values import recorded_key

    async with Database.unchanged(url) as database:
        if not await database.is_current():
            return None
        async with database.reading() as connection:
            recorded = await connection.run_sync(recorded_key)
    return recorded.digest if recorded else None


def _sqlite_key(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'store_key'").fetchone():
                return None  # of an earlier version
            found = connection.execute("SELECT digest FROM store_key").fetchone()
    except sqlite3.Error as error:
        raise _cannot_read(path, error) from error
    return str(found[0]) if found else None


async def read_allocations(url: str) -> Mapping[IpAddress, RecordedAddress]:
    """Read the recorded addresses of the store at `url`, none if there is no store; raise StoreError."""
    scheme, _, path = url.partition(":///")
    if scheme.startswith("sqlite"):
        found = await asyncio.to_thread(_sqlite_allocations, Path(path))
        return {record.address: record for record in found}
    from netboot.store.allocations import Allocations
    from netboot.store.database import Database

    async with Database.unchanged(url) as database:
        return await Allocations(database).all_if_made()


def _sqlite_allocations(path: Path) -> list[RecordedAddress]:
    if not path.exists():
        return []
    if not os.access(path, os.R_OK):
        raise StoreError(f"no right to {path}; {NO_RIGHT}")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'allocations'").fetchone():
                return []  # of an earlier version
            rows = connection.execute("SELECT address, host, at FROM allocations")
            return [RecordedAddress.parse(*row) for row in rows]
    except sqlite3.Error as error:
        raise _cannot_read(path, error) from error


def _verify_sqlite(path: Path) -> str | None:
    if not path.parent.exists():
        cure = f"correct store.url, or make it: install -d -o netboot -g netboot -m 750 {path.parent}"
        return f"store.url: there is no directory {path.parent}, and the daemon may lack the right to make it; {cure}"
    if not path.exists():
        return None
    if not path.is_file():
        raise StoreError(f"{path} is not a file; move it away, or correct store.url")
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreError(f"no right to {path}; {NO_RIGHT}")
    try:
        with closing(sqlite3.connect(path, timeout=1)) as connection:
            is_begun = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
            newest = connection.execute("SELECT max(version) FROM schema_version").fetchone()[0] if is_begun else None
    except sqlite3.Error as error:
        raise _cannot_read(path, error) from error
    if newest is not None and newest > NEWEST_VERSION:
        raise newer_store(newest)
    return None


def _cannot_read(path: Path, error: sqlite3.Error) -> StoreError:
    return StoreError(f"cannot read {path}: {error}; restore a backup, or correct store.url")
