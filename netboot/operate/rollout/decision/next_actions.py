"""What a rollout does next: its state and what was observed go in, its next state and the effects come out.

Pure. The caller stores the state first, then does the effects, and applies their outcomes by `outcomes`. Each effect
is requested so that a daemon that is killed between any two steps neither forgets nor repeats it.

Order: the init host is installed first, all disks as early as `max_parallel` allows. The init host starts the cluster;
when its API answers, the start is completed. Then control planes join one after the other, each with a file whose
secrets last; then workers, `max_parallel` at a time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from netboot.model.host.role_ignition import RoleUse
from netboot.model.install.install import MID_INSTALL, InstallState
from netboot.model.rollout.command import FILE_OF, REMOVAL, RETRY_AFTER, CommandKind, CommandState, RolloutCommand
from netboot.model.rollout.rollout import (
    JoinPermit,
    Phase,
    PowerStep,
    Rollout,
    RolloutHost,
    RolloutPart,
    RolloutState,
)
from netboot.operate.rollout.decision import person_texts
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
from netboot.operate.rollout.decision.host_moves import USE_OF, has_started, host_after
from netboot.operate.rollout.decision.observed import FIRST_LIFETIME, MARGIN, FileInPlace, Observed, Rules

_ORDER: Final = {part: number for number, part in enumerate(RolloutPart)}
JOIN_OF: Final = {
    RolloutPart.CONTROL_PLANE: CommandKind.JOIN_CONTROL_PLANE,
    RolloutPart.WORKER: CommandKind.JOIN_WORKER,
}
_MADE_BY: Final = {use: kind for kind, use in FILE_OF.items()}


@dataclass(frozen=True, slots=True)
class RolloutStep:
    """The next state of a rollout, and what is done once it is stored."""

    rollout: Rollout
    effects: tuple[Effect, ...]


def next_step(rollout: Rollout, observed: Observed, *, rules: Rules, now: datetime) -> RolloutStep:
    """Return the next state of a rollout and the effects that it begins or continues."""
    if not rollout.is_active:
        return RolloutStep(rollout, ())
    rollout = _observe(rollout, observed, rules=rules, now=now)
    begun: list[Effect] = []
    if rollout.state is RolloutState.RUNNING:
        rollout, begun = _begin(rollout, observed, rules=rules, now=now)
    return RolloutStep(rollout, (*_continued(rollout, observed, rules), *begun))


def interrupted(rollout: Rollout, *, lost_start_at: datetime | None = None) -> Rollout:
    """Return a rollout whose daemon ended: the commands that ran then run again.

    `lost_start_at`: the first start ran on another appliance, which may have made the keys of the cluster; a person
    decides from then on.
    """
    for command in rollout.commands.values():
        if command.state is not CommandState.RUNNING:
            continue
        if command.kind is CommandKind.START and lost_start_at is not None:
            rollout = rollout.with_command(command.for_a_person(person_texts.LOST_START, lost_start_at))
        else:
            rollout = rollout.with_command(command.interrupted())
    return rollout


def _observe(rollout: Rollout, observed: Observed, *, rules: Rules, now: datetime) -> Rollout:
    hosts = tuple(host_after(each, rollout, observed, rules=rules, now=now) for each in rollout.hosts)
    rollout = replace(rollout, hosts=hosts)
    rollout = replace(rollout, forgiven=min(rollout.forgiven, rollout.failed))
    if rollout.api_answered_at is None and observed.api_answers and _may_answer(rollout):
        rollout = replace(rollout, api_answered_at=now)
    rollout = _with_files_set(rollout, observed, now)
    if _is_over(rollout, observed):
        is_cancelled = all(each.phase is Phase.CANCELLED for each in rollout.hosts)
        state = RolloutState.CANCELLED if is_cancelled else RolloutState.ENDED
        return replace(rollout, state=state, reason="", ended_at=now)
    if rollout.state is RolloutState.RUNNING and rollout.has_spent_its_budget:
        count = "1 host" if rollout.failed == 1 else f"{rollout.failed} hosts"
        reason = f"{count} failed, and the failure budget is {rollout.options.failure_budget}"
        return replace(rollout, state=RolloutState.PAUSED, reason=reason)
    return rollout


def _with_files_set(rollout: Rollout, observed: Observed, now: datetime) -> Rollout:
    """Return a rollout after a person set a file for which it waited."""
    for kind, use in FILE_OF.items():
        command = rollout.command(kind)
        if command.state is CommandState.NEEDS_PERSON and observed.file(use, now) is not None:
            rollout = rollout.with_command(command.done(now, person_texts.DONE))
    return rollout


def _may_answer(rollout: Rollout) -> bool:
    """Return whether an answer of the API is that of this cluster: its first node got its Ignition."""
    return rollout.has_cluster or any(each.served_at is not None for each in rollout.of(RolloutPart.INIT))


def _is_over(rollout: Rollout, observed: Observed) -> bool:
    if not all(each.is_over and each.host not in observed.arming for each in rollout.hosts):
        return False
    if any(map(_is_power_open, rollout.hosts)):
        return False
    if next(_disarms(rollout, observed), None) is not None:
        return False
    return all(each.state is not CommandState.RUNNING for each in rollout.commands.values())


def _continued(rollout: Rollout, observed: Observed, rules: Rules) -> Iterator[Effect]:
    """Yield what was begun before, and what is only observed: a pause does not stop it."""
    yield from _disarms(rollout, observed)
    yield from (WithdrawPower(each.host) for each in rollout.hosts if _is_power_open(each))
    for each in rollout.hosts:
        if each.phase is Phase.POWERING and each.armed_at is None:
            yield Arm(each.host)
        if each.phase is Phase.POWERING and each.power is PowerStep.REQUESTED:
            yield PowerOn(each.host)
    if rollout.api_answered_at is None and _may_answer(rollout):
        yield CheckApi()
    if rules.has_ready_check:
        for each in rollout.hosts:
            is_up = each.served_at is not None and observed.install(each.host).state is InstallState.READY
            if (
                each.phase in (Phase.JOINING, Phase.FAILED)
                and is_up
                and (each.part is not RolloutPart.INIT or has_started(rollout))
            ):
                yield CheckNode(each.host)


def _is_power_open(each: RolloutHost) -> bool:
    """Return whether a power-on was requested for a host that is over, and its outcome is not stored."""
    return each.phase in (Phase.FAILED, Phase.CANCELLED) and each.power is PowerStep.REQUESTED


def _disarms(rollout: Rollout, observed: Observed) -> Iterator[Effect]:
    """Yield the armings of hosts that are over: also those that were made while their hosts were cancelled."""
    for each in rollout.hosts:
        install = observed.install(each.host)
        if each.phase in (Phase.FAILED, Phase.CANCELLED) and install.is_armed_by(rollout, each):
            yield Disarm(each.host, install.armed_at)


def _begin(rollout: Rollout, observed: Observed, *, rules: Rules, now: datetime) -> tuple[Rollout, list[Effect]]:
    """Begin what may begin now; a command that failed for good pauses the rollout."""
    begun: list[Effect] = []
    for kind in _commands_due(rollout, observed, now):
        rollout = _command_begun(rollout, kind, rules=rules, now=now, begun=begun)
        if rollout.state is not RolloutState.RUNNING:
            return rollout, begun
    rollout = _permit(rollout, observed, now)
    rollout = _order_power(rollout, now)
    return _begin_installs(rollout, observed, now), begun


def _command_begun(rollout: Rollout, kind: CommandKind, *, rules: Rules, now: datetime, begun: list[Effect]) -> Rollout:
    command = rollout.command(kind)
    match command.state:
        case CommandState.RUNNING | CommandState.NEEDS_PERSON:
            return rollout
        case CommandState.FAILED if command.next_at is None:
            return replace(rollout, state=RolloutState.PAUSED, reason=f"{kind}: {command.detail}")
        case CommandState.FAILED if command.next_at is not None and now < command.next_at:
            return rollout
        case CommandState.DONE if command.ended_at is not None and now < command.ended_at + RETRY_AFTER:
            return rollout  # its file is observed soon
        case CommandState.DONE if kind is CommandKind.START:
            return rollout.with_command(command.for_a_person(person_texts.COPY_INIT, now))
        case CommandState.DONE if kind in rules.configured and _lasts(command, now):
            return rollout.with_command(command.failed(person_texts.NO_FILE, now))
        case CommandState.DONE:
            command = command.renewed()
        case CommandState.UNUSED | CommandState.FAILED:
            pass
    if kind not in rules.configured:
        return rollout.with_command(command.for_a_person(person_texts.of_command(kind, rollout.replaces), now))
    begun.append(RunCommand(kind))
    return rollout.with_command(command.begun(now))


def _lasts(command: RolloutCommand, now: datetime) -> bool:
    """Return whether the secrets of a command's file last: that it is missing is not their end."""
    return command.began_at is not None and now < command.began_at + FIRST_LIFETIME[FILE_OF[command.kind]] - MARGIN


