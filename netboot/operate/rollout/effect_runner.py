"""Does the effects of a rollout, each at most once at a time, and applies their outcomes to the stored rollout.

Arming is found in the history of the host, an order to its power by its id: what a daemon did that was killed before it
stored the outcome is not done again.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Final, assert_never

import structlog

from netboot.boot.install_moves import InstallMoves
from netboot.errors import NetbootError, StoreError
from netboot.model.actor import Actor, Source
from netboot.model.clock import Clock
from netboot.model.host.host import HostName
from netboot.model.rollout.command import REMOVAL, CommandKind
from netboot.model.rollout.rollout import Rollout, RolloutHost
from netboot.operate.actions.host_arming import HostArming
from netboot.operate.arming import ArmRequest
from netboot.operate.rollout.decision import outcomes
from netboot.operate.rollout.decision.effects import (
    Arm,
    CheckApi,
    CheckNode,
    Disarm,
    Effect,
    PowerOn,
    RunCommand,
    WithdrawPower,
)
from netboot.operate.rollout.machine_power import BmcPower
from netboot.operate.rollout.ocne.api_check import api_problem
from netboot.operate.rollout.ocne.ocne_commands import CommandDone, CommandFailed, CommandOutcome, OcneCommands, Printed
from netboot.operate.rollout.ocne.ocne_files import ApiPlace, ClusterFiles
from netboot.operate.rollout.rollout_changes import Move, RolloutChanges

API_S: Final = 2.0  # between two requests to the API
NODE_S: Final = 10.0  # between two runs of the command for a node's readiness
WITHDRAW_S: Final = 1.0  # between two attempts to withdraw what is being requested
RETRY_S: Final = 2.0  # after an effect that the store did not accept

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class EffectParts:
    """What effects need."""

    changes: RolloutChanges
    _: KW_ONLY
    arming: HostArming
    install_moves: InstallMoves
    power: BmcPower
    commands: OcneCommands
    files: ClusterFiles
    clock: Clock


class EffectRunner:
    """Runs effects as tasks until `end`."""

    def __init__(self, parts: EffectParts, *, on_done: Callable[[], None]) -> None:
        self._parts, self._on_done = parts, on_done
        self._running: dict[Effect, asyncio.Task[None]] = {}
        self.api_answers = False
        self.api_problem: str | None = None
        self.nodes_ready: set[HostName] = set()

    def begin(self, effects: Collection[Effect], rollout: Rollout) -> None:
        """Begin the effects that are not running."""
        for effect in effects:
            if effect not in self._running:
                self._running[effect] = asyncio.create_task(self._run(effect, rollout))

    @property
    def arming(self) -> frozenset[HostName]:
        """The hosts that are being armed."""
        return frozenset(effect.host for effect in self._running if isinstance(effect, Arm))

    async def end(self) -> None:
        """Cancel what runs; commands are killed, and run again later."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._running.clear()
        self.api_answers, self.api_problem = False, None
        self.nodes_ready.clear()

    async def _run(self, effect: Effect, rollout: Rollout) -> None:
        try:
            outcome = await self._outcome(effect, rollout)
            if outcome is not None:
                await self._apply(rollout, outcome, effect)
        except StoreError as error:  # the effect is requested again
            log.warning("rollout.effect_delayed", effect=str(effect), reason=str(error))
            await asyncio.sleep(RETRY_S)
        except Exception:  # of a part that is not ours to end the rollout
            log.exception("rollout.effect_failed", effect=str(effect))
            await asyncio.sleep(RETRY_S)
        finally:
            self._running.pop(effect, None)
            self._on_done()

    async def _apply(self, rollout: Rollout, outcome: Move, effect: Effect) -> None:
        """Apply an outcome, also if the store fails for a while: a command is not requested again. Ends by `end`."""
        while True:
            try:
                await self._parts.changes.apply(rollout.id, outcome)
            except StoreError as error:
                log.warning("rollout.outcome_delayed", effect=str(effect), reason=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _outcome(self, effect: Effect, rollout: Rollout) -> Move | None:
        match effect:
            case Arm(host):
                return await self._arm(rollout, host)
            case PowerOn(host):
                return await self._power_on(rollout, host)
            case WithdrawPower(host):
                return await self._withdraw_power(rollout, host)
            case Disarm(host, armed_at):
                reason, actor = f"rollout {rollout.id}", _actor(rollout)
                await self._parts.install_moves.cancel(host, reason=reason, actor=actor, armed_at=armed_at)
                return None
            case RunCommand(kind):
                return await self._run_command(rollout, kind)
            case CheckApi():
                await self._check_api()
                return None
            case CheckNode(host):
                if await self._parts.commands.is_node_ready(host):
                    self.nodes_ready.add(host)
                else:
                    await asyncio.sleep(NODE_S)
                return None
            case _:
                assert_never(effect)

    async def _arm(self, rollout: Rollout, host: HostName) -> Move:
        reason, moves = rollout.arming_reason(_host(rollout, host)), self._parts.install_moves
        made = [move for move in await moves.history(host) if move.what == "armed" and move.note == reason]
        if made:
            return partial(outcomes.armed, host=host, at=made[-1].at)
        request = ArmRequest([host], reason=reason)
        try:
            await self._parts.arming.arm(request, actor=_actor(rollout))
        except StoreError:
            raise
        except NetbootError as error:
            return partial(outcomes.not_armed, host=host, reason=str(error), at=self._parts.clock.now())
        arming = (await moves.read(host)).arming
        return partial(outcomes.armed, host=host, at=arming.at if arming is not None else self._parts.clock.now())

    async def _power_on(self, rollout: Rollout, host: HostName) -> Move:
        power, request_id = self._parts.power, _power_request_id(rollout, host)
        to_press = await power.power_on_to_network(host, request_id=request_id, actor=_actor(rollout))
        return partial(outcomes.powered, host=host, to_press=to_press, at=self._parts.clock.now())

    async def _withdraw_power(self, rollout: Rollout, host: HostName) -> Move | None:
        is_running = PowerOn(host) in self._running  # its end is the outcome, also if it was not stored yet
        await self._parts.power.withdraw(_power_request_id(rollout, host), reason=f"rollout {rollout.id}")
        if is_running:
            await asyncio.sleep(WITHDRAW_S)
            return None
        return partial(outcomes.powered, host=host, to_press=None, at=self._parts.clock.now())

    async def _run_command(self, rollout: Rollout, kind: CommandKind) -> Move:
        """Run a command, whose outcome is that of this run: another appliance may have begun another one."""
        host = rollout.replaces if kind in REMOVAL else None
        try:
            found = await self._parts.commands.run(kind, host=host)
        except Exception:  # it is requested once, so that its outcome is stored
            log.exception("rollout.effect_failed", effect=str(RunCommand(kind)))
            cure = "report it with its log (journalctl -u netboot)"
            found = CommandFailed("netboot met an unexpected fault", cure, is_final=True)
        move, began_at = self._outcome_of(kind, found), rollout.command(kind).began_at
        return lambda stored: move(stored) if stored.command(kind).began_at == began_at else stored

    def _outcome_of(self, kind: CommandKind, found: CommandOutcome) -> Move:
        at = self._parts.clock.now()
        match found:
            case CommandDone(ending):
                return partial(outcomes.command_done, kind=kind, at=at, detail=ending)
            case CommandFailed(reason, cure, is_final):
                return partial(outcomes.command_failed, kind=kind, detail=reason, at=at, cure=cure, is_final=is_final)
            case Printed(count):
                return partial(outcomes.command_printed, kind=kind, printed=count, at=at)

    async def _check_api(self) -> None:
        api = await asyncio.to_thread(self._parts.files.api)
        problem = await api_problem(api.endpoint, api.ca_pem) if isinstance(api, ApiPlace) else api
        self.api_answers, self.api_problem = problem is None, problem
        if problem is not None:
            with suppress(asyncio.TimeoutError):
                await asyncio.sleep(API_S)


def _power_request_id(rollout: Rollout, host: HostName) -> str:
    return f"rollout-{rollout.id}-{_host(rollout, host).attempts}-{host}"


def _host(rollout: Rollout, host: HostName) -> RolloutHost:
    each = rollout.host(host)
    assert each is not None  # its effect was made from this rollout
    return each


def _actor(rollout: Rollout) -> Actor:
    return Actor(rollout.actor, Source.ROLLOUT)
