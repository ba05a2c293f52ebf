"""The gate of a rollout: who is held, who may get which bytes, and what is recorded of it."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from fixtures.rollouts import BEGAN_AT, a_rollout

from netboot.boot.documents.join_gate import JoinGate
from netboot.model.host.host import HostName
from netboot.model.install.install import Install
from netboot.model.install.token import Tokens
from netboot.model.rollout.rollout import JoinPermit, Phase, Rollout, RolloutState
from netboot.operate.rollout.decision import outcomes
from netboot.store.database import Database
from netboot.store.rollouts.rollout_store import Rollouts
from netboot.store.sealing.sealing import token_digest

CP1, CP9 = HostName("cp1"), HostName("cp9")
TOKEN = "1" * 32
INSTALL = Install(CP1, tokens=Tokens(ignition=TOKEN))
ROLE = b"the file of its role"


class Gate:
    """A gate on a store, and a clock that a test sets."""

    def __init__(self, database: Database) -> None:
        self.now, self.rollouts = BEGAN_AT, Rollouts(database)
        self.gate = JoinGate(self.rollouts, self._now)

    def _now(self) -> datetime:
        return self.now

    async def permit(self, rollout: Rollout, role: bytes = ROLE) -> Rollout:
        """Let cp1 join for an hour."""
        permit = JoinPermit(hashlib.sha256(role).hexdigest(), BEGAN_AT + timedelta(hours=1), BEGAN_AT)
        joining = replace(rollout.hosts[0], phase=Phase.JOINING, permit=permit)
        saved = await self.rollouts.save(rollout, rollout.with_host(joining))
        assert saved is not None
        return saved

    async def gets(self, role: bytes = ROLE) -> bool:
        hold = await self.gate.hold_of(INSTALL)
        return hold is None or await self.gate.permits(hold, INSTALL, role)


def with_gate(store_url: str, work: Callable[[Gate], Awaitable[None]]) -> None:
    async def scenario() -> None:
        database = await Database.open(store_url)
        try:
            await work(Gate(database))
        finally:
            await database.close()

    asyncio.run(scenario())


def test_a_host_of_no_rollout_is_free(store_url: str):
    async def work(gate: Gate) -> None:
        await gate.rollouts.create(replace(a_rollout(0, 0), hosts=(replace(a_rollout().hosts[0], host=CP9),)))
        await gate.gate.read_changed()

        assert await gate.gets()
        assert (gate.gate.holds(CP1), gate.gate.holds(CP9)) == (False, True)

    with_gate(store_url, work)


def test_a_held_host_gets_its_file_by_its_permit_and_only_those_bytes(store_url: str):
    async def work(gate: Gate) -> None:
        await gate.rollouts.create(a_rollout())
        assert not await gate.gets()
        waiting = await gate.rollouts.active()
        assert waiting is not None
        assert waiting.hosts[0].requested_at == BEGAN_AT

        await gate.permit(waiting)
        assert not await gate.gets(b"another file")
        assert await gate.gets()
        assert await gate.gets(), "its answer was lost"
        served = await gate.rollouts.active()
        assert served is not None
        assert served.hosts[0].served_at == BEGAN_AT

    with_gate(store_url, work)


def test_a_permit_ends(store_url: str):
    async def work(gate: Gate) -> None:
        await gate.permit(await gate.rollouts.create(a_rollout()))
        gate.now = BEGAN_AT + timedelta(hours=1)

        assert not await gate.gets()

    with_gate(store_url, work)


def test_a_host_that_was_cancelled_is_held_after_the_rollout_until_its_next_install(store_url: str):
    async def work(gate: Gate) -> None:
        rollout = await gate.rollouts.create(a_rollout())
        known = rollout.with_host(replace(rollout.hosts[0], ignition_sha256=token_digest(TOKEN)))
        cancelled = outcomes.cancelled(known, [], at=BEGAN_AT, reason="")
        await gate.rollouts.save(rollout, replace(cancelled, state=RolloutState.CANCELLED, ended_at=BEGAN_AT))
        await gate.gate.read_changed()

        assert not await gate.gets()
        assert not gate.gate.holds(CP1), "it is armed as any other host"
        assert await gate.gate.hold_of(Install(CP1, tokens=Tokens(ignition="2" * 32))) is None

    with_gate(store_url, work)
