"""Ends in a restored store what must not happen again: armings, requested boots, power actions, tokens and logins.

A backup is older than what machines did since: an arming that was spent would install its machine a second time, and a
token that was spent would open its document again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.model.actor import Actor
from netboot.model.install.install import InstallState
from netboot.model.install.machine_identity import as_columns, from_columns
from netboot.model.install.wipe import WipeState
from netboot.model.power.power import IntentState
from netboot.model.rollout.rollout import RolloutState
from netboot.store import tables

RESTORED: Final = "restored"  # in the history of a host
_UNDER_WAY: Final = (InstallState.OFFERED, InstallState.LOADING, InstallState.INSTALLING, InstallState.INSTALLED)
_ENDED_WIPE: Final = (WipeState.DONE, WipeState.REFUSED, WipeState.CANCELLED)


@dataclass(frozen=True, slots=True)
class EndedPermissions:
    """What was ended: hosts that were armed or being installed, network cards with a requested boot, and logins."""

    hosts: Sequence[str] = ()
    machines: Sequence[str] = ()
    sessions: int = 0


async def end_permissions(connection: AsyncConnection, *, at: datetime, note: str, actor: Actor) -> EndedPermissions:
    """End armings, requested boots and power actions, the rollout, the tokens of documents and reports, and logins.

    Needs no key: nothing is opened. The token of an installed node stays in `nodes`; with it a node only reports.
    """
    hosts = await _end_installs(connection, at=at, note=note, actor=actor)
    machines = await _end_one_time_boots(connection, at=at, note=note)
    await _end_power_actions(connection, at=at, note=note)
    await _end_rollouts(connection, at=at)
    sessions = await connection.scalar(select(func.count()).select_from(tables.sessions)) or 0
    await connection.execute(delete(tables.sessions))
    return EndedPermissions(hosts, machines, sessions)


async def _end_installs(connection: AsyncConnection, *, at: datetime, note: str, actor: Actor) -> Sequence[str]:
    """End armings and tokens; add a line to the history of each host that was armed or being installed."""
    table = tables.installs
    concerned = or_(table.c.armed_at.is_not(None), table.c.state.in_(_UNDER_WAY))
    found = (
        await connection.execute(select(table.c.host, table.c.state).where(concerned).order_by(table.c.host))
    ).all()
    tokens = [column.name for column in table.columns if column.name.endswith("_sha256") or column.name == "tokens"]
    ended = dict.fromkeys(["armed_at", "armed_reason", "attempts", "spent", *tokens])
    await connection.execute(update(table).values(**ended, version=table.c.version + 1))
    known = select(table.c.host, table.c.identity).where(table.c.identity.is_not(None))
    for host, identity in (await connection.execute(known)).all():  # no hold without an arming
        without = as_columns(from_columns(identity).ended())
        await connection.execute(update(table).where(table.c.host == host).values(identity=without))
    if found:
        line = {"at": at.isoformat(), "what": RESTORED, "note": note, "actor": actor.name, "source": actor.source.value}
        lines = [{"host": host, "from_state": state, "to_state": state, **line} for host, state in found]
        await connection.execute(insert(tables.moves), lines)
    return tuple(host for host, _ in found)


async def _end_one_time_boots(connection: AsyncConnection, *, at: datetime, note: str) -> Sequence[str]:
    """Withdraw every request, and end every token and open wipe."""
    table, concerned = tables.inspections, []
    for row in (await connection.execute(select(table).order_by(table.c.mac))).mappings().all():
        wipe = row["wipe"]
        is_open = wipe is not None and wipe["state"] not in _ENDED_WIPE
        if is_open or row["requested_at"] is not None or row["token_sha256"] is not None:
            concerned.append(str(row["mac"]))
        if is_open:
            wipe = {**wipe, "state": WipeState.CANCELLED.value, "at": at.isoformat(), "note": note}
            await connection.execute(update(table).where(table.c.mac == row["mac"]).values(wipe=wipe))
    ended = dict.fromkeys(["requested_at", "kind", "requested_medium", "token_sha256", "tokens"])
    await connection.execute(update(table).values(**ended))
    return tuple(concerned)


async def _end_rollouts(connection: AsyncConnection, *, at: datetime) -> None:
    """Cancel the active rollout: machines and the cluster have gone on since."""
    end = {"state": RolloutState.CANCELLED.value, "active": None, "ended_at": at.isoformat(timespec="microseconds")}
    await connection.execute(update(tables.rollouts).where(tables.rollouts.c.active == 1).values(end))


async def _end_power_actions(connection: AsyncConnection, *, at: datetime, note: str) -> None:
    """Cancel what was requested, so that no machine is reset; what was being sent may have been done."""
    table = tables.power_intents
    for state, ended in ((IntentState.REQUESTED, IntentState.CANCELLED), (IntentState.SENDING, IntentState.UNKNOWN)):
        end = {"state": ended.value, "ended_at": at.isoformat(timespec="microseconds"), "detail": note}
        await connection.execute(update(table).where(table.c.state == state.value).values(end))
