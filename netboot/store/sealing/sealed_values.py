"""What is sealed in the store: the sealing of what an earlier version stored in clear, and the change of the key."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, bindparam, insert, select, update

from netboot.errors import StoreError
from netboot.store import tables
from netboot.store.sealing.sealing import Sealing, is_sealed, token_digest

SEALED_COLUMNS: Final[Mapping[Table, tuple[str, ...]]] = {
    tables.installs: ("tokens",),
    tables.inspections: ("tokens",),
    tables.accepted_files: ("text",),
    tables.served_documents: ("sha256", "text"),
    tables.users: ("password_hash",),
}
_TABLE_NAMES: Final = ", ".join(table.name for table in SEALED_COLUMNS)
# What leaves nothing of earlier values in the files. PostgreSQL's own log keeps them until its server recycles it.
VACUUM: Final[Mapping[str, tuple[str, ...]]] = {
    "sqlite": ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"),
    "postgresql": (f"VACUUM (FULL) {_TABLE_NAMES}",),
}
_INSTALL_TOKENS: Final = ("kickstart", "ignition", "report", "node")
_BATCH_ROWS: Final = 500
_UNUSABLE: Final[Mapping[Table, str]] = {tables.users: ""}  # in place of a lost value: no password is right

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedKey:
    """The key that sealed a store. `is_alone`: nothing of what was stored in clear or for an earlier key is left."""

    digest: str
    is_alone: bool


def recorded_key(connection: Connection) -> RecordedKey | None:
    """Return the key that sealed the store; None if nothing was sealed."""
    row = connection.execute(select(tables.store_key)).mappings().first()
    return RecordedKey(row["digest"], bool(row["is_alone"])) if row else None


def record_key(connection: Connection, digest: str, *, is_alone: bool) -> RecordedKey:
    """Record the key that seals the store from now on; return what is recorded then, of whoever was first."""
    found = recorded_key(connection)
    if found is None:
        found = RecordedKey(digest, is_alone)
        connection.execute(insert(tables.store_key).values(id=1, digest=digest, is_alone=int(is_alone)))
    return found


def note_erased(connection: Connection) -> None:
    connection.execute(update(tables.store_key).values(is_alone=1))


def seal_clear_values(connection: Connection, sealing: Sealing) -> None:
    """Seal what versions before 18 stored in clear; raise StoreError if there is some and no key.

    The columns with the digests of tokens have the tokens themselves until then.
    """
    for rows in _batches(connection, tables.installs):
        _write_all(connection, tables.installs, [(row, _install_tokens(row, sealing)) for row in rows])
    for rows in _batches(connection, tables.inspections):
        _write_all(connection, tables.inspections, [(row, _inspection_tokens(row, sealing)) for row in rows])
    _replace_each(
        connection,
        lambda value, column, row: value if is_sealed(value) else sealing.seal(value, column, row),
    )


def _install_tokens(row: Row, sealing: Sealing) -> Row:
    tokens = {kind: row[f"{kind}_sha256"] or "" for kind in _INSTALL_TOKENS}
    digests = {f"{kind}_sha256": token_digest(token) for kind, token in tokens.items()}
    return {**digests, "tokens": _sealed_tokens(tokens, tables.installs, row, sealing)}


def _inspection_tokens(row: Row, sealing: Sealing) -> Row:
    wipe = dict(row["wipe"]) if row["wipe"] else None
    tokens = {"token": row["token_sha256"] or "", "wipe": wipe.pop("token", "") if wipe else ""}
    sealed = _sealed_tokens(tokens, tables.inspections, row, sealing)
    return {"token_sha256": token_digest(tokens["token"]), "tokens": sealed, "wipe": wipe}


def _sealed_tokens(tokens: Mapping[str, str], table: Table, row: Row, sealing: Sealing) -> str | None:
    return sealing.seal(json.dumps(tokens), table.c.tokens, row) if any(tokens.values()) else None


def reseal(connection: Connection, old: Sealing, new: Sealing, *, discards: bool) -> int:
    """Seal every value with another key, and record it; return how many values `old` did not open.

    Raises StoreError if there is one, unless `discards`: then it is deleted.
    """
    lost = 0

    def resealed(value: str, column: "Column[Any]", row: Row) -> str | None:
        nonlocal lost
        text = old.open(value, column, row)
        if text is not None:
            return new.seal(text, column, row)
        if not discards:
            place = "/".join(str(row[key.name]) for key in column.table.primary_key.columns)
            raise StoreError(
                f"cannot change the key: the key in force does not open {column} of {place}; restore its key file, or "
                "delete what it does not open: --discard"
            )
        lost += 1
        return new.seal(unusable, column, row) if (unusable := _UNUSABLE.get(column.table)) is not None else None

    _replace_each(connection, resealed)
    connection.execute(tables.store_key.delete())
    record_key(connection, new.key_digest, is_alone=False)
    return lost


def _replace_each(connection: Connection, replaced: Callable[[str, "Column[Any]", Row], str | None]) -> None:
    """Replace every value in a sealed column. None deletes it: the row, if the column is never empty."""
    for table, names in SEALED_COLUMNS.items():
        lost = []
        for rows in _batches(connection, table):
            written = []
            for row in rows:
                stored = {name: row[name] for name in names}
                values = {name: value and replaced(value, table.c[name], row) for name, value in stored.items()}
                is_lost = any(value is None and not table.c[name].nullable for name, value in values.items())
                if is_lost:
                    lost.append(_keys(table, row))
                else:
                    written.append((row, values))
            _write_all(connection, table, written)
        if lost:  # not before, because the batches are counted
            connection.execute(table.delete().where(*_is_row(table)), lost)


def _batches(connection: Connection, table: Table) -> Iterator[list[Row]]:
    """Read a table in the order of its key, some rows at once: documents of many hosts take much memory."""
    query, first = select(table).order_by(*table.primary_key.columns).limit(_BATCH_ROWS), 0
    while rows := [dict(row) for row in connection.execute(query.offset(first)).mappings()]:
        yield rows
        first += len(rows)


def _write_all(connection: Connection, table: Table, changes: Sequence[tuple[Row, Row]]) -> None:
    """Update rows; each change is a row and its new values, of the same columns."""
    if changes:
        names = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in changes[0][1]}
        rows = [{f"new_{name}": row_values[name] for name in names} | _keys(table, row) for row, row_values in changes]
        connection.execute(update(table).where(*_is_row(table)).values(names), rows)


def _is_row(table: Table) -> list[Any]:
    return [column == bindparam(f"its_{column.name}") for column in table.primary_key.columns]


def _keys(table: Table, row: Row) -> Row:
    return {f"its_{column.name}": row[column.name] for column in table.primary_key.columns}
