"""What an operator sees of a rollout and of the cluster: hosts, deadlines, and the next command. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from netboot.model.host.host import HostName, HostSet, Role
from netboot.model.host.role_ignition import RoleUse
from netboot.model.install.install import Install, InstallState
from netboot.model.rollout.command import CommandKind, CommandState, RolloutCommand
from netboot.model.rollout.rollout import Phase, Rollout, RolloutHost, RolloutOptions, RolloutPart, RolloutState
from netboot.operate.rollout.decision import person_texts
from netboot.operate.rollout.decision.forecast import ExpectedTimes, Forecast
from netboot.operate.rollout.decision.host_moves import limit_of
from netboot.operate.rollout.decision.next_actions import is_removed, may_join
from netboot.operate.rollout.decision.observed import FileInPlace, Rules
from netboot.operate.rollout.decision.outcomes import retry_refusal


@dataclass(frozen=True, slots=True)
class RolloutHostStatus:
    """One host. `waits_since`: its installed system requests its role's file; `limit_at`: then it fails.

    `expected`: what is still to come of it, estimated; None: nothing is known.
    """

    host: HostName
    part: RolloutPart
    phase: Phase
    since: datetime | None
    reason: str
    attempts: int
    waits_since: datetime | None
    permitted_until: datetime | None
    limit_at: datetime | None
    expected: ExpectedTimes | None


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """A rollout. `api_problem`: why the API of the cluster did not answer last; `next_command`: for a person.

    `expected_end_at`: when every host is ready if everything takes what is usual; None: it has ended, or
    `no_expected_end` has the reason.
    """

    id: int
    state: RolloutState
    reason: str
    began_at: datetime
    ended_at: datetime | None
    actor: str
    options: RolloutOptions
    replaces: HostName | None
    api_answered_at: datetime | None
    api_problem: str | None
    hosts: Sequence[RolloutHostStatus]
    commands: Sequence[RolloutCommand]
    next_command: str | None
    expected_end_at: datetime | None
    no_expected_end: str | None


@dataclass(frozen=True, slots=True)
class ClusterNodeStatus:
    """A declared host as a node: its install, and its phase in the active rollout."""

    host: HostName
    role: Role
    is_init: bool
    state: InstallState
    is_armed: bool
    phase: Phase | None
    reason: str


@dataclass(frozen=True, slots=True)
class ClusterDeadline:
    """When the first secret of the file of a use ends."""

    use: RoleUse
    at: datetime


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The cluster. `endpoint` None: no file has the address of its API."""

    name: str
    endpoint: str | None
    nodes: Sequence[ClusterNodeStatus]
    deadlines: Sequence[ClusterDeadline]
    rollout: RolloutStatus | None
    next_command: str | None


def rollout_status(
    rollout: Rollout, rules: Rules, *, forecast: Forecast | None = None, api_problem: str | None = None
) -> RolloutStatus:
    """Show a rollout; `forecast`: of one that is active."""
    expected = forecast if forecast is not None and rollout.is_active else Forecast()
    return RolloutStatus(
        rollout.id,
        rollout.state,
        rollout.reason,
        rollout.began_at,
        rollout.ended_at,
        rollout.actor,
        rollout.options,
        rollout.replaces,
        rollout.api_answered_at,
        None if rollout.api_answered_at is not None else api_problem,
        [_host(each, rollout, rules, expected) for each in rollout.hosts],
        [each for each in (rollout.command(kind) for kind in CommandKind) if each.state is not CommandState.UNUSED],
        next_command(rollout),
        expected.ends_at,
        expected.reason or None,
    )


def _host(each: RolloutHost, rollout: Rollout, rules: Rules, expected: Forecast) -> RolloutHostStatus:
    limit = limit_of(each, rollout, rules) if rollout.is_active else None
    return RolloutHostStatus(
        each.host,
        each.part,
        each.phase,
        each.changed_at,
        each.reason or waits_for(each, rollout),
        each.attempts,
        each.requested_at if each.phase is Phase.INSTALLED else None,
        each.permit.until if each.permit is not None else None,
        limit.at if limit is not None else None,
        expected.of(each),
    )


