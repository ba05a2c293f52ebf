"""Changes a stored rollout, and emits what changed: the audit trail of a rollout is the list of these events."""

import logging
from collections.abc import Callable
from typing import Final

from netboot.errors import StoreError
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.model.rollout.command import CommandState
from netboot.model.rollout.rollout import Phase, Rollout, RolloutState
from netboot.store.rollouts.rollout_store import Rollouts
from netboot.telemetry.metrics import Metrics

ATTEMPTS: Final = 50  # each of them follows the write of another one
Move = Callable[[Rollout], Rollout]

_ENDS: Final = {CommandState.DONE, CommandState.FAILED, CommandState.NEEDS_PERSON}


class RolloutChanges:
    """The only way to change a rollout. Methods raise StoreError, and what a move raises."""

    def __init__(self, rollouts: Rollouts, events: EventBus, metrics: Metrics) -> None:
        self.rollouts, self._events, self._metrics = rollouts, events, metrics

    async def save(self, before: Rollout, after: Rollout) -> Rollout | None:
        """Store the next state of a rollout; None if it was changed meanwhile."""
        saved = await self.rollouts.save(before, after)
        if saved is not None:
            self._emit(before, saved, None)
        return saved

    async def apply(self, rollout_id: int, move: Move, *, actor: Actor | None = None) -> Rollout:
        """Apply a move to a rollout as it is now; it is applied again if another change was first."""
        for _ in range(ATTEMPTS):
            before = await self.rollouts.get(rollout_id)
            if before is None:
                raise StoreError(f"rollout {rollout_id} is not stored any longer")
            saved = await self.rollouts.save(before, move(before))
            if saved is not None:
                self._emit(before, saved, actor)
                return saved
        raise StoreError(f"cannot change rollout {rollout_id}: {ATTEMPTS} writers were first; try again")

    def begun(self, rollout: Rollout, actor: Actor) -> None:
        """Emit that a rollout began."""
        by = {"actor": actor.name, "source": actor.source.value}
        self._events.emit("rollout.began", {"rollout": rollout.id, "hosts": len(rollout.hosts), **by})

    def _emit(self, before: Rollout, after: Rollout, actor: Actor | None) -> None:
        by: dict[str, str | int] = {"rollout": after.id}
        if actor is not None:
            by |= {"actor": actor.name, "source": actor.source.value}
        for old, new in zip(before.hosts, after.hosts, strict=True):
            if old.phase is new.phase:
                continue
            data = {**by, "from": old.phase.value, "to": new.phase.value, "reason": new.reason or None}
            level = logging.ERROR if new.phase is Phase.FAILED else logging.INFO
            level = logging.WARNING if new.phase is Phase.NEEDS_PERSON else level
            self._events.emit("rollout.host_moved", data, host=new.host, level=level)
        for kind, command in after.commands.items():
            if command.state is before.command(kind).state or command.state not in _ENDS:
                continue
            data = {**by, "command": kind.value, "outcome": command.state.value, "reason": command.detail or None}
            level = logging.INFO if command.state is CommandState.DONE else logging.WARNING
            self._events.emit("rollout.command_ended", data, level=level)
            self._metrics.count("rollout_commands", command=kind.value, outcome=command.state.value)
        if before.state is not after.state:
            self._emit_state(after, by)

    def _emit_state(self, after: Rollout, by: dict[str, str | int]) -> None:
        match after.state:
            case RolloutState.PAUSED:
                self._events.emit("rollout.paused", {**by, "reason": after.reason}, level=logging.WARNING)
            case RolloutState.RUNNING:
                self._events.emit("rollout.resumed", by)
            case RolloutState.ENDED | RolloutState.CANCELLED:
                ready = sum(each.phase is Phase.READY for each in after.hosts)
                data = {**by, "outcome": after.state.value, "ready": ready, "failed": after.failed}
                self._events.emit("rollout.ended", data, level=logging.WARNING if after.failed else logging.INFO)
