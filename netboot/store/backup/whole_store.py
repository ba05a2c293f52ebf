"""Transactions of any length on a whole store: to read it as it is at one moment, or to write it anew."""

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.store.database import prepared_engine
from netboot.store.failure import DISK_CURES, store_failed

_OF_A_FILE: Final = {*DISK_CURES, errno.EFBIG, errno.EIO}  # what the caller writes: no connection to a server fails so


@asynccontextmanager
async def snapshot(url: str) -> AsyncIterator[AsyncConnection]:
    """Open one reading transaction on the database at `url`: all that it reads is of one moment.

    It waits for no writer, and none waits for it. Nothing is migrated. Raises StoreError; an OSError of the file that
    the block writes stays one.
    """
    parsed = make_url(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and not os.path.isfile(str(parsed.database)):  # noqa: PTH113, ASYNC240 - one stat, in a command
        raise StoreError(f"there is no store {parsed.database}; correct store.url, or start the daemon once")
    engine = prepared_engine(url)
    options = {"is_reading": True} if is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    try:
        # SQLite's write-ahead log: a reader keeps what it saw first. Nothing is committed.
        async with engine.execution_options(**options).connect() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _OF_A_FILE:
            raise
        raise store_failed(error) from error
    finally:
        await engine.dispose()


@asynccontextmanager
async def rewriting(url: str) -> AsyncIterator[AsyncConnection]:
    """Open one writing transaction on the database at `url`, without a migration. Raises StoreError."""
    engine = prepared_engine(url)
    try:
        async with engine.begin() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise store_failed(error) from error
    finally:
        await engine.dispose()
