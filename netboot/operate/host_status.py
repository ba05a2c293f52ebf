"""The state of a host from its newest events, its history and its install: the same with and without a daemon. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from netboot.model.boot.boot_client import Machine
from netboot.model.boot.boot_fold import after_event
from netboot.model.boot.boot_record import BootRecord
from netboot.model.boot.causes.cause import Cause, Shortage, Situation
from netboot.model.boot.causes.evidence import BY_ANYBODY, explained
from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.model.host.firmware import LocalBoot
from netboot.model.host.host import Host
from netboot.model.host.role_ignition import Deadline
from netboot.model.install.event import Event
from netboot.model.install.inspection import Inspection, RequestedBoot
from netboot.model.install.install import Install, Move
from netboot.model.install.machine_identity import Hold
from netboot.model.words import without_disks
from netboot.operate.boots.boot_waits import WaitStatus


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a host does not proceed. `reason` is the word of docs/events.md."""

    reason: str
    sentence: str
    cure: str
    since: datetime | None

    def __str__(self) -> str:
        return f"{self.sentence}; {self.cure}" if self.cure else self.sentence


@dataclass(frozen=True, slots=True)
class Heard:
    at: datetime | None
    last_offer: Event | None
    last_reason: tuple[datetime, str] | None
    disks: str


@dataclass(frozen=True, slots=True)
class InstallStatus:
    """An install, why its arming no longer fits its host, and whether a file declares the host."""

    install: Install
    changes: Sequence[str]
    is_declared: bool


@dataclass(frozen=True, slots=True)
class InstallReport:
    """An install, why it does not proceed, when the host's secrets end, and what its machine boots once before."""

    status: InstallStatus
    cause: Cause | None
    deadlines: Sequence[Deadline] = ()
    next_boot: RequestedBoot | None = None
    wait: WaitStatus | None = None  # None: it does not boot now, or waits for an operator
    local_boots: Mapping[str, LocalBoot] = field(default_factory=dict)  # by firmware, of the cards that booted

    @property
    def blocked(self) -> Blocked | None:
        """Return why it does not proceed, with the word of docs/events.md."""
        cause = self.cause
        return None if cause is None else Blocked(cause.reason, cause.sentence, cause.cure, cause.since)


@dataclass(frozen=True, slots=True)
class HostStatus:
    host: Host
    install: InstallStatus
    next_boot: RequestedBoot | None = None
    wait: WaitStatus | None = None  # as in InstallReport


@dataclass(frozen=True, slots=True)
class HostReport:
    host: Host
    install: InstallReport
    heard: Heard
    machines: Sequence[Machine]  # what is stored of its network cards, the longest unseen first
    inspections: Sequence[Inspection]


@dataclass(frozen=True, slots=True)
class DiscoveredMachine:
    """An unregistered machine, and its inspection if one was requested or begun."""

    machine: Machine
    inspection: Inspection | None


@dataclass(frozen=True, slots=True)
class ArmedHost:
    """A host that was armed, why it could not be installed now, and what an operator needs to read before that."""

    status: InstallStatus
    boot_media: str | None
    reasons: Sequence[str]
    warnings: Sequence[str]
    deadlines: Sequence[Deadline] = ()


@dataclass(frozen=True, slots=True)
class CancelledInstall:
    """An install whose arming was cancelled; `notes` lists what continues nevertheless."""

    status: InstallStatus
    notes: Sequence[str]


def local_boots_of(machines: Sequence[Machine]) -> dict[str, LocalBoot]:
    """Return what is known of the local boot of each firmware of a host's cards; of several, the card seen last."""
    return {firmware: known for machine in machines for firmware, known in machine.local_boots.items()}


@dataclass(frozen=True, slots=True)
class ConfirmedInstall:
    """An install whose machine was confirmed, and what held it."""

    status: InstallStatus
    confirmed: Hold


def situation_of(
    install: Install,
    events: Sequence[Event],
    history: Sequence[Move],
    *,
    machines: Sequence[Machine],
    durations: ExpectedDurations,
    unserved: Sequence[str],
    shortage: Shortage | None,
    now: datetime,
) -> Situation:
    """Gather what is known of a host. Events and history: oldest first; machines: the longest unseen first."""
    record = _last_boot(events)
    return Situation(
        now,
        install,
        events,
        history,
        record=record,
        wait=durations.wait_of(record) if record is not None and record.is_running(now) else None,
        machine=machines[-1] if machines else None,
        unserved=unserved,
        shortage=shortage,
    )


def _last_boot(events: Sequence[Event]) -> BootRecord | None:
    boot = None
    for event in events:
        boot = after_event(boot, event).boot
    return boot


def heard(events: Sequence[Event], history: Sequence[Move], last_seen: datetime | None) -> Heard:
    """Find the last request of a host's machine in its newest events and its history, both oldest first."""
    own = [
        event
        for event in events
        if event.name.startswith(("boot.", "dhcp.", "lease.")) and event.name not in BY_ANYBODY
    ]
    at = max([event.at for event in own] + ([last_seen] if last_seen is not None else []), default=None)
    offer = next((event for event in reversed(events) if event.name == "boot.offered"), None)
    why = next(((event, what) for event in reversed(events) if (what := explained(event)) and what.is_blocking), None)
    disks = next((disks for move in reversed(history) if (disks := without_disks(move.note)[1])), "")
    return Heard(at, offer, (why[0].at, str(why[1])) if why else None, disks)
