"""The state of a rollout after the outcome of an effect, and after what an operator requests. Pure."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from netboot.errors import RolloutError
from netboot.model.host.host import HostName
from netboot.model.rollout.command import CommandKind, CommandState
from netboot.model.rollout.rollout import Phase, PowerStep, Rollout, RolloutHost, RolloutPart, RolloutState
from netboot.operate.rollout.decision import person_texts


def armed(rollout: Rollout, host: HostName, at: datetime) -> Rollout:
    """Return a rollout after a host was armed for it."""
    each = rollout.host(host)
    if each is None or each.phase is not Phase.POWERING or each.armed_at is not None:
        return rollout
    return rollout.with_host(replace(each, armed_at=at))


def not_armed(rollout: Rollout, host: HostName, reason: str, *, at: datetime) -> Rollout:
    each = rollout.host(host)
    if each is None or each.phase is not Phase.POWERING:
        return rollout
    return rollout.with_host(each.moved_to(Phase.FAILED, at=at, reason=reason))


def powered(rollout: Rollout, host: HostName, to_press: person_texts.ToPress | None, *, at: datetime) -> Rollout:
    """Return a rollout after a machine was powered on; `to_press`: what a person must do in its place."""
    each = rollout.host(host)
    if each is None or each.power is not PowerStep.REQUESTED:
        return rollout
    is_sent = to_press is not None and to_press.is_sent
    each = replace(each, power=PowerStep.SENT if is_sent else PowerStep.DONE)
    if each.phase is Phase.POWERING and to_press is not None:
        each = each.moved_to(Phase.NEEDS_PERSON, at=at, reason=to_press.text)
    elif each.phase is Phase.POWERING:
        each = replace(each, changed_at=at)  # its limit begins: its BMC may have been waited for
    return rollout.with_host(each)


def command_done(rollout: Rollout, kind: CommandKind, at: datetime, *, detail: str) -> Rollout:
    """Return a rollout after a command was run; `detail`: how it ended."""
    command = rollout.command(kind)
    return rollout.with_command(command.done(at, detail)) if command.state is CommandState.RUNNING else rollout


def command_failed(
    rollout: Rollout, kind: CommandKind, detail: str, *, at: datetime, cure: str = "", is_final: bool = False
) -> Rollout:
    """Return a rollout after a command failed; `cure`: what a person corrects; `is_final`: before it is repeated."""
    command = rollout.command(kind)
    if command.state is not CommandState.RUNNING:
        return rollout
    return rollout.with_command(command.failed(detail, at, cure=cure, is_final=is_final))


def command_printed(rollout: Rollout, kind: CommandKind, printed: int, *, at: datetime) -> Rollout:
    """Return a rollout after a command printed `printed` others, which a person runs and confirms."""
    command = rollout.command(kind)
    if command.state is not CommandState.RUNNING:
        return rollout
    return rollout.with_command(command.for_a_person(person_texts.of_printed(printed), at, printed))


def paused(rollout: Rollout, reason: str) -> Rollout:
    """Return a rollout that begins nothing new; raise RolloutError."""
    _refuse_ended(rollout, "pause")
    if rollout.state is RolloutState.PAUSED:
        raise RolloutError(f"the rollout is paused already ({rollout.reason}); netboot cluster rollout resume")
    return replace(rollout, state=RolloutState.PAUSED, reason=reason or "by an operator")


def resumed(rollout: Rollout) -> Rollout:
    """Return a rollout that goes on: failed hosts are accepted, and failed commands run again."""
    _refuse_ended(rollout, "resume")
    if rollout.state is not RolloutState.PAUSED:
        raise RolloutError("the rollout is not paused; netboot cluster rollout show")
    for command in rollout.commands.values():
        if command.state is CommandState.FAILED:
            rollout = rollout.with_command(command.renewed())
    return replace(rollout, state=RolloutState.RUNNING, reason="", forgiven=rollout.failed)


def cancelled(rollout: Rollout, names: Collection[str], *, at: datetime, reason: str) -> Rollout:
    """Return a rollout without these hosts, without any host if none is named; raise RolloutError."""
    _refuse_ended(rollout, "cancel")
    wanted = [_host(rollout, name) for name in names] or [each for each in rollout.hosts if not each.is_over]
    for each in wanted:
        _refuse(cancel_refusal(each))
    for each in wanted:
        rollout = rollout.with_host(each.moved_to(Phase.CANCELLED, at=at, reason=reason or "by an operator"))
    return rollout


def retried(rollout: Rollout, name: str, *, at: datetime) -> Rollout:
    """Return a rollout that installs a failed or cancelled host again; raise RolloutError."""
    _refuse_ended(rollout, "retry")
    each = _host(rollout, name)
    _refuse(full_retry_refusal(rollout, each))
    was_failed = each.phase is Phase.FAILED
    rollout = rollout.with_host(each.retried(at=at))
    return replace(rollout, forgiven=max(rollout.forgiven - was_failed, 0))


def cancel_refusal(each: RolloutHost) -> str | None:
    """Return why a host cannot leave its active rollout; None: it can."""
    return f"cannot cancel {each.host} in the rollout: it is {each.phase}" if each.is_over else None


def full_retry_refusal(rollout: Rollout, each: RolloutHost) -> str | None:
    """Return the sentence with which a retry of a host of an active rollout is refused now; None: it is not."""
    if each.phase not in (Phase.FAILED, Phase.CANCELLED):
        return f"cannot retry {each.host} in the rollout: it is {each.phase}, not failed"
    refusal = retry_refusal(rollout, each)
    if each.power is PowerStep.REQUESTED:
        refusal = "its power-on is being withdrawn; try again in a minute"
    return f"cannot retry {each.host} in the rollout: {refusal}" if refusal is not None else None


def retry_refusal(rollout: Rollout, each: RolloutHost) -> str | None:
    """Return why a host must not be installed again by a retry, with the cure; None: it may be."""
    if each.part is RolloutPart.INIT:
        if rollout.api_answered_at is None:
            return None  # nothing has joined what it began to start
        return (
            "the cluster that it started answers, and its keys must not start another one; remove that cluster and its "
            "files, or mend the node by hand, then begin a new rollout"
        )
    if each.served_at is None:
        return None
    return (
        f"it got the Ignition of its role at {each.served_at:%Y-%m-%d %H:%M} UTC and may be a node, whose loss may "
        "cost the cluster its quorum; mend it by hand, or end this rollout (netboot cluster rollout cancel), then "
        f"remove and install it: netboot cluster rollout --replace {each.host}"
    )


def confirmable(rollout: Rollout) -> CommandKind:
    """Return the command that a person confirms; raise RolloutError if the rollout waits for none."""
    _refuse_ended(rollout, "confirm")
    for command in rollout.commands.values():
        is_for_a_file = command.kind in person_texts.SET_BY_FILE and not command.printed
        if command.may_be_confirmed and not is_for_a_file:
            return command.kind
    raise RolloutError("the rollout waits for no confirmation; netboot cluster status has the next command")


def confirmed(rollout: Rollout, kind: CommandKind, at: datetime) -> Rollout:
    command = rollout.command(kind)
    if not command.may_be_confirmed:
        return rollout
    return rollout.with_command(command.done(at, person_texts.DONE))


def _host(rollout: Rollout, name: str) -> RolloutHost:
    each = rollout.host(name)
    if each is None:
        raise RolloutError(f"{name} is not in the rollout; netboot cluster rollout show lists its hosts")
    return each


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise RolloutError(reason)


def _refuse_ended(rollout: Rollout, what: str) -> None:
    if not rollout.is_active:
        raise RolloutError(f"cannot {what} the rollout: it is {rollout.state}; netboot cluster rollout begins another")