def _commands_due(rollout: Rollout, observed: Observed, now: datetime) -> Iterator[CommandKind]:
    """Yield the commands whose result is needed now."""
    if not is_removed(rollout):
        yield next(kind for kind in REMOVAL if not rollout.command(kind).is_done)
        return
    init = next(rollout.of(RolloutPart.INIT), None)
    if init is not None:
        is_node = not init.wants_install and observed.install(init.host).state is InstallState.READY
        is_waiting = not init.is_over and init.served_at is None and not is_node
        if is_waiting and observed.file(RoleUse.INIT, now) is None:
            yield CommandKind.START
    has_first = rollout.has_cluster if init is None else init.phase in (Phase.JOINING, Phase.READY)
    if has_first and rollout.api_answered_at is not None and not has_started(rollout):
        yield CommandKind.START_AGAIN
    for part, kind in JOIN_OF.items():
        waits = may_join(rollout, part) and any(True for _ in _at_gate(rollout, part))
        if waits and observed.file(FILE_OF[kind], now) is None:
            yield kind


def is_removed(rollout: Rollout) -> bool:
    """Return whether the node that the rollout replaces has left the cluster; true if it replaces none."""
    return rollout.replaces is None or all(rollout.command(kind).is_done for kind in REMOVAL)


def may_join(rollout: Rollout, part: RolloutPart) -> bool:
    """Return whether a host of a part may join now."""
    return _free_joins(rollout, part) > 0


