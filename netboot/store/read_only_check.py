"""Checks whether a daemon could start on the store, without changing it. Loads SQLAlchemy only for PostgreSQL."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from netboot.errors import NO_RIGHT, StoreError
from netboot.store.version import NEWEST_VERSION, newer_store


async def verify_store(url: str) -> None:
    """Read the store at `url` once; raise StoreError if a daemon could not start on it.

    A missing SQLite file is no fault: the daemon makes it.
    """
    scheme, _, path = url.partition(":///")
    if scheme.startswith("sqlite"):
        _verify_sqlite(Path(path))
        return
    from netboot.store.database import Database

    await Database.verify(url)


def _verify_sqlite(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_file():
        raise StoreError(f"{path} is not a file; move it away, or correct store.url")
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreError(f"no right to {path}; {NO_RIGHT}")
    try:
        with closing(sqlite3.connect(path, timeout=1)) as connection:
            is_begun = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
            (newest,) = (
                connection.execute("SELECT max(version) FROM schema_version").fetchone() if is_begun else (None,)
            )
    except sqlite3.Error as error:
        raise StoreError(f"cannot read {path}: {error}; restore a backup, or correct store.url") from error
    if newest is not None and newest > NEWEST_VERSION:
        raise newer_store(newest)
