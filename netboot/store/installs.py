"""The table of installs. A change reads, locks and writes rows: if two daemons change one, one waits for the other."""

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from ipaddress import IPv4Address
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import ColumnElement, RowMapping, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError, StoreKeyError
from netboot.model.actor import Actor, Source
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.checks import CheckResult, InstallCheck
from netboot.model.install.install import RETIRED, Arming, Install, InstallState, InstallTarget, Move
from netboot.model.install.machine_identity import as_columns, from_columns
from netboot.model.install.token import TokenKind, Tokens
from netboot.model.words import first_line
from netboot.store import tables
from netboot.store.changes.notification import Changed, notify
from netboot.store.database import Database, OvertakenError
from netboot.store.nodes.installed_nodes import forget, record_installed
from netboot.store.sealing.sealing import Sealing, requested_digest, token_digest

T = TypeVar("T")

log = structlog.get_logger()

ATTEMPTS = 5  # of one change against other writers
KEPT_MOVES: Final = 1000  # lines of one host's history; a machine with a valid token can cause lines without end
PRUNE_EVERY: Final = 50  # writes of one host
_HISTORY_READ: Final = 200  # lines of one host
_HOSTS_PER_QUERY: Final = 500  # SQLite before 3.32 permits 999 parameters (https://sqlite.org/limits.html)


@dataclass(frozen=True, slots=True)
class Change:
    before: Install
    after: Install


class UnknownInstallError(StoreError):
    """A row of the table has a value that this version cannot read."""

    def __init__(self, host: HostName, what: str) -> None:
        super().__init__(
            f"cannot read the install of {host} in the store: {what}; if a newer version of netboot wrote it, install "
            "that version again, otherwise restore a backup; until then its machine waits, or boots its own disk"
        )
        self.host = host


class Installs:
    """The table of installs. Every method raises StoreError if the store fails, or a row cannot be read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.unread: dict[HostName, str] = {}  # why `readable` left an install out

    @property
    def _sealing(self) -> Sealing:
        return self._database.sealing

    async def all(self) -> list[Install]:
        """Read every stored install; a host without one is only registered."""
        return [_known_install(row, self._sealing) for row in await self._rows(None)]

    async def readable(self, hosts: Sequence[HostName] | None) -> list[Install]:
        """Read the stored installs of these hosts, or all, but those that only a newer version can read.

        `unread` has these, and each is logged once.
        """
        found, unread = [], dict[HostName, str]()
        for row in await self._rows(hosts):
            try:
                found.append(_known_install(row, self._sealing))
            except UnknownInstallError as error:
                unread[error.host] = str(error)
        for host in unread.keys() - self.unread.keys():
            log.error("store.install_unread", host=host, reason=unread[host])
        others = {host: why for host, why in self.unread.items() if hosts is not None and host not in hosts}
        self.unread = others | unread
        return found

    async def _rows(self, hosts: Sequence[HostName] | None) -> list[RowMapping]:
        found: list[RowMapping] = []
        async with self._database.reading() as connection:
            if hosts is None:
                found += (await connection.execute(select(tables.installs))).mappings()
            for first in range(0, len(hosts or ()), _HOSTS_PER_QUERY):
                mine = tables.installs.c.host.in_((hosts or ())[first : first + _HOSTS_PER_QUERY])
                found += (await connection.execute(select(tables.installs).where(mine))).mappings()
        return found

    async def get(self, host: HostName) -> Install:
        return await self._find(tables.installs.c.host == host) or Install(host)

    async def by_token(self, kind: TokenKind, token: str) -> Install | None:
        """Find the install of a token, valid or spent; the caller decides which.

        Raises StoreError also if its tokens cannot be opened.
        """
        found = await self._find(tables.installs.c[f"{kind.value}_sha256"] == requested_digest(token))
        if found is not None and found.tokens.are_unopened:
            raise StoreKeyError(self._sealing.problem() or f"the tokens of {found.host} are not what netboot sealed")
        return found if found is not None and found.tokens.of(kind) == token else None

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
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
        """Apply `move`, again if another writer made the row, and record it as history; its TransitionError passes."""
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
            with suppress(OvertakenError):
                async with self._database.transaction() as connection:
                    return await _change_all(connection, moves, line=line, sealing=self._sealing)
        hosts = ", ".join(sorted(moves))
        raise StoreError(f"cannot move the install of {hosts}: {ATTEMPTS} writers changed it meanwhile; try again")

    async def forget_node(self, host: HostName) -> None:
        """Delete what is known of the node of a host; its token is not valid any longer."""
        async with self._database.transaction() as connection:
            await forget(connection, [host])

    async def history(self, host: HostName) -> list[Move]:
        """Read the newest lines of a host's history, oldest first."""
        return (await self.histories([host]))[host]

    async def histories(self, hosts: Sequence[HostName]) -> dict[HostName, list[Move]]:
        """Read the newest lines of the histories of several hosts in one query, oldest first.

        A line with a state that only a newer version has is left out.
        """
        moves = tables.moves
        rank = func.row_number().over(partition_by=moves.c.host, order_by=moves.c.id.desc())
        newest = select(moves, rank.label("rank")).where(moves.c.host.in_(hosts)).subquery()
        wanted = select(newest).where(newest.c.rank <= _HISTORY_READ).order_by(newest.c.id)
        found: dict[HostName, list[Move]] = {host: [] for host in hosts}
        async with self._database.reading() as connection:
            for row in (await connection.execute(wanted)).mappings():
                with suppress(ValueError):
                    found[HostName(row["host"])].append(move_of(row))
        return found

    async def _find(self, condition: ColumnElement[bool]) -> Install | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(select(tables.installs).where(condition))).mappings().first()
        return _known_install(row, self._sealing) if row else None


