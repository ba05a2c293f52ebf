"""One connection pool to the ledger. Nothing above this room sees an exception of SQLAlchemy's."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from netboot.errors import StoreError
from netboot.store.migrations import migrate

TIMEOUT_S = 5.0  # a machine that waits for its script is told to wait after this


class Database:
    """The ledger's database: opened once, shared by all of `store`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to `url` (SQLAlchemy's form) and migrate; a SQLite file is made for its owner alone.

        Raises StoreError where it cannot be reached or is of a newer shape.
        """
        engine = _engine(url)
        database = cls(engine)
        try:
            async with database.transaction() as connection:
                await connection.run_sync(migrate)
        except BaseException:
            await engine.dispose()
            raise
        return database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Give one transaction, at most `TIMEOUT_S` long; raise StoreError where the ledger fails."""
        try:
            async with asyncio.timeout(TIMEOUT_S), self._engine.begin() as connection:
                yield connection
        except TimeoutError:
            raise StoreError(f"the ledger did not answer within {TIMEOUT_S:g} s; see store.url") from None
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"the ledger failed: {_first_line(error.__cause__ or error)}; see store.url") from error

    async def close(self) -> None:
        """Give the connections back."""
        await self._engine.dispose()


def _engine(url: str) -> AsyncEngine:
    try:
        parsed = make_url(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        if is_sqlite and parsed.database and parsed.database != ":memory:":
            _make_private_file(Path(parsed.database))
        # An exception of SQLAlchemy's shows its parameters, tokens among them, wherever a traceback is logged.
        engine = create_async_engine(parsed, pool_pre_ping=not is_sqlite, hide_parameters=True)
    except (SQLAlchemyError, ValueError):  # from None: they show the URL, which may hold a password
        raise StoreError(
            "cannot open the ledger: store.url is no URL of a database; "
            "write it as postgresql+asyncpg://user:password@server:5432/netboot, with % for each special character"
        ) from None
    except ImportError as error:
        cure = f"{sys.prefix}/bin/pip install {error.name}"
        raise StoreError(f"cannot open the ledger: no package {error.name}; {cure}") from None
    if is_sqlite:
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _make_private_file(path: Path) -> None:
    # It holds the tokens that open Kickstart and Ignition.
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        if is_new and os.geteuid() == 0:
            # A command of root's that comes before the daemon's first start must not lock the daemon's user out.
            owner = path.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise StoreError(f"cannot open the ledger {path}: {error.strerror}; see store.url") from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin late, and lose a race that BEGIN IMMEDIATE waits out
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # what was acknowledged survives a power cut
    cursor.execute("PRAGMA busy_timeout=4000")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
