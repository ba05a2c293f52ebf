"""The tables of rollouts. One rollout is active at a time; each write compares the version that it is based on.

A machine's request for its role's file changes the row of its host too, so that a permit that is taken back at the
same moment is not used.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import RolloutError
from netboot.model.host.host import HostName
from netboot.model.rollout.command import CommandKind, RolloutCommand
from netboot.model.rollout.join_hold import JoinHold
from netboot.model.rollout.rollout import Rollout, RolloutHost, RolloutPart
from netboot.store import tables
from netboot.store.changes.notification import Changed, notify
from netboot.store.database import Database, upsert
from netboot.store.rollouts.rollout_rows import (
    command_columns,
    command_of,
    host_columns,
    host_of,
    rollout_columns,
    rollout_of,
    text,
)

KEPT: Final = 50  # rollouts

_rollouts: Final = tables.rollouts.c
_hosts: Final = tables.rollout_hosts.c
_commands: Final = tables.rollout_commands.c


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of a daemon to run a rollout. `farthest`: a claim that ends later was made by a clock that was wrong.

    `is_alone`: no other daemon uses the store.
    """

    owner: str
    now: datetime
    until: datetime
    farthest: datetime
    is_alone: bool = False


def _made(rows: Sequence[RowMapping], hosts: Sequence[RowMapping], commands: Sequence[RowMapping]) -> list[Rollout]:
    """Make rollouts of their rows."""
    hosts_of: defaultdict[int, list[RolloutHost]] = defaultdict(list)
    for each in hosts:
        hosts_of[each["rollout"]].append(host_of(each))
    commands_of: defaultdict[int, dict[CommandKind, RolloutCommand]] = defaultdict(dict)
    for each in commands:
        command = command_of(each)
        commands_of[each["rollout"]][command.kind] = command
    return [rollout_of(row, tuple(hosts_of[row["id"]]), commands_of[row["id"]]) for row in rows]