async def _change_all(
    connection: AsyncConnection,
    moves: Mapping[HostName, Callable[[Install], Install]],
    *,
    line: Mapping[str, str],
    sealing: Sealing,
) -> list[Change]:
    hosts = sorted(moves)  # in this order, so that two calls never wait for each other's rows
    stored = await _read_locked(connection, hosts, sealing)
    changes = []
    for host in hosts:
        before = stored.get(host) or Install(host)
        after = moves[host](before)
        changes.append(Change(before, before if after == before else replace(after, version=before.version + 1)))
    if line["what"] == RETIRED:
        await forget(connection, hosts)
    if made := [change for change in changes if change.after != change.before]:
        await _write(connection, made, sealing)
        await record_installed(connection, [(each.before, each.after) for each in made], at=line["at"])
        states = [
            {"host": each.after.host, "from_state": each.before.state, "to_state": each.after.state, **line}
            for each in made
        ]
        await connection.execute(insert(tables.moves), states)
        await _prune(connection, [each.after.host for each in made if each.after.version % PRUNE_EVERY == 0])
        await notify(connection, Changed.INSTALL, [each.after.host for each in made])
    return changes


async def _prune(connection: AsyncConnection, hosts: Sequence[HostName]) -> None:
    """Delete the oldest lines of these hosts' histories."""
    moves = tables.moves
    for host in hosts:
        newest = select(moves.c.id).where(moves.c.host == host).order_by(moves.c.id.desc())
        oldest = newest.offset(KEPT_MOVES).limit(1).scalar_subquery()
        await connection.execute(delete(moves).where(moves.c.host == host, moves.c.id <= oldest))


