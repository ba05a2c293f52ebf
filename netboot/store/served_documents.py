"""The table of what each host was served last, one row for each kind of document. Written shortly after."""

import asyncio
from collections.abc import Collection
from typing import Any

import structlog
from sqlalchemy import bindparam, delete, select

from netboot.errors import StoreError
from netboot.model.host.host import HostName
from netboot.model.install.served_document import ServedDocument, ServedKind
from netboot.store import tables
from netboot.store.database import Database, upsert

log = structlog.get_logger()

_SEALED = ("sha256", "text")


class ServedDocuments:
    """The table of served documents."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[tuple[HostName, ServedKind], ServedDocument] = {}
        self._writing: asyncio.Task[None] | None = None

    @property
    def waiting_count(self) -> int:
        """How many documents wait to be written."""
        return len(self._waiting)

    async def of(self, host: HostName) -> list[ServedDocument]:
        """Read what a host was served last; raise StoreError."""
        mine = select(tables.served_documents).where(tables.served_documents.c.host == host)
        async with self._database.reading() as connection:
            rows = (await connection.execute(mine.order_by(tables.served_documents.c.kind))).mappings().all()
        opened = [self._opened({str(name): value for name, value in row.items()}) for row in rows]
        return [ServedDocument.parse(row) for row in opened if row["sha256"] is not None]

    def keep(self, document: ServedDocument) -> None:
        """Store a document in place of the one before; those that arrive during a write are written together."""
        self._waiting[document.host, document.kind] = document
        if self._writing is None:
            self._writing = self._database.begin(self._write())

    async def keep_only(self, hosts: Collection[HostName]) -> None:
        """Delete what other hosts than these were served; raise StoreError."""
        table = tables.served_documents
        async with self._database.transaction() as connection:
            stored = (await connection.execute(select(table.c.host).distinct())).scalars().all()
            if gone := [{"gone": host} for host in stored if host not in hosts]:
                await connection.execute(delete(table).where(table.c.host == bindparam("gone")), gone)

    async def _write(self) -> None:
        """Write until none waits. A document that the store does not accept is dropped: its machine has it."""
        try:
            while self._waiting:
                await asyncio.sleep(0)  # the other documents of this turn of the loop
                waiting, self._waiting = self._waiting, {}
                rows = [self._columns(waiting[key]) for key in sorted(waiting)]  # two daemons lock rows in one order
                async with self._database.transaction() as connection:
                    await upsert(connection, tables.served_documents, rows)
        except StoreError as error:
            log.warning("store.served_documents_dropped", reason=str(error))
        finally:
            self._writing = None

    def _opened(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with its texts; None where they cannot be opened."""
        sealing, table = self._database.sealing, tables.served_documents
        texts = {name: sealing.open(row[name], table.c[name], row) for name in _SEALED if row[name] is not None}
        return row | texts

    def _columns(self, document: ServedDocument) -> dict[str, Any]:
        sealing, table = self._database.sealing, tables.served_documents
        row = {
            "host": document.host,
            "kind": document.kind.value,
            "at": document.at.isoformat(),
            "mac": document.mac,
            "base_url": document.base_url,
            "sha256": document.sha256,
            "text": document.text,
        }
        texts = {name: text for name in _SEALED if (text := row[name]) is not None}
        return row | {name: sealing.seal(text, table.c[name], row) for name, text in texts.items()}