class Rollouts:
    """Every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, rollout: Rollout) -> Rollout:
        """Store a new rollout and return it with its id; raise RolloutError if another one is active."""
        return await self._database.finish(self._create(rollout))

    async def _create(self, rollout: Rollout) -> Rollout:
        async with self._database.transaction() as connection:
            active = await connection.scalar(select(_rollouts.id).where(_rollouts.active == 1))
            if active is not None:
                raise already_active(active)
            try:
                added = await connection.execute(
                    insert(tables.rollouts).values(**rollout_columns(rollout), version=1).returning(_rollouts.id)
                )
            except IntegrityError as error:  # another appliance was first
                raise already_active("another") from error
            stored = replace(rollout, id=added.scalar_one(), version=1)
            await self._write_parts(connection, None, stored)
            await _prune(connection)
            await notify(connection, Changed.ROLLOUT)
        return stored

    async def active(self) -> Rollout | None:
        """Read the rollout that has not ended."""
        return next(iter(await self._some(_rollouts.active == 1)), None)

    async def get(self, rollout_id: int) -> Rollout | None:
        return next(iter(await self._some(_rollouts.id == rollout_id)), None)

    async def newest(self, *, limit: int = KEPT) -> list[Rollout]:
        """Read the newest rollouts, the newest first; each by itself, so that many do not hold the event loop."""
        return [each async for each in self.each(limit=limit)]

    async def each(self, *, limit: int = KEPT) -> AsyncIterator[Rollout]:
        """Read the newest rollouts one after the other, the newest first."""
        async with self._database.reading() as connection:
            newest = select(_rollouts.id).order_by(_rollouts.id.desc()).limit(limit)
            ids = (await connection.scalars(newest)).all()
        for id_ in ids:
            if (found := await self.get(id_)) is not None:
                yield found

    async def newest_of_start(self) -> Rollout | None:
        """Read the newest rollout that was to complete the start of the cluster."""
        again, init = CommandKind.START_AGAIN.value, RolloutPart.INIT.value
        ran = select(_commands.rollout).where(_commands.kind == again)
        began = select(_hosts.rollout).where(_hosts.part == init)
        return next(iter(await self._some(or_(_rollouts.id.in_(ran), _rollouts.id.in_(began)))), None)

    async def save(self, before: Rollout, after: Rollout) -> Rollout | None:
        """Write what changed of a rollout; None if it is not as it was read. Nothing is written if nothing changed."""
        return before if before == after else await self._database.finish(self._save(before, after))

    async def _save(self, before: Rollout, after: Rollout) -> Rollout | None:
        saved = replace(after, version=before.version + 1)
        async with self._database.transaction() as connection:
            mine = and_(_rollouts.id == before.id, _rollouts.version == before.version)
            values = {**rollout_columns(saved), "version": saved.version}
            done = await connection.execute(update(tables.rollouts).where(mine).values(values))
            if done.rowcount != 1:
                return None
            await self._write_parts(connection, before, saved)
            await notify(connection, Changed.ROLLOUT)
        return saved

    async def claim(self, rollout: Rollout, claim: Claim) -> bool:
        """Take or keep the right to run a rollout; False: another daemon has it."""
        is_over = or_(_rollouts.owned_until < text(claim.now), _rollouts.owned_until > text(claim.farthest))
        mine = _rollouts.id == rollout.id
        if not claim.is_alone:
            mine = and_(mine, or_(_rollouts.owner.is_(None), _rollouts.owner == claim.owner, is_over))
        async with self._database.transaction() as connection:
            claimed = update(tables.rollouts).where(mine).values(owner=claim.owner, owned_until=text(claim.until))
            return (await connection.execute(claimed)).rowcount == 1

    async def hold_of(self, host: HostName) -> JoinHold | None:
        """Read the row of a host in the newest rollout that has it."""
        joined = tables.rollout_hosts.join(tables.rollouts, _rollouts.id == _hosts.rollout)
        mine = select(tables.rollout_hosts, _rollouts.active).select_from(joined).where(_hosts.host == host)
        async with self._database.reading() as connection:
            row = (await connection.execute(mine.order_by(_hosts.rollout.desc()).limit(1))).mappings().first()
        return JoinHold(row["rollout"], host_of(row), row["active"] == 1) if row else None

    async def note_requested(self, hold: JoinHold, at: datetime) -> None:
        """Record that the installed system of a host requested its role's file, once."""
        mine = and_(_hosts.rollout == hold.rollout, _hosts.host == hold.host.host, _hosts.requested_at.is_(None))
        await self._database.finish(self._note(hold, mine, {"requested_at": text(at)}))

    async def note_served(self, hold: JoinHold, sha256: str, at: datetime) -> bool:
        """Record that a host gets its role's file; False: its permit was taken back, or is for another file."""
        is_valid = or_(_hosts.permit_until.is_(None), _hosts.permit_until > text(at))
        mine = and_(_hosts.rollout == hold.rollout, _hosts.host == hold.host.host, _hosts.permit_sha256 == sha256)
        if hold.host.served_at is not None:  # its answer was lost, and it requests the same bytes again
            async with self._database.reading() as connection:
                return await connection.scalar(select(_hosts.host).where(mine, is_valid)) is not None
        return await self._database.finish(self._note(hold, and_(mine, is_valid), {"served_at": text(at)}))

    async def _note(self, hold: JoinHold, mine: Any, values: dict[str, Any]) -> bool:
        async with self._database.transaction() as connection:
            noted = await connection.execute(update(tables.rollout_hosts).where(mine).values(values))
            if noted.rowcount != 1:
                return False
            later = update(tables.rollouts).where(_rollouts.id == hold.rollout)
            await connection.execute(later.values(version=_rollouts.version + 1))
            await notify(connection, Changed.ROLLOUT)
        return True

    async def _some(self, wanted: Any) -> list[Rollout]:
        query = select(tables.rollouts).where(wanted).order_by(_rollouts.id.desc()).limit(1)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
            ids = [row["id"] for row in rows]
            hosts = select(tables.rollout_hosts).where(_hosts.rollout.in_(ids)).order_by(_hosts.position)
            found = (await connection.execute(hosts)).mappings().all()
            ran = select(tables.rollout_commands).where(_commands.rollout.in_(ids)).order_by(_commands.kind)
            commands = (await connection.execute(ran)).mappings().all()
        return await asyncio.to_thread(_made, rows, found, commands)

    @staticmethod
    async def _write_parts(connection: AsyncConnection, before: Rollout | None, after: Rollout) -> None:
        """Write the hosts and commands that changed."""
        known_hosts: Sequence[object] = before.hosts if before is not None else ()
        known = before.commands if before is not None else {}
        hosts = [
            host_columns(after.id, position, each)
            for position, each in enumerate(after.hosts)
            if position >= len(known_hosts) or known_hosts[position] != each
        ]
        commands = [command_columns(after.id, each) for kind, each in after.commands.items() if known.get(kind) != each]
        if hosts:
            await upsert(connection, tables.rollout_hosts, hosts)
        if commands:
            await upsert(connection, tables.rollout_commands, commands)


async def _prune(connection: AsyncConnection) -> None:
    oldest = select(_rollouts.id).order_by(_rollouts.id.desc()).offset(KEPT)
    gone = list(await connection.scalars(oldest))
    if gone:
        for table, key in (
            (tables.rollout_hosts, _hosts.rollout),
            (tables.rollout_commands, _commands.rollout),
            (tables.rollouts, _rollouts.id),
        ):
            await connection.execute(delete(table).where(key.in_(gone)))


def already_active(rollout: object) -> RolloutError:
    """Return the refusal of a second rollout; `rollout`: the id of the active one."""
    return RolloutError(
        f"rollout {rollout} is active, and there is one at a time; netboot cluster rollout show, "
        "or netboot cluster rollout cancel"
    )
