"""The stages of a rollout in their order: the first node, the API, the second start, control planes, workers. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from netboot.model.host.role_ignition import RoleUse
from netboot.model.rollout.command import REMOVAL, CommandKind, CommandState, RolloutCommand
from netboot.model.rollout.rollout import INSTALLS, OVER, Phase, RolloutPart
from netboot.operate.rollout.decision.schedule import secrets_end
from netboot.operate.rollout.rollout_status import RolloutHostStatus, RolloutStatus


class StageState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    NEEDS_PERSON = "needs-person"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RolloutStage:
    """One stage. `at`: when it was done; `until`: when the first secret of the file for its hosts ends."""

    title: str
    state: StageState
    text: str = ""
    at: datetime | None = None
    until: datetime | None = None


_OF_COMMAND: Final[Mapping[CommandState, StageState]] = {
    CommandState.UNUSED: StageState.WAITING,
    CommandState.RUNNING: StageState.RUNNING,
    CommandState.NEEDS_PERSON: StageState.NEEDS_PERSON,
    CommandState.DONE: StageState.DONE,
    CommandState.FAILED: StageState.FAILED,
}
_JOINS: Final = (
    ("Control planes", RolloutPart.CONTROL_PLANE, CommandKind.JOIN_CONTROL_PLANE, RoleUse.CONTROL_PLANE),
    ("Workers", RolloutPart.WORKER, CommandKind.JOIN_WORKER, RoleUse.WORKER),
)


def stages_of(rollout: RolloutStatus, deadlines: Mapping[RoleUse, datetime]) -> tuple[RolloutStage, ...]:
    """Return the stages of a rollout; `deadlines`: when the first secret of the file of a use ends."""
    commands = {each.kind: each.state for each in rollout.commands}
    return (*_removal(rollout, commands), *_start(rollout, commands), *_joins(rollout, deadlines))


def _removal(rollout: RolloutStatus, commands: Mapping[CommandKind, CommandState]) -> Iterator[RolloutStage]:
    if rollout.replaces is None:
        return
    states = [_OF_COMMAND[commands.get(kind, CommandState.UNUSED)] for kind in REMOVAL]
    state = next((each for each in states if each is not StageState.DONE), StageState.DONE)
    text = f"{states.count(StageState.DONE)} of {', '.join(REMOVAL)} done"
    yield RolloutStage(f"{rollout.replaces} leaves the cluster", state, text)


def _start(rollout: RolloutStatus, commands: Mapping[CommandKind, CommandState]) -> Iterator[RolloutStage]:
    """Yield the stages until the cluster runs; without the first node only its API is awaited."""
    init = next((each for each in rollout.hosts if each.part is RolloutPart.INIT), None)
    answered = rollout.api_answered_at
    if init is not None:
        start = commands.get(CommandKind.START, CommandState.UNUSED)
        is_done = answered is not None and init.phase not in (Phase.FAILED, Phase.CANCELLED)
        state = StageState.DONE if is_done else _of_first(init, start)
        yield RolloutStage("First node", state, f"{init.host} is {init.phase}")
    may_answer = init is None or init.phase is Phase.JOINING
    if answered is not None:
        yield RolloutStage("API answers", StageState.DONE, at=answered)
    elif may_answer and rollout.ended_at is None:
        yield RolloutStage("API answers", StageState.RUNNING, rollout.api_problem or "")
    else:
        yield RolloutStage("API answers", StageState.WAITING)
    if init is not None:
        again = next((each for each in rollout.commands if each.kind is CommandKind.START_AGAIN), None)
        state = _OF_COMMAND[again.state if again is not None else CommandState.UNUSED]
        at = again.ended_at if again is not None and again.state is CommandState.DONE else None
        yield RolloutStage("Second start", state, "network and catalog", at)


def _of_first(init: RolloutHostStatus, start: CommandState) -> StageState:
    match init.phase:
        case Phase.FAILED | Phase.CANCELLED:
            return StageState.FAILED
        case Phase.NEEDS_PERSON:
            return StageState.NEEDS_PERSON
        case Phase.WAITING:
            return StageState.WAITING
        case Phase.INSTALLED if start in (CommandState.NEEDS_PERSON, CommandState.FAILED):
            return _OF_COMMAND[start]
        case _:
            return StageState.RUNNING


def _joins(rollout: RolloutStatus, deadlines: Mapping[RoleUse, datetime]) -> Iterator[RolloutStage]:
    commands = {each.kind: each for each in rollout.commands}
    for title, part, kind, use in _JOINS:
        hosts, command = [each for each in rollout.hosts if each.part is part], commands.get(kind)
        if not hosts:
            continue
        state = _of_joins(hosts, command.state if command is not None else CommandState.UNUSED)
        is_open = rollout.ended_at is None and any(each.phase not in OVER for each in hosts)
        until = _printed_until(command, use) or deadlines.get(use)
        yield RolloutStage(title, state, _counted(hosts), until=until if is_open else None)


def _printed_until(command: RolloutCommand | None, use: RoleUse) -> datetime | None:
    """Return when the first secret ends that a command has printed for a person; None: it waits for nobody."""
    if command is None or command.state is not CommandState.NEEDS_PERSON or not command.printed:
        return None
    return secrets_end(use, command.began_at) if command.began_at is not None else None


def _of_joins(hosts: Sequence[RolloutHostStatus], command: CommandState) -> StageState:
    phases = {each.phase for each in hosts}
    if phases <= OVER:
        return StageState.DONE if phases == {Phase.READY} else StageState.FAILED
    if Phase.NEEDS_PERSON in phases or command is CommandState.NEEDS_PERSON:
        return StageState.NEEDS_PERSON
    if command is CommandState.FAILED:
        return StageState.FAILED
    is_running = Phase.JOINING in phases or phases & INSTALLS or command is CommandState.RUNNING
    return StageState.RUNNING if is_running else StageState.WAITING


def _counted(hosts: Sequence[RolloutHostStatus]) -> str:
    """Describe how many hosts are ready, and the phases of the others."""
    count = Counter(each.phase for each in hosts)
    others = [f"{count[phase]} {phase}" for phase in Phase if phase is not Phase.READY and count[phase]]
    return ", ".join([f"{count[Phase.READY]} of {len(hosts)} ready", *others])
