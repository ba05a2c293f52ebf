"""How the ledger came to its present shape: a numbered list of statements, run once each, in one transaction.

Add a migration at the end; never change one that was released.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import DDL, Connection, func, insert, inspect, select, text
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from netboot.store import tables
from netboot.store.version import newer_store

MIGRATION_LOCK: Final = 0x6E6574626F6F74  # "netboot", among a database's advisory locks


def _create(*names: str) -> list[ExecutableDDLElement]:
    statements: list[ExecutableDDLElement] = []
    for table in (tables.metadata.tables[name] for name in names):
        statements.append(CreateTable(table))
        statements.extend(CreateIndex(index) for index in table.indexes)
    return statements


def _sql(statement: str) -> ExecutableDDLElement:
    element: ExecutableDDLElement = DDL(statement)  # type: ignore[no-untyped-call]
    return element


# As they were at first; `tables` has what the later migrations add.
_INSTALLS: Final = _sql(
    "CREATE TABLE installs (host TEXT NOT NULL, state TEXT NOT NULL, changed_at TEXT, armed_at TEXT, "
    "armed_reason TEXT, attempts INTEGER, spent INTEGER, kickstart_token TEXT, ignition_token TEXT, "
    "report_token TEXT, version INTEGER NOT NULL, PRIMARY KEY (host), UNIQUE (kickstart_token), "
    "UNIQUE (ignition_token), UNIQUE (report_token))"
)
_MACHINES: Final = _sql(
    "CREATE TABLE machines (mac TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, arch TEXT, "
    "vendor_class TEXT, uuid TEXT, addresses JSON NOT NULL, PRIMARY KEY (mac))"
)

MIGRATIONS: Final[Sequence[list[ExecutableDDLElement]]] = (
    [_INSTALLS, *_create("moves", "events"), _MACHINES],
    [_sql("ALTER TABLE machines ADD COLUMN shapes JSON")],
    _create("leases"),
    [_sql("ALTER TABLE installs ADD COLUMN target JSON")],
    _create("accepted_files"),
)


def is_current(connection: Connection) -> bool:
    """Tell whether nothing is to be migrated."""
    if not inspect(connection).has_table(tables.schema.name):
        return False
    return set(connection.scalars(select(tables.schema.c.version))) == set(range(1, len(MIGRATIONS) + 1))


def refuse_newer(connection: Connection) -> None:
    """Raise StoreError where a newer program has migrated the store; an empty database is none of its own."""
    if not inspect(connection).has_table(tables.schema.name):
        return
    newest = connection.scalar(select(func.max(tables.schema.c.version)))
    if newest is not None and newest > len(MIGRATIONS):
        raise newer_store(newest)


def migrate(connection: Connection) -> None:
    """Bring the ledger to this program's shape; raise StoreError where a newer program has been at it."""
    if connection.dialect.name == "postgresql":  # SQLite's transaction is alone; here two could begin at once
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
    refuse_newer(connection)
    tables.schema.create(connection, checkfirst=True)
    done = set(connection.scalars(select(tables.schema.c.version)))
    for version, statements in enumerate(MIGRATIONS, start=1):
        if version in done:
            continue
        for statement in statements:
            connection.execute(statement)
        connection.execute(insert(tables.schema).values(version=version))
