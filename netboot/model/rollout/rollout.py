"""A rollout: its hosts, the phase of each one, and the only legal moves. No clock, no I/O.

The init host starts the cluster, control planes join one after the other, then workers. Every disk is installed as
early as possible: only the join waits, and it begins with a `JoinPermit`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from netboot.errors import TransitionError
from netboot.model.host.host import HostName
from netboot.model.rollout.command import CommandKind, RolloutCommand

MOST_PARALLEL: Final = 500
MOST_HOSTS: Final = 1000  # of one rollout


class RolloutState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"  # nothing new begins; what has begun continues
    ENDED = "ended"  # every host is ready, failed or cancelled
    CANCELLED = "cancelled"


ACTIVE: Final = frozenset({RolloutState.RUNNING, RolloutState.PAUSED})


class RolloutPart(StrEnum):
    """What a host does in the rollout, in the order in which the hosts begin."""

    INIT = "init"
    CONTROL_PLANE = "control-plane"
    WORKER = "worker"


class Phase(StrEnum):
    WAITING = "waiting"
    POWERING = "powering"  # it is armed, and its machine is powered on
    NEEDS_PERSON = "needs-person"  # it is armed, and a person must power its machine on
    INSTALLING = "installing"
    INSTALLED = "installed"  # its join waits
    JOINING = "joining"  # it may fetch the Ignition of its role
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


P = Phase
_ENDS: Final = frozenset({P.FAILED, P.CANCELLED})

MOVES: Final[Mapping[Phase, frozenset[Phase]]] = {
    P.WAITING: _ENDS | {P.POWERING, P.INSTALLING, P.INSTALLED},  # one that is installed already is not installed again
    P.POWERING: _ENDS | {P.NEEDS_PERSON, P.INSTALLING, P.INSTALLED},
    P.NEEDS_PERSON: _ENDS | {P.INSTALLING, P.INSTALLED},
    P.INSTALLING: _ENDS | {P.INSTALLED},
    P.INSTALLED: _ENDS | {P.JOINING, P.READY},  # ready: it had got its role's file before the rollout
    P.JOINING: _ENDS | {P.READY, P.INSTALLED},  # back: its permit ended before the machine used it
    P.READY: frozenset(),
    P.FAILED: frozenset({P.WAITING, P.READY}),  # an operator retries it; it joined later than its limit
    P.CANCELLED: frozenset({P.WAITING}),
}

OVER: Final = frozenset({P.READY, P.FAILED, P.CANCELLED})
INSTALLS: Final = frozenset({P.POWERING, P.NEEDS_PERSON, P.INSTALLING})


class PowerStep(StrEnum):
    """What was requested of a machine's power in this attempt."""

    NONE = "none"
    REQUESTED = "requested"
    SENT = "sent"  # perhaps: a person looks, and its machine may boot meanwhile
    DONE = "done"


@dataclass(frozen=True, slots=True)
class RolloutOptions:
    """`max_parallel`: installs at a time, and joins of workers; `failure_budget`: failed hosts that are accepted."""

    max_parallel: int = 4
    failure_budget: int = 0
    power: bool = True


@dataclass(frozen=True, slots=True)
class JoinPermit:
    """A host may fetch its role's Ignition file, exactly these bytes, before `until`; None: without an end."""

    sha256: str
    until: datetime | None
    given_at: datetime

    def is_valid(self, now: datetime) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class RolloutHost:
    """One host of a rollout. `reason`: why it waits or failed, or what a person must do."""

    host: HostName
    part: RolloutPart
    phase: Phase = P.WAITING
    changed_at: datetime | None = None
    reason: str = ""
    wants_install: bool = False  # its disk is written although it is installed: it is replaced, or retried
    attempts: int = 0  # armings
    armed_at: datetime | None = None  # by this attempt
    power: PowerStep = PowerStep.NONE
    requested_at: datetime | None = None  # its installed system requested the role's file first
    permit: JoinPermit | None = None
    served_at: datetime | None = None  # it got the role's file by its permit
    ignition_sha256: str | None = None  # of the token of its last install: what is held back if it failed

    def moved_to(self, phase: Phase, *, at: datetime, reason: str = "") -> "RolloutHost":
        """Return this host in another phase; raise TransitionError where the table has no such move."""
        if phase not in MOVES[self.phase]:
            raise TransitionError(f"{self.host} is {self.phase} in the rollout, and cannot become {phase} from there")
        permit = self.permit if phase in (P.JOINING, P.READY) else None
        return replace(self, phase=phase, changed_at=at, reason=reason, permit=permit)

    def retried(self, *, at: datetime) -> "RolloutHost":
        """Return this host before its next attempt, which installs it again; raise TransitionError."""
        waiting = self.moved_to(P.WAITING, at=at)
        return replace(
            waiting, wants_install=True, armed_at=None, power=PowerStep.NONE, requested_at=None, served_at=None
        )

    @property
    def is_over(self) -> bool:
        return self.phase in OVER


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout. `version` counts its writes; 0: it is not stored yet.

    `has_cluster`: the init host was ready before it began; with the command START_AGAIN if its start was not completed.
    `replaces`: a node that leaves the cluster first.
    """

    id: int
    options: RolloutOptions
    hosts: tuple[RolloutHost, ...]
    began_at: datetime
    actor: str
    state: RolloutState = RolloutState.RUNNING
    reason: str = ""  # why it is paused
    has_cluster: bool = False
    replaces: HostName | None = None
    commands: Mapping[CommandKind, RolloutCommand] = field(default_factory=dict)
    api_answered_at: datetime | None = None
    ended_at: datetime | None = None
    forgiven: int = 0  # failed hosts that an operator accepted by a resume
    version: int = 0

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    def host(self, name: str) -> RolloutHost | None:
        return next((each for each in self.hosts if each.host == name), None)

    def arming_reason(self, each: RolloutHost) -> str:
        """Return the reason of the arming of a host in its attempt: by it, it is found in the store."""
        return f"rollout {self.id}, attempt {each.attempts}"

    def of(self, part: RolloutPart) -> Iterator[RolloutHost]:
        return (each for each in self.hosts if each.part is part)

    def command(self, kind: CommandKind) -> RolloutCommand:
        return self.commands.get(kind) or RolloutCommand(kind)

    def with_host(self, changed: RolloutHost) -> "Rollout":
        return self.with_hosts([changed])

    def with_hosts(self, changed: Iterable[RolloutHost]) -> "Rollout":
        by_name = {each.host: each for each in changed}
        return replace(self, hosts=tuple([by_name.get(each.host, each) for each in self.hosts])) if by_name else self

    def with_command(self, changed: RolloutCommand) -> "Rollout":
        return replace(self, commands={**self.commands, changed.kind: changed})

    @property
    def failed(self) -> int:
        return sum(each.phase is P.FAILED for each in self.hosts)

    @property
    def has_spent_its_budget(self) -> bool:
        return self.failed - self.forgiven > self.options.failure_budget

    def installs(self) -> int:
        """Count the hosts that `max_parallel` counts as installing.

        One that waits for a person holds up no other, unless its reset was or may have been sent: it may boot.
        """
        return sum(
            each.phase in (P.POWERING, P.INSTALLING) or (each.phase is P.NEEDS_PERSON and each.power is PowerStep.SENT)
            for each in self.hosts
        )

    def joining(self, part: RolloutPart) -> int:
        return sum(each.phase is P.JOINING for each in self.of(part))
