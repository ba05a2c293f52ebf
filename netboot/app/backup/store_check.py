"""Verifies a store in place, beside a running daemon: nothing is changed.

SQLite verifies its pages and indexes (PRAGMA integrity_check). PostgreSQL has no such check; there every row is read.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, RowMapping, Table, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.events.event_rows import event_of
from netboot.model.appliances.known_appliance import Declaration
from netboot.model.install.served_document import ServedDocument
from netboot.model.words import first_line
from netboot.operate.hooks.delivery_queue import DeliveryQueue
from netboot.store.accepted_files import AcceptedFiles
from netboot.store.access.account_store import AccountStore
from netboot.store.allocations import Allocations
from netboot.store.backup.version_tables import tables_at, version_of
from netboot.store.backup.whole_store import snapshot
from netboot.store.boots.boot_columns import boot_of
from netboot.store.database import Database
from netboot.store.failure import NEWEST_VERSION, newer_store
from netboot.store.inspections import Inspections
from netboot.store.installs import install_of, move_of
from netboot.store.leases import LeaseStore
from netboot.store.machines import Machines
from netboot.store.nodes.installed_nodes import Nodes
from netboot.store.power.power_intents import intent_of
from netboot.store.rollouts.rollout_store import Rollouts
from netboot.store.sealing.sealing import Sealing

_ROWS_AT_ONCE: Final = 500
_MOST_FAULTS: Final = 100
KEY: Final = "key"  # the part of a fault of store.key_file


@dataclass(frozen=True, slots=True)
class StoreFault:
    """One fault: of the whole database (`part` is empty), of its key, or of one table."""

    part: str
    what: str


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """The result: the version of the store, the rows of each table, and the faults."""

    version: int
    rows: Mapping[str, int]
    faults: Sequence[StoreFault]

    @property
    def is_sound(self) -> bool:
        return not self.faults

    @property
    def is_damaged(self) -> bool:
        """Whether the store itself has a fault, which no key cures."""
        return any(fault.part != KEY for fault in self.faults)


async def check_store(url: str, key_file: Path | None, note: Callable[[str], object] = lambda _: None) -> StoreCheck:
    """Verify the store at `url`, and that its key opens what is sealed; `note` gets the name of each table.

    `key_file` None: the default for this store. Raises StoreError if the store cannot be opened.
    """
    async with snapshot(url) as connection:
        version = await connection.run_sync(version_of)
        if version > NEWEST_VERSION:
            raise newer_store(version)
        note("pages")
        faults = await connection.run_sync(lambda each: [*_pages(each), *_tables(each, version)])
        missing = {fault.part for fault in faults}
        rows: dict[str, int] = {}
        for table in tables_at(version):
            if table.name not in missing:
                note(table.name)
                rows[table.name], found = await _read_rows(connection, table, is_newest=version == NEWEST_VERSION)
                faults += found
    if version == NEWEST_VERSION:
        async with Database.unchanged(url, key_file=key_file) as database:
            for names, read_all in _WHOLE.items():
                note(", ".join(names))
                if missing.intersection(names):
                    continue
                try:
                    await read_all(database)
                except Exception as error:  # whatever a type raises for a value that it does not know
                    faults.append(StoreFault(names[0], f"a row cannot be read: {_reason(error)}"))
            if (problem := database.sealing.problem()) is not None and rows.get("store_key"):
                faults.append(StoreFault(KEY, problem))
    return StoreCheck(version, rows, faults[:_MOST_FAULTS])


async def _read_rows(connection: AsyncConnection, table: Table, *, is_newest: bool) -> tuple[int, list[StoreFault]]:
    """Read every row of a table; return their number, and the faults of those that its types cannot read."""
    read = _ROWS.get(table.name) if is_newest else None
    count, faults = 0, []
    try:
        async with connection.begin_nested():  # a failed query ends it, and not the reading of the other tables
            rows = await connection.stream(select(table))
            async for some in rows.mappings().partitions(_ROWS_AT_ONCE):
                count += len(some)
                if read is not None:
                    faults += [fault for row in some if (fault := _fault_of(table, read, row)) is not None]
    except SQLAlchemyError as error:
        faults.append(StoreFault(table.name, f"its rows cannot be read: {first_line(str(error.__cause__ or error))}"))
    return count, faults


def _pages(connection: Connection) -> list[StoreFault]:
    if connection.dialect.name != "sqlite":
        return []
    try:
        found = connection.scalars(text(f"PRAGMA integrity_check({_MOST_FAULTS})")).all()
    except SQLAlchemyError as error:  # so damaged that even the check ends
        return [StoreFault("", first_line(str(error.__cause__ or error)))]
    return [StoreFault("", str(line)) for line in found if line != "ok"]


def _tables(connection: Connection, version: int) -> list[StoreFault]:
    """Compare tables, columns and indexes with those that the migrations create."""
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    faults = []
    for table in tables_at(version):
        if table.name not in present:
            faults.append(StoreFault(table.name, "the table is missing"))
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        indexes = {index["name"] for index in inspector.get_indexes(table.name)}
        lacking = [column.name for column in table.columns if column.name not in columns]
        lacking += sorted(str(index.name) for index in table.indexes if index.name not in indexes)
        faults += [StoreFault(table.name, f"{name} is missing") for name in lacking]
    return faults


def _fault_of(table: Table, read: Callable[[RowMapping], object], row: RowMapping) -> StoreFault | None:
    try:
        read(row)
    except Exception as error:  # whatever a type raises for a value that it does not know
        keys = ", ".join(str(row[column.name]) for column in table.primary_key)
        return StoreFault(table.name, f"the row {keys} cannot be read: {_reason(error)}")
    return None


def _reason(error: Exception) -> str:
    return (
        first_line(str(error)) if isinstance(error, StoreError) else f"{type(error).__name__}: {first_line(str(error))}"
    )


def _delivery(row: RowMapping) -> object:
    return json.loads(row["body"]), datetime.fromisoformat(row["at"]), datetime.fromisoformat(row["next_at"])


def _served(row: RowMapping) -> ServedDocument:
    return ServedDocument.parse({str(name): value for name, value in row.items()})


def _appliance(row: RowMapping) -> object:
    return Declaration(**row["declared"]), datetime.fromisoformat(row["joined_at"])


def _key(row: RowMapping) -> object:
    return bytes.fromhex(row["digest"]), bool(row["is_alone"])


_UNOPENED: Final = Sealing(None, "nothing is opened")


# Tables that are read row by row, and those that their own classes read whole.
_ROWS: Final[Mapping[str, Callable[[RowMapping], object]]] = {
    "installs": lambda row: install_of(row, _UNOPENED),
    "moves": move_of,
    "events": event_of,
    "boots": boot_of,
    "served_documents": _served,
    "hook_deliveries": _delivery,
    "store_key": _key,
    "appliances": _appliance,
    "power_intents": intent_of,
}
_WHOLE: Final[Mapping[tuple[str, ...], Callable[[Database], Awaitable[object]]]] = {
    ("inspections",): lambda database: Inspections(database).all(),
    ("machines",): lambda database: Machines(database).all(),
    ("nodes",): lambda database: Nodes(database).all(),
    ("leases",): lambda database: LeaseStore(database).all(),
    ("allocations",): lambda database: Allocations(database).all(),
    ("accepted_files",): lambda database: AcceptedFiles(database).all(),
    ("hook_results",): lambda database: DeliveryQueue(database).results(),
    ("rollouts", "rollout_hosts", "rollout_commands"): lambda database: Rollouts(database).newest(),
    ("users", "api_tokens", "sessions"): lambda database: AccountStore(database).all(),
}
READ: Final = frozenset(_ROWS) | {name for names in _WHOLE for name in names}  # a test compares it with `tables`
