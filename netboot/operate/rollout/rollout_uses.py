"""The use cases of a rollout: plan, begin, show, pause, resume, cancel, retry, confirm; the state of the cluster."""

import asyncio
import shlex
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime

from netboot.boot.install_moves import InstallMoves
from netboot.errors import RolloutError, UnknownRolloutError
from netboot.model.actor import Actor
from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.model.host.host import HostName
from netboot.model.host.role_ignition import RoleUse
from netboot.model.install.install import Install
from netboot.model.rollout.command import FILE_OF, REMOVAL, CommandKind
from netboot.model.rollout.rollout import Rollout
from netboot.model.words import one_line
from netboot.operate.rollout.decision import outcomes, person_texts
from netboot.operate.rollout.decision.observed import ObservedInstall
from netboot.operate.rollout.decision.schedule import Durations, Schedule, schedule
from netboot.operate.rollout.forecasts import Forecasts
from netboot.operate.rollout.new_rollout import JudgedRollout, NewRollouts, RolloutRequest
from netboot.operate.rollout.ocne.ocne_commands import OcneCommands
from netboot.operate.rollout.ocne.ocne_files import ApiPlace, ClusterFiles
from netboot.operate.rollout.rollout_board import RolloutBoard, RolloutRefusals
from netboot.operate.rollout.rollout_changes import Move, RolloutChanges
from netboot.operate.rollout.rollout_runner import RolloutRunner
from netboot.operate.rollout.rollout_status import ClusterStatus, RolloutStatus, cluster_status, rollout_status


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What a rollout would do: its schedule with deadlines, why it cannot begin, and what is read before.

    `removal`: the commands by which the node that it replaces leaves the cluster, or what a person runs, in order.
    """

    schedule: Schedule
    options_max_parallel: int
    options_failure_budget: int
    refusals: Sequence[str]
    warnings: Sequence[str]
    removal: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PrintedCommands:
    """Commands that a person runs. They have a token, and a key: show them to nobody else."""

    kind: CommandKind
    commands: Sequence[str]


@dataclass(frozen=True, slots=True)
class RolloutUses:
    """Methods raise StoreError, and RolloutError for what is refused."""

    changes: RolloutChanges
    _: KW_ONLY
    new: NewRollouts
    runner: RolloutRunner
    commands: OcneCommands
    files: ClusterFiles
    install_moves: InstallMoves
    durations: Callable[[], ExpectedDurations]
    forecasts: Forecasts
    now: Callable[[], datetime]

    @property
    def files_made(self) -> frozenset[RoleUse]:
        """The uses of the Ignition files that configured commands make."""
        return frozenset(use for kind, use in FILE_OF.items() if kind in self.commands.settings.commands)

    async def plan(self, request: RolloutRequest) -> RolloutPlan:
        """Return the schedule of a rollout that is not begun; raise UnknownHostError."""
        judged = await self.new.judge(request, actor="", now=self.now())
        stored = await self.install_moves.all()
        installs = {
            each.host: ObservedInstall.of(stored.get(each.host) or Install(each.host), None)
            for each in judged.rollout.hosts
        }
        files = await asyncio.to_thread(self.files.in_place)
        made = await asyncio.to_thread(
            schedule, judged.rollout, installs, files, rules=self.new.rules, durations=Durations.of(self.durations())
        )
        options = judged.rollout.options
        removal = self._removal(judged.rollout.replaces)
        return RolloutPlan(
            made, options.max_parallel, options.failure_budget, judged.refusals, judged.warnings, removal
        )

    def _removal(self, host: HostName | None) -> list[str]:
        """Return what is run to remove a node, as a shell would take it; nothing without a node."""
        configured = self.commands.settings.commands
        return [
            shlex.join([*configured[kind], host]) if kind in configured else person_texts.of_command(kind, host)
            for kind in REMOVAL
            if host is not None
        ]

    async def begin(self, request: RolloutRequest, *, actor: Actor) -> RolloutStatus:
        """Begin a rollout; raise RolloutError with every reason if it cannot begin."""
        judged: JudgedRollout = await self.new.judge(request, actor=actor.name, now=self.now())
        judged.refuse()
        stored = await self.changes.rollouts.create(judged.rollout)
        self.changes.begun(stored, actor)
        await self.runner.read_changed()
        return await self._status(stored)

    async def show(self) -> RolloutStatus:
        """Show the rollout that began last; raise UnknownRolloutError if none did."""
        for newest in await self.changes.rollouts.newest(limit=1):
            return await self._status(newest)
        raise UnknownRolloutError("no rollout is kept; netboot cluster rollout begins one")

    async def all(self) -> AsyncIterator[RolloutStatus]:
        """Read the rollouts that are kept one after the other, the newest first."""
        async for each in self.changes.rollouts.each():
            yield await self._status(each)

    async def board(self) -> RolloutBoard:
        """Show the active rollout with what may be requested of it, and the one that ended last."""
        kept = await self.changes.rollouts.newest(limit=2)
        active = next((each for each in kept if each.is_active), None)
        ended = next((each for each in kept if not each.is_active), None)
        files = await asyncio.to_thread(self.files.in_place)
        return RolloutBoard(
            await self._status(active) if active is not None else None,
            RolloutRefusals.of(active) if active is not None else None,
            await self._status(ended) if ended is not None else None,
            {use: file.until for use, file in files.items() if file.until is not None},
            self.commands.settings.commands,
        )

    async def pause(self, *, reason: str, actor: Actor) -> RolloutStatus:
        """Begin nothing new; what has begun continues."""
        return await self._change(lambda rollout: outcomes.paused(rollout, one_line(reason)), actor)

    async def resume(self, *, actor: Actor) -> RolloutStatus:
        """Go on: hosts that failed are accepted, and commands that failed run again."""
        return await self._change(outcomes.resumed, actor)

    async def cancel(self, hosts: Sequence[str], *, reason: str, actor: Actor) -> RolloutStatus:
        """Take hosts out of the rollout; without names all of them, which ends it."""
        return await self._change(
            lambda rollout: outcomes.cancelled(rollout, hosts, at=self.now(), reason=one_line(reason)), actor
        )

    async def judge_cancel(self, hosts: Sequence[str]) -> None:
        """Raise RolloutError if `cancel` would be refused now."""
        outcomes.cancelled(await self._active(), hosts, at=self.now(), reason="")

    async def judge_retry(self, host: str) -> None:
        """Raise RolloutError if `retry` would be refused now."""
        outcomes.retried(await self._active(), host, at=self.now())

    async def retry(self, host: str, *, actor: Actor) -> RolloutStatus:
        """Install a failed or cancelled host again."""
        return await self._change(lambda rollout: outcomes.retried(rollout, host, at=self.now()), actor)

    async def confirm(self, *, actor: Actor) -> RolloutStatus:
        """Note that a person did what the rollout waited for; the file of a command whose commands ran is taken."""
        rollout = await self._active()
        kind = outcomes.confirmable(rollout)
        command = rollout.command(kind)
        if command.printed and kind in FILE_OF:
            taken = await self.commands.take_printed(kind, since=command.began_at or rollout.began_at)
            if taken is not None:
                raise RolloutError(f"cannot confirm {kind}: {taken.reason}")
        return await self._change(lambda found: outcomes.confirmed(found, kind, self.now()), actor)

    async def printed(self) -> list[PrintedCommands]:
        """Return what commands printed for a person, if they were run by this appliance."""
        rollout = await self._active()
        waiting = [each.kind for each in rollout.commands.values() if each.printed]
        return [PrintedCommands(kind, await self.commands.printed(kind)) for kind in waiting]

    async def cluster(self) -> ClusterStatus:
        """Return the state of the cluster: nodes, deadlines, the rollout, the next command."""
        active = await self.changes.rollouts.active()
        api, files = await asyncio.to_thread(lambda: (self.files.api(), self.files.in_place()))
        return cluster_status(
            self.new.hosts(),
            await self.install_moves.all(),
            {use: file for use, file in files.items() if use is not RoleUse.INIT},
            await self._status(active) if active is not None else None,
            endpoint=api.endpoint if isinstance(api, ApiPlace) else None,
        )

    async def _change(self, move: Move, actor: Actor) -> RolloutStatus:
        rollout = await self._active()
        changed = await self.changes.apply(rollout.id, move, actor=actor)
        await self.runner.read_changed()
        self.forecasts.forget()
        return await self._status(changed)

    async def _active(self) -> Rollout:
        rollout = await self.changes.rollouts.active()
        if rollout is None:
            raise RolloutError("no rollout is active; netboot cluster rollout begins one")
        return rollout

    async def _status(self, rollout: Rollout) -> RolloutStatus:
        forecast = await self.forecasts.of(rollout, now=self.now())
        return rollout_status(rollout, self.new.rules, forecast=forecast, api_problem=self.runner.api_problem)
