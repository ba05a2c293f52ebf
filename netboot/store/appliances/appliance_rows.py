"""The table of appliances: each daemon of a shared store writes its row every few seconds, by the server's clock."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, and_, delete, exists, literal_column, select, text, update

from netboot.model.appliances.known_appliance import Declaration, KnownAppliance
from netboot.store import tables
from netboot.store.changes.notification import Changed, notify
from netboot.store.database import Database, upsert

LOST_S: Final = 10.0  # without a sign, an appliance is lost
KEPT_S: Final = 24 * 3600.0  # a lost one is shown so long

_DECLARED: Final = frozenset(each.name for each in fields(Declaration))  # a newer version may declare more
_TABLE: Final = tables.appliances
_NOW_MS: Final[ColumnElement[int]] = literal_column("(extract(epoch FROM clock_timestamp()) * 1000)::bigint")
# A sign of life need not survive a crash of the server.
_NOT_DURABLE: Final = text("SET LOCAL synchronous_commit TO off")


@dataclass(frozen=True, slots=True)
class Refreshed:
    """All appliances after a refresh; those that this one found lost, before any other did."""

    all: Sequence[KnownAppliance]
    has_joined: bool  # this one was not there, or was lost
    lost: Sequence[KnownAppliance]


class ApplianceRows:
    """Every method raises StoreError if the store fails. PostgreSQL only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refresh(self, own: KnownAppliance) -> Refreshed:
        """Write a sign of life of `own`, with what it declares if that changed; find those that give none."""
        async with self._database.transaction() as connection:
            await connection.execute(_NOT_DURABLE)
            before = await self._all(connection)
            known = next((each for each in before if each.id == own.id), None)
            has_joined = known is None or known.is_lost
            if known is None or has_joined or known.declared != own.declared or known.url != own.url:
                await upsert(connection, _TABLE, [_columns(own)])
                await notify(connection, Changed.APPLIANCE)
            await connection.execute(update(_TABLE).where(_TABLE.c.id == own.id).values(seen_ms=_NOW_MS, lost_ms=None))
            lost = await self._find_lost(connection, own)
            return Refreshed(await self._all(connection), has_joined, lost)

    async def leave(self, own_id: str) -> None:
        """Delete the row of a daemon that ends."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(_TABLE).where(_TABLE.c.id == own_id))
            await notify(connection, Changed.APPLIANCE)

    async def _find_lost(self, connection: Any, own: KnownAppliance) -> list[KnownAppliance]:
        """Mark those that give no sign; one that another run of the same daemon followed is deleted."""
        unseen = and_(_TABLE.c.id != own.id, _TABLE.c.seen_ms < _NOW_MS - int(LOST_S * 1000))
        later = _TABLE.alias()
        same = and_(later.c.name == _TABLE.c.name, later.c.place == _TABLE.c.place)
        followed = exists().where(same, later.c.joined_at > _TABLE.c.joined_at)
        await connection.execute(delete(_TABLE).where(unseen, followed))
        await connection.execute(delete(_TABLE).where(_TABLE.c.lost_ms < _NOW_MS - int(KEPT_S * 1000)))
        marked = update(_TABLE).where(unseen, _TABLE.c.lost_ms.is_(None)).values(lost_ms=_NOW_MS)
        lost = set(await connection.scalars(marked.returning(_TABLE.c.id)))
        if lost:
            await notify(connection, Changed.APPLIANCE)
        return [each for each in await self._all(connection) if each.id in lost]

    @staticmethod
    async def _all(connection: Any) -> list[KnownAppliance]:
        query = select(_TABLE, (_NOW_MS - _TABLE.c.seen_ms).label("unseen_ms"))
        rows = (await connection.execute(query.order_by(_TABLE.c.name, _TABLE.c.joined_at))).mappings()
        return [_appliance(row) for row in rows]


def _appliance(row: RowMapping) -> KnownAppliance:
    return KnownAppliance(
        row["id"],
        row["name"],
        row["place"],
        row["url"],
        row["version"],
        Declaration(**{name: value for name, value in row["declared"].items() if name in _DECLARED}),
        datetime.fromisoformat(row["joined_at"]),
        max(0.0, row["unseen_ms"] / 1000),
        row["lost_ms"] is not None,
    )


def _columns(own: KnownAppliance) -> dict[str, Any]:
    return {
        "id": own.id,
        "name": own.name,
        "place": own.place,
        "url": own.url,
        "version": own.version,
        "declared": asdict(own.declared),
        "joined_at": own.joined_at.isoformat(),
        "seen_ms": 0,
        "lost_ms": None,
    }
