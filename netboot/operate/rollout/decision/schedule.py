"""The schedule of a rollout with its deadlines: its own decisions, with the durations that are usual. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import heappop, heappush
from typing import Final, assert_never

from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.host.host import HostName
from netboot.model.host.role_ignition import RoleUse
from netboot.model.install.event import Step as BootStep
from netboot.model.install.install import InstallState
from netboot.model.rollout.command import FILE_OF, RETRY_AFTER, CommandKind, CommandState
from netboot.model.rollout.rollout import Phase, Rollout, RolloutHost, RolloutPart
from netboot.operate.rollout.decision import outcomes
from netboot.operate.rollout.decision.effects import Arm, Effect, PowerOn, RunCommand
from netboot.operate.rollout.decision.next_actions import in_order, next_step
from netboot.operate.rollout.decision.observed import (
    FIRST_LIFETIME,
    MARGIN,
    FileInPlace,
    Observed,
    ObservedInstall,
    Rules,
)

_BOOT: Final = (BootStep.OFFER, BootStep.LOADER, BootStep.SCRIPT)  # until it is known to install
_INSTALL: Final = (
    *_BOOT, BootStep.KERNEL, BootStep.INITRD, BootStep.KICKSTART, BootStep.STAGE2, BootStep.CHECKS,
    BootStep.INSTALLING, BootStep.OSTREE, BootStep.POST, BootStep.INSTALLED,
)  # fmt: skip
_TURNS_PER_HOST: Final = 40


@dataclass(frozen=True, slots=True)
class Durations:
    """What is usual. `person`: until a person has done what is requested; `boot`: the part of an install before it is
    known that the machine boots its installer.
    """

    install: timedelta
    first_boot: timedelta  # from the end of an install to the request for the Ignition
    join: timedelta
    api: timedelta = timedelta(minutes=3)  # from the Ignition of the first node to the first answer of the API
    command: timedelta = timedelta(minutes=1)
    person: timedelta = timedelta(minutes=5)
    boot: timedelta = timedelta(0)

    @property
    def writes(self) -> timedelta:
        """The rest of an install after its boot."""
        return self.install - self.boot

    @classmethod
    def of(cls, expected: ExpectedDurations, loader: LoaderKind = LoaderKind.IPXE_UEFI) -> "Durations":
        def usual(*steps: BootStep) -> timedelta:
            return timedelta(seconds=round(sum(expected.of(step, loader).median_s for step in steps)))

        first_boot = usual(BootStep.LOCAL_BOOT, BootStep.IGNITION)
        return cls(usual(*_INSTALL), first_boot, usual(BootStep.READY), boot=usual(*_BOOT))


@dataclass(frozen=True, slots=True)
class PlannedHost:
    """When the install of a host begins and ends, and its join."""

    host: HostName
    part: RolloutPart
    install_at: datetime | None  # None: it is installed already
    installed_at: datetime | None
    join_at: datetime | None  # None: it does not join within the schedule
    ready_at: datetime | None


@dataclass(frozen=True, slots=True)
class PlannedCommand:
    """When a command ends. `deadline`: when the first secret of its file ends."""

    kind: CommandKind
    at: datetime
    is_configured: bool
    deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """What happens when. `margin_s`: a file is given to no host so long before its first secret ends."""

    hosts: tuple[PlannedHost, ...]
    commands: tuple[PlannedCommand, ...]
    ends_at: datetime | None
    margin_s: int = int(MARGIN.total_seconds())


def secrets_end(use: RoleUse, made_at: datetime) -> datetime | None:
    """Return when the first secret of a file ends that a command has made; None: it has none that ends."""
    lifetime = FIRST_LIFETIME.get(use)
    return made_at + lifetime if lifetime is not None else None


def schedule(
    rollout: Rollout,
    installs: Mapping[HostName, ObservedInstall],
    files: Mapping[RoleUse, FileInPlace],
    *,
    rules: Rules,
    durations: Durations,
) -> Schedule:
    """Return what happens when, if nothing fails and everything takes what is usual."""
    course = UsualCourse(
        rollout, dict(installs), dict(files), rules, durations, now=rollout.began_at, has_api=rollout.has_cluster
    )
    return course.run(rollout.hosts)


class _Resting:
    """The hosts of a rollout that its next decision does not concern: each decision costs a step for every host it has.

    Of those that wait for their install, and of those that wait for their join, it needs `max_parallel`, the first in
    order. A node that is ready is needed no longer, except the init host.
    """

    def __init__(self, rollout: Rollout) -> None:
        self._parallel = rollout.options.max_parallel
        self._rank = {each.host: rank for rank, each in enumerate(in_order(rollout.hosts))}
        self._to_install: list[tuple[int, RolloutHost]] = []  # heaps
        self._to_join: list[tuple[int, RolloutHost]] = []

    def apart(self, rollout: Rollout) -> Rollout:
        """Return a rollout with the hosts that its next decision concerns; the others rest."""
        active = []
        for each in rollout.hosts:
            if each.part is RolloutPart.INIT:
                active.append(each)
            elif each.phase is Phase.WAITING:
                heappush(self._to_install, (self._rank[each.host], each))
            elif each.phase is Phase.INSTALLED and each.requested_at is not None:
                heappush(self._to_join, (self._rank[each.host], each))
            elif each.phase is not Phase.READY:
                active.append(each)
        for resting in (self._to_install, self._to_join):
            active += [heappop(resting)[1] for _ in range(min(self._parallel, len(resting)))]
        return replace(rollout, hosts=tuple(sorted(active, key=lambda each: self._rank[each.host])))


class Happening(StrEnum):
    """What happens at a time of its own: to a host, or to a command (`COMMAND`: it ends)."""

    BOOTS = "boots"  # its installer, after a person has powered it on
    INSTALLED = "installed"
    REQUESTS = "requests"  # its installed system requests the Ignition of its role
    JOINED = "joined"
    ANSWERS = "answers"  # the API of the cluster
    COMMAND = "command"
    NOTHING = "nothing"  # a decision is due: a command is repeated


@dataclass(slots=True)
class UsualCourse:
    """Machines and a cluster that do everything in their usual time. `rollout`: without the hosts that rest."""

    rollout: Rollout
    installs: dict[HostName, ObservedInstall]
    files: dict[RoleUse, FileInPlace]
    rules: Rules
    durations: Durations
    now: datetime
    due: list[tuple[datetime, int, Happening, str]] = field(default_factory=list)
    has_api: bool = False
    times: dict[tuple[str, Phase], datetime] = field(default_factory=dict)
    commands: list[PlannedCommand] = field(default_factory=list)
    _resting: _Resting = field(init=False)
    _count: int = 0

    def __post_init__(self) -> None:
        self._resting = _Resting(self.rollout)

    def run(self, of: Sequence[RolloutHost]) -> Schedule:
        """Let everything happen; return the times of these hosts."""
        for _ in range(_TURNS_PER_HOST * (len(self.rollout.hosts) + 5)):
            if not self._turn():
                break
        return self._result(of)

    def expect(self, at: datetime, what: Happening, subject: str) -> None:
        """Let something happen at a time, at the earliest now."""
        self._count += 1
        heappush(self.due, (max(at, self.now), self._count, what, subject))

    def _turn(self) -> bool:
        """Do one step, or let the time pass until something happens; False: nothing does any longer."""
        before = self.rollout
        ready = {each.host for each in before.hosts if self._install(each.host).state is InstallState.READY}
        observed = Observed(self.installs, self.files, self.has_api, ready)
        step = next_step(before, observed, rules=self.rules, now=self.now)
        self.rollout = step.rollout
        self._note(before)
        done = [self._do(effect) for effect in step.effects]
        has_changed = any(done) or self.rollout != before
        self.rollout = self._resting.apart(self.rollout)
        if self.rollout.is_active and has_changed:
            return True
        if not self.rollout.is_active or not self.due:
            return False
        self.now = self.due[0][0]
        while self.due and self.due[0][0] == self.now:
            _, _, what, subject = heappop(self.due)
            self._happen(what, subject)
        return True

    def _note(self, before: Rollout) -> None:
        joining, has_event = [], {each[3] for each in self.due}
        for old, new in zip(before.hosts, self.rollout.hosts, strict=True):
            if new.phase is old.phase:
                continue
            self.times.setdefault((new.host, new.phase), self.now)
            if new.phase is Phase.NEEDS_PERSON:
                self._after(self.durations.person + self.durations.boot, Happening.BOOTS, new.host)
            if new.phase is Phase.INSTALLING and new.host not in has_event:
                is_adopted = old.phase is Phase.WAITING
                rest = self.durations.install if is_adopted else self.durations.writes
                self._after(rest, Happening.INSTALLED, new.host)
            if new.phase is Phase.INSTALLED and new.requested_at is None:
                self._after(self.durations.first_boot, Happening.REQUESTS, new.host)
            if new.phase is Phase.JOINING:
                joining.append(replace(new, served_at=self.now))
                if new.part is RolloutPart.INIT:
                    self._after(self.durations.api, Happening.ANSWERS, "")
                self._after(self.durations.join, Happening.JOINED, new.host)
        self.rollout = self.rollout.with_hosts(joining)
        self._note_commands(before)

    def _note_commands(self, before: Rollout) -> None:
        for command in self.rollout.commands.values():
            if before.command(command.kind) == command:
                continue
            if command.state is CommandState.NEEDS_PERSON:
                self._after(self.durations.person, Happening.COMMAND, command.kind)
            elif command.next_at is not None:
                self.expect(command.next_at, Happening.NOTHING, command.kind)

    def _do(self, effect: Effect) -> bool:
        match effect:
            case Arm(host):
                self.installs[host] = ObservedInstall(self._install(host).state, is_armed=True)
                self.rollout = outcomes.armed(self.rollout, host, self.now)
            case PowerOn(host):
                self.rollout = outcomes.powered(self.rollout, host, None, at=self.now)
                self._after(self.durations.install, Happening.INSTALLED, host)
            case RunCommand(kind):
                self._after(self.durations.command, Happening.COMMAND, kind)
            case _:
                return False
        return True

    def _install(self, host: str) -> ObservedInstall:
        return self.installs.get(HostName(host), ObservedInstall())

    def _after(self, duration: timedelta, what: Happening, subject: str) -> None:
        self.expect(self.now + duration, what, subject)

    def _happen(self, what: Happening, subject: str) -> None:
        host = HostName(subject)
        match what:
            case Happening.BOOTS:
                boots = ObservedInstall(InstallState.INSTALLING, True, self.now, ignition_sha256=host)
                self.installs[host] = boots
            case Happening.INSTALLED:
                self.installs[host] = ObservedInstall(InstallState.INSTALLED, changed_at=self.now, ignition_sha256=host)
            case Happening.REQUESTS:
                each = self.rollout.host(host)
                if each is not None:
                    self.rollout = self.rollout.with_host(replace(each, requested_at=self.now))
            case Happening.JOINED:
                self.installs[host] = ObservedInstall(InstallState.READY, changed_at=self.now)
            case Happening.ANSWERS:
                self.has_api = True
            case Happening.COMMAND:
                self._ran(CommandKind(subject))
            case Happening.NOTHING:
                pass
            case _:
                assert_never(what)

    def _ran(self, kind: CommandKind) -> None:
        use, deadline = FILE_OF.get(kind), None
        command = self.rollout.command(kind)
        if use is not None:
            is_made = command.state is CommandState.RUNNING or command.printed
            deadline = secrets_end(use, (command.began_at if is_made else None) or self.now)
            self.files[use] = FileInPlace(f"{kind} {self._count}", deadline)
            if not self.files[use].lasts(self.now):  # it is made anew
                self._after(RETRY_AFTER, Happening.NOTHING, kind)
        self.commands.append(PlannedCommand(kind, self.now, kind in self.rules.configured, deadline))
        done = outcomes.command_done(self.rollout, kind, self.now, detail="")
        self.rollout = outcomes.confirmed(done, kind, self.now)

    def _result(self, of: Sequence[RolloutHost]) -> Schedule:
        hosts = []
        for each in of:
            begin = self.times.get((each.host, Phase.POWERING)) or self.times.get((each.host, Phase.INSTALLING))
            later = (self.times.get((each.host, phase)) for phase in (Phase.INSTALLED, Phase.JOINING, Phase.READY))
            hosts.append(PlannedHost(each.host, each.part, begin, *later))
        return Schedule(tuple(hosts), tuple(self.commands), self.rollout.ended_at)