def waits_for(each: RolloutHost, rollout: Rollout) -> str:
    """Return a sentence of what a host waits for that nobody holds up; empty: nothing."""
    if not rollout.is_active:
        return ""
    if each.phase is Phase.WAITING:
        return (
            "waits for its turn to be installed"
            if is_removed(rollout)
            else f"{rollout.replaces} leaves the cluster first"
        )
    if each.phase is not Phase.INSTALLED:
        return ""
    if each.requested_at is None:
        return "waits for the first boot of its installed system"
    if may_join(rollout, each.part):
        return "waits for the Ignition file of its role"
    init = next((one for one in rollout.of(RolloutPart.INIT) if one.phase is not Phase.READY), None)
    if init is not None:
        return "waits for the first node of the cluster" + (f", which is {init.phase}" if init.is_over else "")
    return "waits for its turn to join"


def next_command(rollout: Rollout) -> str | None:
    """Return what a person does next for a rollout; None: nothing."""
    if not rollout.is_active:
        return None
    command = next((each for each in rollout.commands.values() if each.state is CommandState.NEEDS_PERSON), None)
    if command is not None:
        return command.detail
    failed = next(
        (each for each in rollout.hosts if each.phase is Phase.FAILED and retry_refusal(rollout, each) is None), None
    )
    cures = [each.cure for each in rollout.commands.values() if each.state is CommandState.FAILED and each.cure]
    if cures and rollout.state is RolloutState.PAUSED:
        return f"{cures[0]}, then netboot cluster rollout resume"
    init = next((each for each in rollout.of(RolloutPart.INIT) if each.is_over and each.phase is not Phase.READY), None)
    if init is not None:
        return first_node_steps(init, rollout)
    removal = next((each for each in rollout.commands.values() if each.has_failed_to_remove), None)
    if removal is not None:
        return removal_steps(removal, rollout)
    if rollout.state is RolloutState.PAUSED:
        return retry_steps(failed.host, rollout.state) if failed is not None else "netboot cluster rollout resume"
    person = next((each for each in rollout.hosts if each.phase is Phase.NEEDS_PERSON), None)
    if person is not None:
        return f"{person.host}: {person.reason}"
    return retry_steps(failed.host, rollout.state) if failed is not None else None


def first_node_steps(init: RolloutHost, rollout: Rollout) -> str:
    """Return what a person does after the first node failed or was cancelled: the others wait for it."""
    refusal = retry_refusal(rollout, init)
    if refusal is None:
        return retry_steps(init.host, rollout.state)
    return f"no other host joins before {init.host} is ready, and it is {init.phase}: {refusal}"


def removal_steps(command: RolloutCommand, rollout: Rollout) -> str:
    """Return what a person does after a step of a removal failed, which may have been done before."""
    resume = "netboot cluster rollout resume"
    return (
        f"{resume}, which runs {command.kind} of {rollout.replaces} again; if that is done already: "
        f"{person_texts.CONFIRM}, then {resume}"
    )


def retry_steps(host: HostName, state: RolloutState) -> str:
    """Return how a failed host is installed again."""
    then = ", then netboot cluster rollout resume" if state is RolloutState.PAUSED else ""
    return f"netboot cluster rollout retry {host}{then}"


def cluster_status(
    hosts: HostSet,
    installs: Mapping[HostName, Install],
    files: Mapping[RoleUse, FileInPlace],
    rollout: RolloutStatus | None,
    *,
    endpoint: str | None,
) -> ClusterStatus:
    """Return every declared host as a node, control planes first, the first node before them."""
    phases = {each.host: each for each in rollout.hosts} if rollout is not None and rollout.ended_at is None else {}
    nodes = []
    for host in sorted(hosts, key=lambda each: (each.role is Role.WORKER, each.name != hosts.cluster.init)):
        install, phase = installs.get(host.name) or Install(host.name), phases.get(host.name)
        nodes.append(
            ClusterNodeStatus(
                host.name,
                host.role,
                host.name == hosts.cluster.init,
                install.state,
                install.is_armed,
                phase.phase if phase is not None else None,
                phase.reason if phase is not None else "",
            )
        )
    deadlines = [ClusterDeadline(use, file.until) for use, file in files.items() if file.until is not None]
    return ClusterStatus(hosts.cluster.name, endpoint, nodes, deadlines, rollout, _next(nodes, rollout))


def _next(nodes: Sequence[ClusterNodeStatus], rollout: RolloutStatus | None) -> str | None:
    if rollout is not None and rollout.ended_at is None:
        return rollout.next_command
    if all(node.state is InstallState.READY for node in nodes):
        return None
    return "netboot cluster rollout --plan"