def _free_joins(rollout: Rollout, part: RolloutPart) -> int:
    """Return how many hosts of a part may join now: the parts before it are complete, and joins are free.

    Control planes join one after the other: a new certificate key voids the one before.
    """
    if part is RolloutPart.INIT:
        return 1
    if not has_started(rollout) or any(each.phase is not Phase.READY for each in rollout.of(RolloutPart.INIT)):
        return 0
    if part is RolloutPart.CONTROL_PLANE:
        return 1 - rollout.joining(part)
    is_after = all(each.is_over for each in rollout.of(RolloutPart.CONTROL_PLANE))
    return rollout.options.max_parallel - rollout.joining(part) if is_after else 0


def in_order(hosts: Iterable[RolloutHost]) -> list[RolloutHost]:
    """Return hosts in the order in which they begin."""
    return sorted(hosts, key=lambda each: _ORDER[each.part])


def _at_gate(rollout: Rollout, part: RolloutPart) -> Iterator[RolloutHost]:
    """Yield the hosts whose installed system requests its role's file."""
    return (each for each in rollout.of(part) if each.phase is Phase.INSTALLED and each.requested_at is not None)


def _permit(rollout: Rollout, observed: Observed, now: datetime) -> Rollout:
    """Let hosts join for which the file of their role is in place; it is being replaced while its command runs."""
    for part, use in USE_OF.items():
        if rollout.command(_MADE_BY[use]).state is CommandState.RUNNING:
            continue
        if (file := observed.file(use, now)) is not None:
            joining = [*_at_gate(rollout, part)][: max(_free_joins(rollout, part), 0)]
            rollout = rollout.with_hosts([_permitted(each, file, now) for each in joining])
    return rollout


def _permitted(each: RolloutHost, file: FileInPlace, now: datetime) -> RolloutHost:
    permit = JoinPermit(file.sha256, file.permitted_until, now)
    return replace(each.moved_to(Phase.JOINING, at=now), permit=permit, served_at=None)


def _order_power(rollout: Rollout, now: datetime) -> Rollout:
    """Power on the machines that were armed; without a BMC a person does it."""
    armed = [each for each in rollout.hosts if each.phase is Phase.POWERING and each.armed_at is not None]
    ordered = [each for each in armed if each.power is PowerStep.NONE]
    if rollout.options.power:
        return rollout.with_hosts([replace(each, power=PowerStep.REQUESTED) for each in ordered])
    return rollout.with_hosts(
        [each.moved_to(Phase.NEEDS_PERSON, at=now, reason=person_texts.PRESS) for each in ordered]
    )


def _begin_installs(rollout: Rollout, observed: Observed, now: datetime) -> Rollout:
    """Begin installs in the order of the parts, `max_parallel` at a time."""
    if not is_removed(rollout):
        return rollout
    waiting = [each for each in rollout.hosts if each.phase is Phase.WAITING]
    free = max(rollout.options.max_parallel - rollout.installs(), 0)
    begun = []
    for each in in_order(waiting)[:free]:
        install = observed.install(each.host)
        if install.is_armed and install.state in MID_INSTALL:  # an operator armed it before; its limit has begun
            moved = each.moved_to(Phase.INSTALLING, at=install.changed_at or now)
            moved = replace(moved, armed_at=install.armed_at or now, power=PowerStep.DONE)
        else:
            moved = replace(each.moved_to(Phase.POWERING, at=now), attempts=each.attempts + 1)
        begun.append(moved)
    return rollout.with_hosts(begun)
