"""Checks whether a daemon can start on the store, without changing it. Loads SQLAlchemy only for PostgreSQL."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from netboot.errors import NO_RIGHT, StoreError
from netboot.store.failure import NEWEST_VERSION, newer_store


async def verify_store(url: str) -> str | None:
    """Read the store at `url` once, and return a warning; StoreError: no daemon can start on it. It may be missing."""
    scheme, _, path = url.partition(":///")
    if scheme.startswith("sqlite"):
        return _verify_sqlite(Path(path))
    from netboot.store.database import Database

    await Database.verify(url)
    return None


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
        raise StoreError(f"cannot read {path}: {error}; restore a backup, or correct store.url") from error
    if newest is not None and newest > NEWEST_VERSION:
        raise newer_store(newest)
    return None
