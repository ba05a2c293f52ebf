"""The tables of each version of the store, as the migrations create them, and how their values are written as JSON."""

import base64
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import JSON, Connection, LargeBinary, MetaData, Table, create_engine, func, inspect, select, text

from netboot.store import tables
from netboot.store.migrations import migrate
from netboot.store.sealing.sealing import Sealing


@cache
def tables_at(version: int) -> Sequence[Table]:
    """Return the tables that the migrations up to `version` create, sorted by name, without the list of versions.

    Read from an empty database in memory: no list of tables is kept for older versions.
    """
    metadata = MetaData()
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            migrate(connection, Sealing(None, "nothing is sealed here"), newest=version)
            metadata.reflect(connection)
    finally:
        engine.dispose()
    for table in metadata.tables.values():
        for column in table.columns:
            generic = column.type.as_generic()
            # Absent is NULL; in a column that must have a value, it is the JSON value null.
            column.type = JSON(none_as_null=bool(column.nullable)) if isinstance(generic, JSON) else generic
    return [table for name, table in sorted(metadata.tables.items()) if name != tables.schema.name]


def version_of(connection: Connection) -> int:
    """Return the version of a store; 0 if it has no tables of netboot's."""
    if not inspect(connection).has_table(tables.schema.name):
        return 0
    return max(connection.scalars(select(tables.schema.c.version)), default=0)


def written(row: Sequence[Any]) -> list[Any]:
    """Return a row as JSON values."""
    return [base64.b64encode(value).decode() if isinstance(value, bytes) else value for value in row]


def read_back(table: Table, columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """Return a row of JSON values as the columns of a table."""
    is_binary = {column.name for column in table.columns if isinstance(column.type, LargeBinary)}
    return {
        name: base64.b64decode(value) if name in is_binary and value is not None else value
        for name, value in zip(columns, row, strict=True)
    }


def last_numbers(connection: Connection, version: int) -> dict[str, int]:
    """Return the last number that each table gave to a row, also to one that is deleted."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, seq FROM sqlite_sequence"))
        return {str(name): int(number) for name, number in rows}
    query = text("SELECT pg_sequence_last_value(CAST(:name AS regclass))")
    found = {table: connection.scalar(query, {"name": name}) for table, name in _sequences(connection, version).items()}
    return {table: int(number) for table, number in found.items() if number is not None}


def continue_numbers(connection: Connection, version: int, last: dict[str, int]) -> None:
    """Let each table go on after its last number, and after those of its rows."""
    if connection.dialect.name == "sqlite":
        for name, number in last.items():
            connection.execute(
                text(
                    "INSERT INTO sqlite_sequence (name, seq) SELECT :table, 0 WHERE NOT EXISTS "
                    "(SELECT 1 FROM sqlite_sequence WHERE name = :table)"
                ),
                {"table": name},
            )
            connection.execute(
                text("UPDATE sqlite_sequence SET seq = max(seq, :number) WHERE name = :table"),
                {"table": name, "number": number},
            )
        return
    for table in tables_at(version):
        sequence = _sequences(connection, version).get(table.name)
        if sequence is not None:
            newest = connection.scalar(select(func.max(*table.primary_key))) or 0
            if (number := max(last.get(table.name, 0), newest)) > 0:
                connection.execute(text("SELECT setval(:name, :number)"), {"name": sequence, "number": number})


def _sequences(connection: Connection, version: int) -> dict[str, str]:
    """Return the sequence of each table of PostgreSQL whose key counts."""
    found = {}
    for table in tables_at(version):
        for column in table.primary_key:
            name = connection.scalar(
                text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
            )
            if name is not None:
                found[table.name] = str(name)
    return found
