"""The table of power intents. Each is stored before its BMC is sent anything, and moved by compare-and-set.

An index of the database lets a host have one open intent: of two appliances, one resets its machine.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.model.actor import Actor, Source
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.host.host import HostName
from netboot.model.power.power import IntentState, PowerAction, PowerIntent
from netboot.store import tables
from netboot.store.database import Database, OvertakenError
from netboot.store.shared.shared_rows import ATTEMPTS, PER_QUERY

KEPT: Final = 100  # intents of one host that have ended

_intents: Final = tables.power_intents.c


class PowerIntents:
    """Every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, intents: Sequence[PowerIntent]) -> Sequence[PowerIntent]:
        """Store new intents, each of another host, all of them or none; return the open ones that prevent it.

        An intent whose id is stored already is the same request again: it is left as it is.
        """
        for _attempt in range(ATTEMPTS):
            with suppress(OvertakenError):
                return await self._database.finish(self._add(intents))
        raise StoreError(f"cannot store a power action: {ATTEMPTS} writers were first; try again")

    async def _add(self, intents: Sequence[PowerIntent]) -> Sequence[PowerIntent]:
        async with self._database.transaction() as connection:
            known = {each.id for each in await _some(connection, _intents.id, [each.id for each in intents])}
            new = [each for each in intents if each.id not in known]
            hosts = [each.host for each in new]
            if not new or (others := [each for each in await _some(connection, _intents.host, hosts) if each.is_open]):
                return others if new else ()
            try:
                await connection.execute(insert(tables.power_intents), [_columns(each) for each in new])
            except IntegrityError as error:  # another appliance was first
                raise OvertakenError from error
            await _prune(connection, hosts)
        return ()

    async def move(
        self, before: PowerIntent, state: IntentState, *, at: datetime, detail: str = ""
    ) -> PowerIntent | None:
        """Move an intent; None if it is not as it was read: another appliance has taken or ended it."""
        after = before.moved(state, at=at, detail=detail)
        return after if await self._replace(before, after) else None

    async def claim(self, before: PowerIntent, owner: str) -> PowerIntent | None:
        """Take over an intent whose appliance has ended; None if another one was first."""
        after = replace(before, owner=owner)
        return after if await self._replace(before, after) else None

    async def get(self, intent_id: str) -> PowerIntent | None:
        async with self._database.reading() as connection:
            return next(iter(await _some(connection, _intents.id, [intent_id])), None)

    async def open(self) -> list[PowerIntent]:
        """Read every intent that has not ended, the oldest first."""
        wanted = select(tables.power_intents).where(_intents.ended_at.is_(None)).order_by(_intents.requested_at)
        async with self._database.reading() as connection:
            return [intent_of(row) for row in (await connection.execute(wanted)).mappings()]

    async def of_host(self, host: HostName, *, limit: int = KEPT) -> list[PowerIntent]:
        """Read the newest intents of a host, the newest first."""
        mine = select(tables.power_intents).where(_intents.host == host)
        newest = mine.order_by(_intents.requested_at.desc(), _intents.id).limit(limit)
        async with self._database.reading() as connection:
            return [intent_of(row) for row in (await connection.execute(newest)).mappings()]

    async def latest(self, limit: int, *, without: Collection[str] = ()) -> list[PowerIntent]:
        """Read the newest intents, the newest first, except those of some appliances."""
        wanted = select(tables.power_intents).order_by(_intents.requested_at.desc(), _intents.id).limit(limit)
        if without:
            wanted = wanted.where(_intents.owner.not_in(without))
        async with self._database.reading() as connection:
            return [intent_of(row) for row in (await connection.execute(wanted)).mappings()]

    async def newest(self, hosts: Collection[HostName]) -> dict[HostName, PowerIntent]:
        """Read the newest intent of each of these hosts; if one is open, it is that one."""
        async with self._database.reading() as connection:
            found = await _some(connection, _intents.host, hosts, is_newest=True)
        return {intent.host: intent for intent in found}

    async def unknown(self) -> list[PowerIntent]:
        """Read the intents of which it is not known whether they were done, and that none of their host followed."""
        wanted = select(tables.power_intents).where(_intents.state == IntentState.UNKNOWN.value, _is_newest())
        async with self._database.reading() as connection:
            rows = (await connection.execute(wanted.order_by(_intents.host))).mappings()
            return [intent_of(row) for row in rows]

    async def _replace(self, before: PowerIntent, after: PowerIntent) -> bool:
        return await self._database.finish(self._compare_and_set(before, after))

    async def _compare_and_set(self, before: PowerIntent, after: PowerIntent) -> bool:
        is_unchanged = (_intents.id == before.id) & (_intents.state == before.state) & (_intents.owner == before.owner)
        async with self._database.transaction() as connection:
            done = await connection.execute(update(tables.power_intents).where(is_unchanged).values(_columns(after)))
        return done.rowcount == 1


