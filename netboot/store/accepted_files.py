"""The texts of the last accepted hosts files, so that the same hosts are served after a restart with a faulty file."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from netboot.store import tables
from netboot.store.database import Database

NamedText = tuple[str, str]  # a path and the file's text


class AcceptedFiles:
    """One set of texts, replaced as a whole. Every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[NamedText]:
        """Read the set in the order of `keep`; empty if none was accepted yet."""
        async with self._database.reading() as connection:
            rows = await connection.execute(select(tables.accepted_files).order_by(tables.accepted_files.c.position))
            return [(row.path, row.text) for row in rows]

    async def keep(self, files: Sequence[NamedText]) -> None:
        """Replace the set; write nothing if it is unchanged."""
        if await self.all() == list(files):
            return
        async with self._database.transaction() as connection:
            await connection.execute(delete(tables.accepted_files))
            rows = [{"position": position, "path": path, "text": text} for position, (path, text) in enumerate(files)]
            if rows:
                await connection.execute(insert(tables.accepted_files), rows)
