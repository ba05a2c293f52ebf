"""When each host of an active rollout is expected to be installed, to join and to be ready: the schedule from now on.

Pure. It has the decisions and durations of the schedule, and begins with the rollout as it is. It states what happens
if everything takes what is usual: what is later than usual is expected now, and no limit of a phase ends it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from netboot.model.host.host import HostName
from netboot.model.host.role_ignition import RoleUse
from netboot.model.install.install import InstallState
from netboot.model.rollout.command import FILE_OF, RETRY_AFTER, CommandState, RolloutCommand
from netboot.model.rollout.rollout import (
    INSTALLS,
    OVER,
    Phase,
    PowerStep,
    Rollout,
    RolloutHost,
    RolloutPart,
    RolloutState,
)
from netboot.operate.rollout.decision.host_moves import host_after
from netboot.operate.rollout.decision.observed import NOTHING_SEEN, FileInPlace, Observed, ObservedInstall, Rules
from netboot.operate.rollout.decision.schedule import Durations, Happening, PlannedHost, UsualCourse

_NO_LIMIT: Final = timedelta(days=36500)
# Of hosts under way times hosts to come. Each time at which something happens costs a decision on all that are under
# way, and leads to others: in a larger rollout hosts are installed in groups, so that what happens to them coincides.
_EXACT: Final = 1500
_GROUPS: Final = 30
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
PAUSED: Final = "the rollout is paused, and what has not begun waits for netboot cluster rollout resume"


@dataclass(frozen=True, slots=True)
class ExpectedTimes:
    """When a host is expected to begin its install and to end it, to join and to be ready; None: it has, or unknown."""

    install_at: datetime | None = None
    installed_at: datetime | None = None
    join_at: datetime | None = None
    ready_at: datetime | None = None

    def to_come(self, phase: Phase) -> "ExpectedTimes":
        """Return these times without those that are past in a phase."""
        if phase in OVER:
            return ExpectedTimes()
        is_installed = phase in (Phase.INSTALLED, Phase.JOINING)
        return ExpectedTimes(
            self.install_at if phase is Phase.WAITING else None,
            None if is_installed else self.installed_at,
            None if phase is Phase.JOINING else self.join_at,
            self.ready_at,
        )


@dataclass(frozen=True, slots=True)
class Forecast:
    """The expected times of an active rollout. `reason`: why its end, and times of some hosts, are not known."""

    hosts: Mapping[HostName, ExpectedTimes] = field(default_factory=dict)
    ends_at: datetime | None = None
    reason: str = ""

    def of(self, each: RolloutHost) -> ExpectedTimes | None:
        """Return what is still to come of a host in its phase; None: nothing is known."""
        times = self.hosts.get(each.host, ExpectedTimes()).to_come(each.phase)
        return times if times != ExpectedTimes() else None


def forecast(
    rollout: Rollout,
    installs: Mapping[HostName, ObservedInstall],
    files: Mapping[RoleUse, FileInPlace],
    *,
    rules: Rules,
    durations: Durations,
    now: datetime,
) -> Forecast:
    """Return what is expected of an active rollout from now on."""
    to_come = [each for each in rollout.hosts if not each.is_over]
    if not to_come:
        return Forecast(reason="every host is over, and a command may still run")
    rules = replace(rules, boot_limit=_NO_LIMIT, install_limit=_NO_LIMIT, api_limit=_NO_LIMIT, join_limit=_NO_LIMIT)
    # One that is over changes nothing any longer, but without the first node no other one joins.
    kept = tuple(each for each in rollout.hosts if not each.is_over or each.part is RolloutPart.INIT)
    observed = Observed(installs, files)
    begun = replace(rollout, hosts=tuple(_served(each, rollout, observed, rules=rules, now=now) for each in kept))
    course = UsualCourse(
        begun,
        dict(installs),
        dict(files),
        rules,
        durations,
        now=now,
        has_api=rollout.has_cluster,
    )
    next_of_hosts = [
        (at, what, each.host)
        for each in begun.hosts
        for at, what in _expected(each, begun, installs.get(each.host, NOTHING_SEEN), durations, now)
    ]
    grids = _grids(len(to_come), len(next_of_hosts), rollout.options.max_parallel, durations)
    for at, what, host in next_of_hosts:
        course.expect(_rounded_up(at, grids.get(what)), what, host)
    for command in begun.commands.values():
        if (next_at := _next_of(command, durations, now)) is not None:
            is_open = command.state in (CommandState.RUNNING, CommandState.NEEDS_PERSON)
            course.expect(next_at, Happening.COMMAND if is_open else Happening.NOTHING, command.kind)
    found = course.run(to_come)
    reason = "" if found.ends_at is not None else _why_endless(rollout)
    times = {each.host: _times(each) for each in found.hosts}
    for installed_at, what, host in next_of_hosts:  # as it is known
        if what is Happening.INSTALLED:
            times[host] = replace(times[host], installed_at=max(installed_at, now))
    return Forecast({each.host: times[each.host].to_come(each.phase) for each in to_come}, found.ends_at, reason)


def _served(each: RolloutHost, rollout: Rollout, observed: Observed, *, rules: Rules, now: datetime) -> RolloutHost:
    """Let a host that may join have fetched its file: its system requests it every few seconds."""
    if each.phase is not Phase.JOINING or each.served_at is not None:
        return each
    stays = host_after(each, rollout, observed, rules=rules, now=now).phase is Phase.JOINING
    return replace(each, served_at=now) if stays else each


def _expected(
    each: RolloutHost, rollout: Rollout, install: ObservedInstall, usual: Durations, now: datetime
) -> Iterator[tuple[datetime, Happening]]:
    """Yield what happens next to a host that is under way, if no decision is needed for it."""
    since = each.changed_at or now
    if each.phase in INSTALLS and install.hold is not None:  # a person confirms the machine
        yield max(since + usual.boot + usual.person, now) + usual.writes, Happening.INSTALLED
        return
    match each.phase:
        case Phase.POWERING if each.power is PowerStep.DONE:
            yield max(since + usual.boot, now) + usual.writes, Happening.INSTALLED
        case Phase.NEEDS_PERSON:
            yield since + usual.person + usual.boot, Happening.BOOTS
        case Phase.INSTALLING:
            yield since + usual.writes, Happening.INSTALLED
        case Phase.INSTALLED if each.requested_at is None:
            yield since + usual.first_boot, Happening.REQUESTS
        case Phase.JOINING if each.served_at is not None:
            if install.state is not InstallState.READY:
                yield each.served_at + usual.join, Happening.JOINED
            if each.part is RolloutPart.INIT and rollout.api_answered_at is None:
                yield each.served_at + usual.api, Happening.ANSWERS


def _next_of(command: RolloutCommand, usual: Durations, now: datetime) -> datetime | None:
    """Return when a command ends, is confirmed by a person, or is decided on again; None: it waits for nothing."""
    match command.state:
        case CommandState.RUNNING:
            return (command.began_at or now) + usual.command
        case CommandState.NEEDS_PERSON:
            return (command.ended_at or now) + usual.person
        case CommandState.FAILED:
            return command.next_at
        case CommandState.DONE if command.kind in FILE_OF and command.ended_at is not None:
            return command.ended_at + RETRY_AFTER  # its file is missing then, or is used before
        case _:
            return None


def _grids(to_come: int, under_way: int, max_parallel: int, usual: Durations) -> Mapping[Happening, timedelta]:
    """Return to multiples of what the times of hosts under way are rounded up; nothing in a small rollout.

    The end of the rollout is later by this at most: what was rounded together stays together.
    """
    if to_come * under_way <= _EXACT:
        return {}
    minute = timedelta(minutes=1)
    installs = max(to_come / max_parallel, 1) * usual.install
    group = max(min(installs / _GROUPS, usual.install), minute)
    return {**dict.fromkeys(Happening, minute), Happening.BOOTS: group, Happening.INSTALLED: group}


def _rounded_up(at: datetime, grid: timedelta | None) -> datetime:
    return at if grid is None else at + (_EPOCH - at) % grid


def _times(planned: PlannedHost) -> ExpectedTimes:
    return ExpectedTimes(planned.install_at, planned.installed_at, planned.join_at, planned.ready_at)


def _why_endless(rollout: Rollout) -> str:
    init = next((each for each in rollout.of(RolloutPart.INIT) if each.is_over and each.phase is not Phase.READY), None)
    if init is not None:
        return f"no other host joins before {init.host} is ready, and it is {init.phase}"
    if rollout.state is RolloutState.PAUSED:
        return PAUSED
    if any(each.state is CommandState.FAILED for each in rollout.commands.values()):
        return "a command has failed"
    return "what comes next is not known"