def _is_newest() -> ColumnElement[bool]:
    later = tables.power_intents.alias()
    is_later = (later.c.host == _intents.host) & (later.c.requested_at > _intents.requested_at)
    return ~exists().where(is_later)


async def _some(
    connection: AsyncConnection, key: Any, wanted: Collection[str], *, is_newest: bool = False
) -> list[PowerIntent]:
    found: list[PowerIntent] = []
    keys = sorted(wanted)
    for first in range(0, len(keys), PER_QUERY):
        query = select(tables.power_intents).where(key.in_(keys[first : first + PER_QUERY]))
        query = query.where(_is_newest()) if is_newest else query
        found += [intent_of(row) for row in (await connection.execute(query)).mappings()]
    return found


async def _prune(connection: AsyncConnection, hosts: Sequence[HostName]) -> None:
    """Delete the oldest intents of these hosts; the open one of each is among the newest."""
    for host in hosts:
        newest = select(_intents.requested_at).where(_intents.host == host).order_by(_intents.requested_at.desc())
        oldest = newest.offset(KEPT).limit(1).scalar_subquery()
        is_old = (_intents.host == host) & (_intents.requested_at <= oldest) & _intents.ended_at.is_not(None)
        await connection.execute(delete(tables.power_intents).where(is_old))


def intent_of(row: RowMapping) -> PowerIntent:
    """Read a row; raise KeyError or ValueError for one that this version does not know."""
    return PowerIntent(
        id=row["id"],
        host=HostName(row["host"]),
        action=PowerAction(row["action"]),
        actor=Actor(row["actor"], Source(row["source"])),
        requested_at=datetime.fromisoformat(row["requested_at"]),
        network_boot=NetworkBoot(row["network_boot"]) if row["network_boot"] else None,
        uri=row["uri"],
        is_forced=bool(row["is_forced"]),
        state=IntentState(row["state"]),
        owner=row["owner"],
        sent_at=datetime.fromisoformat(row["sent_at"]) if row["sent_at"] else None,
        ended_at=datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else None,
        detail=row["detail"],
    )


def _columns(intent: PowerIntent) -> dict[str, Any]:
    return {
        "id": intent.id,
        "host": intent.host,
        "action": intent.action.value,
        "network_boot": intent.network_boot.value if intent.network_boot else None,
        "uri": intent.uri,
        "is_forced": int(intent.is_forced),
        "actor": intent.actor.name,
        "source": intent.actor.source.value,
        "requested_at": _text(intent.requested_at),
        "state": intent.state.value,
        "owner": intent.owner,
        "sent_at": _text(intent.sent_at) if intent.sent_at else None,
        "ended_at": _text(intent.ended_at) if intent.ended_at else None,
        "detail": intent.detail,
    }


def _text(moment: datetime) -> str:
    """Write a time with a fixed number of digits, by which databases compare it in any collation."""
    return moment.isoformat(timespec="microseconds")
