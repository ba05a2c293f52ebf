"""The phase of each host of a rollout, by what was observed of it and by the time. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from netboot.model.host.role_ignition import RoleUse
from netboot.model.install.install import MID_INSTALL, InstallState
from netboot.model.rollout.command import CommandKind
from netboot.model.rollout.rollout import Phase, PowerStep, Rollout, RolloutHost, RolloutPart
from netboot.operate.rollout.decision import person_texts
from netboot.operate.rollout.decision.observed import Observed, ObservedInstall, Rules

USE_OF: Final = {
    RolloutPart.INIT: RoleUse.INIT,
    RolloutPart.CONTROL_PLANE: RoleUse.CONTROL_PLANE,
    RolloutPart.WORKER: RoleUse.WORKER,
}


def host_after(each: RolloutHost, rollout: Rollout, observed: Observed, *, rules: Rules, now: datetime) -> RolloutHost:
    """Return a host after what was observed of it."""
    install = observed.install(each.host)
    is_ours = each.phase is not Phase.READY and (each.armed_at is not None or install.state is InstallState.INSTALLED)
    if is_ours and install.ignition_sha256 not in (None, each.ignition_sha256):
        each = replace(each, ignition_sha256=install.ignition_sha256)
    match each.phase:
        case Phase.WAITING:
            return _waiting(each, install, now)
        case Phase.POWERING | Phase.NEEDS_PERSON | Phase.INSTALLING:
            moved = _installing(each, install, now)
        case Phase.INSTALLED:
            moved = _installed(each, install, now)
        case Phase.JOINING:
            moved = _joining(each, install, rollout, observed, rules=rules, now=now)
        case Phase.FAILED:
            return _failed(each, install, rollout, observed, rules=rules, now=now)
        case _:
            return each
    return moved if moved.phase is not each.phase else _in_time(moved, install, rollout, rules=rules, now=now)


def _waiting(each: RolloutHost, install: ObservedInstall, now: datetime) -> RolloutHost:
    """Adopt an install that was made before: its disk is not written again."""
    if each.wants_install or install.is_armed:
        return each
    is_installed = install.state in (InstallState.INSTALLED, InstallState.READY)  # ready since it was requested
    return each.moved_to(Phase.INSTALLED, at=now) if is_installed else each


def _installing(each: RolloutHost, install: ObservedInstall, now: datetime) -> RolloutHost:
    if each.armed_at is None:
        return each
    has_changed = install.ignition_sha256 is not None  # each arming ends the token: no clock is needed
    if install.state is InstallState.INSTALLED and has_changed:
        return each.moved_to(Phase.INSTALLED, at=now)
    if install.state is InstallState.READY and has_changed:
        return each.moved_to(Phase.FAILED, at=now, reason="it reported that it is ready before it was let join")
    if install.state is InstallState.FAILED and has_changed:
        return each.moved_to(Phase.FAILED, at=now, reason=install.note or "its install failed")
    if not install.is_armed and install.state is not InstallState.INSTALLING:
        return each.moved_to(Phase.FAILED, at=now, reason="its arming was cancelled, or ended before it was installed")
    if install.hold is not None:
        return replace(each, reason=install.hold)
    # An offer counts as nothing: whoever sends a DISCOVER with its MAC causes one.
    if install.state in MID_INSTALL and has_changed and each.phase is not Phase.INSTALLING:
        return each.moved_to(Phase.INSTALLING, at=now)
    if each.phase is Phase.INSTALLING and each.reason:
        return replace(each, reason="", changed_at=now)  # the time for which it was held does not count
    return each


def _installed(each: RolloutHost, install: ObservedInstall, now: datetime) -> RolloutHost:
    if install.is_armed:
        return each.moved_to(Phase.FAILED, at=now, reason="it was armed anew by another request")
    if install.state is InstallState.READY and each.armed_at is None:  # adopted in its first boot
        if each.part is not RolloutPart.INIT:
            return each.moved_to(Phase.READY, at=now)
        return replace(each.moved_to(Phase.JOINING, at=now), served_at=now)  # its start is completed
    if install.state is not InstallState.INSTALLED:
        return each.moved_to(Phase.FAILED, at=now, reason=f"it is {install.state} before it was let join")
    return each


def _joining(
    each: RolloutHost, install: ObservedInstall, rollout: Rollout, observed: Observed, *, rules: Rules, now: datetime
) -> RolloutHost:
    if install.is_armed:
        return each.moved_to(Phase.FAILED, at=now, reason="it was armed anew by another request")
    if each.served_at is None:
        if each.permit is not None and not each.permit.is_valid(now):
            return each.moved_to(Phase.INSTALLED, at=now, reason="the secrets of its file ended before it fetched it")
        file = observed.files.get(USE_OF[each.part])
        if each.permit is not None and file is not None and file.sha256 != each.permit.sha256:
            return each.moved_to(Phase.INSTALLED, at=now, reason="its file was replaced before it fetched it")
        return each
    if install.state is not InstallState.READY:
        return each
    if each.part is RolloutPart.INIT and not has_started(rollout):
        return replace(each, reason=_of_the_start(rollout))
    if not _is_node_ready(each, observed, rules):
        return replace(each, reason="cluster.commands.ready does not succeed yet")
    return each.moved_to(Phase.READY, at=now)


def _failed(
    each: RolloutHost, install: ObservedInstall, rollout: Rollout, observed: Observed, *, rules: Rules, now: datetime
) -> RolloutHost:
    """Take a host that joined later than its limit: it is a node, and perhaps a member of etcd."""
    if each.served_at is None or install.is_armed or install.state is not InstallState.READY:
        return each
    if each.part is RolloutPart.INIT and not has_started(rollout):  # its node is ready after the second start
        return each.moved_to(Phase.READY, at=now) if rollout.api_answered_at is not None else each
    return each.moved_to(Phase.READY, at=now) if _is_node_ready(each, observed, rules) else each


def _is_node_ready(each: RolloutHost, observed: Observed, rules: Rules) -> bool:
    return not rules.has_ready_check or each.host in observed.nodes_ready


def has_started(rollout: Rollout) -> bool:
    """Return whether the cluster runs: its API answered, and its start was completed."""
    if rollout.api_answered_at is None:
        return False
    again = rollout.commands.get(CommandKind.START_AGAIN)  # of a cluster that was there: if it was not done before
    return again.is_done if again is not None else rollout.has_cluster


def _of_the_start(rollout: Rollout) -> str:
    if rollout.api_answered_at is None:
        return "the API of the cluster does not answer yet"
    return "the second start of the cluster is not done yet"


@dataclass(frozen=True, slots=True)
class Limit:
    """How long a phase may last, and what is stated if it lasts longer."""

    since: datetime
    length: timedelta
    what: str

    @property
    def at(self) -> datetime:
        return self.since + self.length

    def __str__(self) -> str:
        return f"{self.what} within {round(self.length / timedelta(minutes=1))} min"


def limit_of(each: RolloutHost, rollout: Rollout, rules: Rules) -> Limit | None:
    """Return the limit of the phase of a host; None: it has none."""
    if each.changed_at is None:
        return None
    served_at = each.served_at or each.changed_at
    match each.phase:
        case Phase.POWERING if each.power is PowerStep.DONE:
            return Limit(each.changed_at, rules.boot_limit, "it did not boot from the network")
        case Phase.INSTALLING:
            return Limit(each.changed_at, rules.install_limit, "its install did not end")
        case Phase.INSTALLED if each.requested_at is None:
            what = "its installed system did not request its Ignition (does the machine boot from its disk?)"
            return Limit(each.changed_at, rules.boot_limit, what)
        case Phase.JOINING if each.served_at is None:
            what = "it did not fetch the Ignition of its role (is its machine powered on?)"
            return Limit(each.changed_at, rules.boot_limit, what)
        case Phase.JOINING if each.part is RolloutPart.INIT and not has_started(rollout):
            if rollout.api_answered_at is not None:
                return None  # the second start has its own limit, or waits for a person
            return Limit(served_at, rules.api_limit, "the API of the cluster did not answer")
        case Phase.JOINING:
            started = rollout.command(CommandKind.START_AGAIN).ended_at if each.part is RolloutPart.INIT else None
            return Limit(started or served_at, rules.join_limit, "it did not become ready")
        case _:
            return None


def _in_time(
    each: RolloutHost, install: ObservedInstall, rollout: Rollout, *, rules: Rules, now: datetime
) -> RolloutHost:
    if each.phase is Phase.NEEDS_PERSON and each.power is PowerStep.SENT and each.changed_at is not None:
        has_not_booted = now >= each.changed_at + rules.boot_limit and install.hold is None
        return replace(each, power=PowerStep.DONE) if has_not_booted else each
    limit = limit_of(each, rollout, rules)
    if limit is None or now < limit.at or install.hold is not None:
        return each
    if each.phase is Phase.POWERING:
        return each.moved_to(Phase.NEEDS_PERSON, at=now, reason=f"{limit}; {person_texts.not_booted(each.host)}")
    return each.moved_to(Phase.FAILED, at=now, reason=str(limit))
