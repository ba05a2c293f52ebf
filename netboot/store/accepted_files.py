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
        """Read the set in the order of `keep`; empty if none was accepted yet, or if it cannot be opened."""
        async with self._database.reading() as connection:
            query = select(tables.accepted_files).order_by(tables.accepted_files.c.position)
            rows = (await connection.execute(query)).mappings().all()
        texts = [self._database.sealing.open(row["text"], tables.accepted_files.c.text, row) for row in rows]
        found = [(row["path"], text) for row, text in zip(rows, texts, strict=True) if text is not None]
        return found if len(found) == len(rows) else []  # a part of the hosts would end the armings of the others

    async def keep(self, files: Sequence[NamedText]) -> None:
        """Replace the set; write nothing if it is unchanged."""
        if await self.all() == list(files):
            return
        async with self._database.transaction() as connection:
            await connection.execute(delete(tables.accepted_files))
            rows = [self._columns(*each) for each in enumerate(files)]
            if rows:
                await connection.execute(insert(tables.accepted_files), rows)

    def _columns(self, position: int, file: NamedText) -> dict[str, str | int]:
        path, text = file
        sealed = self._database.sealing.seal(text, tables.accepted_files.c.text, {"position": position})
        return {"position": position, "path": path, "text": sealed}
