"""Rows that several appliances write: each is read and locked, compared or merged, then written, in the order of keys.

So two writers never wait for each other, and none replaces what it has not read. A caller repeats a transaction that
raises OvertakenError, `ATTEMPTS` times.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, RowMapping, Table, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.store.database import OvertakenError, upsert

ATTEMPTS: Final = 5
PER_QUERY: Final = 500  # SQLite before 3.32 permits 999 parameters (https://sqlite.org/limits.html)


async def read_locked(
    connection: AsyncConnection, key: "Column[str]", wanted: Collection[str]
) -> dict[str, RowMapping]:
    """Read the rows with these keys, which no other writer changes until the transaction ends.

    PostgreSQL locks them; SQLite has one writer at a time.
    """
    found: dict[str, RowMapping] = {}
    keys = sorted(wanted)
    for first in range(0, len(keys), PER_QUERY):
        mine = select(key.table).where(key.in_(keys[first : first + PER_QUERY])).order_by(key).with_for_update()
        found |= {row[key.name]: row for row in (await connection.execute(mine)).mappings()}
    return found


async def write_read(
    connection: AsyncConnection, table: Table, rows: Mapping[str, Mapping[str, Any]], *, read: Collection[str]
) -> None:
    """Write rows by their keys: those that were `read`, then the new ones.

    Raises OvertakenError if another writer has made one of these meanwhile.
    """
    keys = sorted(rows)
    if known := [rows[key] for key in keys if key in read]:
        await upsert(connection, table, known)
    if new := [rows[key] for key in keys if key not in read]:
        await insert_new(connection, table, new)


async def insert_new(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; raise OvertakenError if another writer has made one of them since they were read."""
    try:
        await connection.execute(insert(table), rows)
    except IntegrityError as error:
        raise OvertakenError from error
