"""The table of installs, changed only by compare-and-set: if two daemons make the same transition, one succeeds."""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address
from typing import Any, TypeVar

from sqlalchemy import RowMapping, insert, null, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.model.actor import Actor, Source
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.install import Arming, Install, InstallState, InstallTarget, Move
from netboot.model.install.token import TokenKind, Tokens
from netboot.store import tables
from netboot.store.database import Database

T = TypeVar("T")

ATTEMPTS = 5  # of one compare-and-set against other writers


@dataclass(frozen=True, slots=True)
class Change:
    """One completed write."""

    before: Install
    after: Install


class Installs:
    """The table of installs. Every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Install]:
        """Read every stored install; a host without one is only registered."""
        async with self._database.reading() as connection:
            rows = await connection.execute(select(tables.installs))
            return [_install(row) for row in rows.mappings()]

    async def get(self, host: HostName) -> Install:
        """Read the install of one host."""
        async with self._database.reading() as connection:
            return await _read(connection, host)

    async def by_token(self, kind: TokenKind, token: str) -> Install | None:
        """Find the install of a token, valid or spent; the caller decides which."""
        async with self._database.reading() as connection:
            rows = await connection.execute(
                select(tables.installs).where(tables.installs.c[f"{kind.value}_token"] == token)
            )
            row = rows.mappings().first()
            return _install(row) if row else None

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end, even if the caller is cancelled."""
        return await self._database.finish(work)

    async def change(
        self,
        host: HostName,
        move: Callable[[Install], Install],
        *,
        at: datetime,
        what: str,
        note: str = "",
        actor: Actor | None = None,
    ) -> Change:
        """Apply `move` to the stored install, and write it and a line of history together.

        `move` is called again if another writer changed the install meanwhile; its TransitionError passes through.
        """
        return (await self.change_all({host: move}, at=at, what=what, note=note, actor=actor))[0]

    async def change_all(
        self,
        moves: Mapping[HostName, Callable[[Install], Install]],
        *,
        at: datetime,
        what: str,
        note: str = "",
        actor: Actor | None = None,
    ) -> list[Change]:
        """Apply the move of each host, all in one transaction or none; otherwise as `change`."""
        line = {"at": at.isoformat(), "what": what, "note": note}
        if actor is not None:
            line |= {"actor": actor.name, "source": actor.source.value}
        for _attempt in range(ATTEMPTS):
            with suppress(_OvertakenError):
                async with self._database.transaction() as connection:
                    # In the order of names, so that two calls never wait for each other's rows.
                    return [await _change(connection, host, moves[host], line=line) for host in sorted(moves)]
        hosts = ", ".join(sorted(moves))
        raise StoreError(f"cannot move the install of {hosts}: {ATTEMPTS} writers changed it meanwhile; try again")

    async def history(self, host: HostName) -> list[Move]:
        """Read the newest lines of a host's history, oldest first."""
        newest = select(tables.moves).where(tables.moves.c.host == host).order_by(tables.moves.c.id.desc()).limit(200)
        async with self._database.reading() as connection:
            rows = (await connection.execute(newest)).mappings().all()
        return [
            Move(
                at=datetime.fromisoformat(row["at"]),
                what=row["what"],
                before=InstallState(row["from_state"]),
                after=InstallState(row["to_state"]),
                note=row["note"],
                actor=Actor(row["actor"], Source(row["source"])) if row["actor"] else None,
            )
            for row in reversed(rows)
        ]


class _OvertakenError(Exception):
    """Another writer changed the row between read and write; the transaction is rolled back."""


async def _change(
    connection: AsyncConnection, host: HostName, move: Callable[[Install], Install], *, line: Mapping[str, str]
) -> Change:
    before = await _read(connection, host, for_update=True)
    after = move(before)
    if after == before:
        return Change(before, before)
    if not await _write(connection, after, expected_version=before.version):
        raise _OvertakenError
    moved = {"host": host, "from_state": before.state, "to_state": after.state, **line}
    await connection.execute(insert(tables.moves).values(moved))
    return Change(before, await _read(connection, host))


async def _read(connection: AsyncConnection, host: HostName, *, for_update: bool = False) -> Install:
    query = select(tables.installs).where(tables.installs.c.host == host)
    if for_update:  # PostgreSQL: other writers of this row wait, as SQLite's wait at BEGIN IMMEDIATE
        query = query.with_for_update()
    rows = await connection.execute(query)
    row = rows.mappings().first()
    return _install(row) if row else Install(host)


async def _write(connection: AsyncConnection, install: Install, *, expected_version: int) -> bool:
    values = _columns(install) | {"version": expected_version + 1}
    if expected_version == 0:
        try:
            async with connection.begin_nested():
                await connection.execute(insert(tables.installs).values(host=install.host, **values))
        except IntegrityError:
            return False
        return True
    mine = (tables.installs.c.host == install.host) & (tables.installs.c.version == expected_version)
    result = await connection.execute(update(tables.installs).where(mine).values(values))
    return result.rowcount == 1


def _install(row: RowMapping | Mapping[str, Any]) -> Install:
    arming = None
    if row["armed_at"] is not None:
        arming = Arming(
            at=datetime.fromisoformat(row["armed_at"]),
            reason=row["armed_reason"],
            attempts=row["attempts"],
            spent=row["spent"],
        )
    return Install(
        host=HostName(row["host"]),
        state=InstallState(row["state"]),
        changed_at=datetime.fromisoformat(row["changed_at"]) if row["changed_at"] else None,
        arming=arming,
        tokens=Tokens(
            kickstart=row["kickstart_token"] or "",
            ignition=row["ignition_token"] or "",
            report=row["report_token"] or "",
        ),
        version=row["version"],
        target=_target(row["target"]) if row["target"] else None,
    )


def _target(recorded: Mapping[str, Any]) -> InstallTarget:
    return InstallTarget(
        macs=frozenset(map(Mac, recorded["macs"])),
        disk=recorded["disk"],
        release=recorded["release"],
        commit=recorded["commit"],
        addresses=frozenset(map(IPv4Address, recorded["addresses"])),
    )


def _columns(install: Install) -> dict[str, Any]:
    arming = install.arming
    return {
        "state": install.state.value,
        "changed_at": install.changed_at.isoformat() if install.changed_at else None,
        "armed_at": arming.at.isoformat() if arming else None,
        "armed_reason": arming.reason if arming else None,
        "attempts": arming.attempts if arming else None,
        "spent": arming.spent if arming else None,
        "kickstart_token": install.tokens.kickstart or None,
        "ignition_token": install.tokens.ignition or None,
        "report_token": install.tokens.report or None,
        "target": _target_columns(install.target) if install.target else null(),
    }


def _target_columns(target: InstallTarget) -> dict[str, Any]:
    return {
        "macs": sorted(target.macs),
        "disk": target.disk,
        "release": target.release,
        "commit": target.commit,
        "addresses": sorted(map(str, target.addresses)),
    }