async def _read_locked(
    connection: AsyncConnection, hosts: Sequence[HostName], sealing: Sealing
) -> dict[HostName, Install]:
    """Read rows that no other writer changes meanwhile: PostgreSQL locks them; SQLite has one writer at a time."""
    found: dict[HostName, Install] = {}
    for first in range(0, len(hosts), _HOSTS_PER_QUERY):
        mine = tables.installs.c.host.in_(hosts[first : first + _HOSTS_PER_QUERY])
        query = select(tables.installs).where(mine).order_by(tables.installs.c.host).with_for_update()
        rows = (await connection.execute(query)).mappings()
        found |= {install.host: install for install in (_known_install(row, sealing) for row in rows)}
    return found


async def _write(connection: AsyncConnection, changes: Sequence[Change], sealing: Sealing) -> None:
    new = [_columns(each.after) | _token_columns(each.after, sealing) for each in changes if each.before.version == 0]
    if new:
        try:
            await connection.execute(insert(tables.installs), new)
        except IntegrityError as error:  # another writer made one of these rows since they were read
            raise OvertakenError from error
    changed = [each for each in changes if each.before.version != 0]
    await _update(connection, [_columns(each.after) for each in changed])
    other_tokens = [each.after for each in changed if each.after.tokens != each.before.tokens]
    # The others keep what is sealed, also while it cannot be opened.
    await _update(connection, [{"host": each.host, **_token_columns(each, sealing)} for each in other_tokens])


async def _update(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        mine = tables.installs.c.host == bindparam("its_host")
        await connection.execute(
            update(tables.installs).where(mine), [{"its_host": row["host"], **row} for row in rows]
        )


def move_of(row: RowMapping) -> Move:
    """Read a line of a host's history; raise ValueError for a value that this version cannot read."""
    return Move(
        at=datetime.fromisoformat(row["at"]),
        what=row["what"],
        before=InstallState(row["from_state"]),
        after=InstallState(row["to_state"]),
        note=row["note"],
        actor=Actor(row["actor"], Source(row["source"])) if row["actor"] else None,
    )


def _known_install(row: RowMapping, sealing: Sealing) -> Install:
    try:
        return install_of(row, sealing)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnknownInstallError(HostName(row["host"]), first_line(str(error))) from error


def install_of(row: RowMapping, sealing: Sealing) -> Install:
    """Read a row; what a type raises for a value that this version cannot read passes."""
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
        tokens=_tokens(row, sealing),
        version=row["version"],
        target=_target(row["target"]) if row["target"] else None,
        checks=tuple(InstallCheck(name, CheckResult(result), found) for name, result, found in row["checks"] or ()),
        identity=from_columns(row["identity"]),
    )


def _tokens(row: RowMapping | Mapping[str, Any], sealing: Sealing) -> Tokens:
    if row["tokens"] is None:
        return Tokens()
    text = sealing.open(row["tokens"], tables.installs.c.tokens, row)
    return Tokens(are_unopened=True) if text is None else Tokens(**json.loads(text))


def _token_columns(install: Install, sealing: Sealing) -> dict[str, str | None]:
    tokens = {kind.value: install.tokens.of(kind) for kind in TokenKind}
    digests = {f"{kind}_sha256": token_digest(token) for kind, token in tokens.items()}
    if not any(tokens.values()):
        return {**digests, "tokens": None}
    return {**digests, "tokens": sealing.seal(json.dumps(tokens), tables.installs.c.tokens, {"host": install.host})}


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
        "host": install.host,
        "version": install.version,
        "state": install.state.value,
        "changed_at": install.changed_at.isoformat() if install.changed_at else None,
        "armed_at": arming.at.isoformat() if arming else None,
        "armed_reason": arming.reason if arming else None,
        "attempts": arming.attempts if arming else None,
        "spent": arming.spent if arming else None,
        "target": _target_columns(install.target) if install.target else None,
        "checks": [[each.name, each.result.value, each.found] for each in install.checks] or None,
        "identity": as_columns(install.identity),
    }


def _target_columns(target: InstallTarget) -> dict[str, Any]:
    return {**asdict(target), "macs": sorted(target.macs), "addresses": sorted(map(str, target.addresses))}
