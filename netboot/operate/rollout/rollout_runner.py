"""Runs the active rollout: observes, decides, stores, then does. A daemon that is killed goes on where it was.

Of several appliances on one store one runs it: the one that has the claim, which ends by itself. Each state is stored
by compare-and-set before its effects begin.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Final

import structlog

from netboot.boot.documents.join_gate import JoinGate
from netboot.errors import StoreError
from netboot.model.install.install import InstallState
from netboot.model.rollout.command import CommandKind, CommandState
from netboot.model.rollout.rollout import OVER, Phase, Rollout, RolloutHost
from netboot.model.words import first_line
from netboot.operate.rollout.decision.clock_steps import ReadClock, after_step
from netboot.operate.rollout.decision.next_actions import interrupted, next_step
from netboot.operate.rollout.decision.observed import SKEW, Observed, ObservedInstall, Rules
from netboot.operate.rollout.effect_runner import EffectParts, EffectRunner
from netboot.store.rollouts.rollout_store import Claim
from netboot.store.sealing.sealing import token_digest
from netboot.telemetry.metrics import Reading

TICK_S: Final = 1.0
CLAIM: Final = timedelta(seconds=15)
STORE_S: Final = 2.0  # after a failure of the store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Owner:
    """`id` of this daemon; `is_alone`: no other daemon uses the store, so that it takes what an earlier one claimed."""

    id: str
    is_alone: bool


class RolloutRunner:
    def __init__(self, parts: EffectParts, gate: JoinGate, *, rules: Rules, owner: Owner) -> None:
        self._parts, self._gate, self._rules, self._owner = parts, gate, rules, owner
        self._changes, self._rollouts = parts.changes, parts.changes.rollouts
        self._wake = asyncio.Event()
        self._effects = EffectRunner(parts, on_done=self._wake.set)
        self._mine: int | None = None  # the rollout that this daemon runs
        self._phases: Counter[Phase] = Counter()  # of the hosts of the active rollout, also if another one runs it
        self._read: ReadClock | None = None  # at the step before
        self._claimed_s: float | None = None  # monotonic: the time of day may be set

    @property
    def api_problem(self) -> str | None:
        """Why the API of the cluster did not answer last; None: it did, or was not checked here."""
        return self._effects.api_problem

    def readings(self) -> Iterator[Reading]:
        """Read how many hosts of the active rollout are in each phase."""
        for phase in Phase:
            yield Reading("rollout_hosts", self._phases[phase], (phase.value,))

    async def read_changed(self, _subjects: object = None) -> None:
        """Note that a rollout was changed, here or by another appliance."""
        await self._gate.read_changed()
        self._wake.set()

    async def run(self) -> None:
        """Run rollouts until cancelled."""
        try:
            while True:
                self._wake.clear()
                wait_s: float | None = STORE_S
                try:
                    wait_s = await self._turn()
                except StoreError:  # which the status shows
                    await self._end_without_claim()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()
        finally:
            await self._effects.end()

    async def _turn(self) -> float | None:
        """Do one step of the active rollout; return after how long the next one follows, None: after a change."""
        rollout = await self._rollouts.active()
        self._phases = Counter(each.phase for each in rollout.hosts) if rollout is not None else Counter()
        if rollout is None or not await self._claimed(rollout):
            if self._mine is not None:
                self._mine = None
                await self._effects.end()
                await self._gate.read_changed()
            is_idle = rollout is None and await self._parts.commands.remove_printed()
            return None if is_idle else TICK_S
        if self._mine != rollout.id:
            await self._effects.end()  # of the rollout before, and what it observed
            lost_start_at = self._parts.clock.now() if await self._is_start_elsewhere(rollout) else None
            taken = await self._changes.save(rollout, interrupted(rollout, lost_start_at=lost_start_at))
            if taken is None:
                return 0.0
            self._mine, self._read, rollout = rollout.id, None, taken
            await self._gate.read_changed()
        return await self._step(rollout)

    async def _is_start_elsewhere(self, rollout: Rollout) -> bool:
        """Return whether a first start that runs was begun by another appliance: its output is not here."""
        start = rollout.command(CommandKind.START)
        if self._owner.is_alone or start.state is not CommandState.RUNNING or start.began_at is None:
            return False
        return not await self._parts.commands.has_begun(CommandKind.START, since=start.began_at - SKEW)

    async def _end_without_claim(self) -> None:
        """End what runs if the store fails for so long that another daemon may have taken the rollout over."""
        is_shared = not self._owner.is_alone and self._mine is not None
        if is_shared and self._claim_age_s() >= CLAIM.total_seconds():
            self._mine = None
            await self._effects.end()

    async def _step(self, rollout: Rollout) -> float:
        observed = await self._observed(rollout)
        now = ReadClock(self._parts.clock.now(), self._parts.clock.monotonic())
        timed = after_step(rollout, self._read, now) if self._read is not None else rollout
        step = next_step(timed, observed, rules=self._rules, now=now.at)
        saved = await self._changes.save(rollout, step.rollout)
        if saved is None:
            return 0.0
        self._read = now
        if [each.phase in OVER for each in saved.hosts] != [each.phase in OVER for each in rollout.hosts]:
            await self._gate.read_changed()
        self._effects.begin(step.effects, saved)
        return TICK_S

    async def _claimed(self, rollout: Rollout) -> bool:
        """Take the rollout, or keep it; False: another daemon runs it."""
        is_mine, is_alone = self._mine == rollout.id, self._owner.is_alone
        if is_mine and (is_alone or self._claim_age_s() < CLAIM.total_seconds() / 3):
            return True
        now, now_s = self._parts.clock.now(), self._parts.clock.monotonic()
        claim = Claim(self._owner.id, now, now + CLAIM, farthest=now + CLAIM + SKEW, is_alone=is_alone)
        is_claimed = await self._rollouts.claim(rollout, claim)
        self._claimed_s = now_s if is_claimed else None
        return is_claimed

    def _claim_age_s(self) -> float:
        return inf if self._claimed_s is None else self._parts.clock.monotonic() - self._claimed_s

    async def _observed(self, rollout: Rollout) -> Observed:
        arming = self._effects.arming  # before the installs: one that ends meanwhile is not missed
        installs = {each.host: await self._install(each) for each in rollout.hosts}
        files = await asyncio.to_thread(self._parts.files.in_place)
        return Observed(installs, files, self._effects.api_answers, frozenset(self._effects.nodes_ready), arming)

    async def _install(self, each: RolloutHost) -> ObservedInstall:
        install, note = self._parts.install_moves.known(each.host), ""
        if install.state is InstallState.FAILED and not each.is_over:
            history = await self._parts.install_moves.history(each.host)
            note = next((first_line(move.note) for move in reversed(history) if move.after is InstallState.FAILED), "")
        return ObservedInstall.of(install, token_digest(install.tokens.ignition), note)
