"""The state of a host from its newest events, its history and its install: the same with and without a daemon. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from netboot.model.boot.boot_client import Machine
from netboot.model.boot.reasons import (
    ATTEMPTS_SPENT,
    NO_REASON,
    Explanation,
    after_failed_checks,
    after_failure,
    explain,
)
from netboot.model.host.host import Host
from netboot.model.host.role_ignition import Deadline
from netboot.model.install.event import Event, Step
from netboot.model.install.inspection import Inspection, RequestedBoot
from netboot.model.install.install import Install, InstallEvent, InstallState, Move
from netboot.model.words import first_line, without_disks

NEWEST_EVENTS: Final = 500  # of one host, in which the reason is searched

# Any machine on the LAN can cause these, so they never replace a reason from the machine's own requests.
_BY_ANYBODY: Final = frozenset({"boot.alarm_raised", "boot.request_refused", "http.refused"})


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
    blocked: Blocked | None
    deadlines: Sequence[Deadline] = ()
    next_boot: RequestedBoot | None = None


@dataclass(frozen=True, slots=True)
class HostStatus:
    host: Host
    install: InstallStatus
    next_boot: RequestedBoot | None = None


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


def blocked(install: Install, events: Sequence[Event], history: Sequence[Move]) -> Blocked | None:
    """Return why a host does not proceed; None if it does, or has nothing to do. Both lists: oldest first."""
    if install.state is InstallState.FAILED and (failure := _failure(install, history)) is not None:
        return failure
    if install.state is InstallState.READY and not install.is_armed:
        return None
    found = _last_block(install, events)
    return found or (_not_heard(install, events) if install.is_armed else _not_armed(install))


def heard(events: Sequence[Event], history: Sequence[Move], last_seen: datetime | None) -> Heard:
    """Find the last request of a host's machine in its newest events and its history, both oldest first."""
    own = [
        event
        for event in events
        if event.name.startswith(("boot.", "dhcp.", "lease.")) and event.name not in _BY_ANYBODY
    ]
    at = max([event.at for event in own] + ([last_seen] if last_seen is not None else []), default=None)
    offer = next((event for event in reversed(events) if event.name == "boot.offered"), None)
    why = next(((event, said) for event in reversed(events) if (said := _explained(event)) and said.is_blocking), None)
    disks = next((disks for move in reversed(history) if (disks := without_disks(move.note)[1])), "")
    return Heard(at, offer, (why[0].at, str(why[1])) if why else None, disks)


def reason_of(move: Move) -> str:
    """Return the reason of a transition: the first line of an operator's reason or of a report; empty without one."""
    match move.what:
        case InstallEvent.ATTEMPTS_SPENT:
            return ATTEMPTS_SPENT
        case InstallEvent.REPORTED_FAILED:
            return first_line(move.note) or NO_REASON
        case _:
            return first_line(move.note)


def _failure(install: Install, history: Sequence[Move]) -> Blocked | None:
    failed = [move for move in history if move.after is InstallState.FAILED and move.what in _FAILURES]
    if not failed or (install.arming is not None and install.arming.at > failed[-1].at):
        return None
    if failed[-1].what == InstallEvent.CHECKS_FAILED and install.is_armed:
        cure = after_failed_checks(install.host)
    else:
        cure = after_failure(install.host, is_armed=install.is_armed and not install.has_spent_its_arming)
    return Blocked(failed[-1].what, reason_of(failed[-1]), cure, failed[-1].at)


def _last_block(install: Install, events: Sequence[Event]) -> Blocked | None:
    """Find the last event that stops the host, if no progress followed it."""
    last: Event | None = None
    for event in events:
        said = _explained(event)
        if _clears(event, last):
            last = None
        elif said is not None and said.is_blocking:
            is_weaker = last is not None and last.name not in _BY_ANYBODY and event.name in _BY_ANYBODY
            last = last if is_weaker else event
    said = _explained(last) if last is not None else None
    is_under_way = install.is_armed or install.state in (InstallState.INSTALLING, InstallState.INSTALLED)
    if last is None or said is None or (last.name in _BY_ANYBODY and not is_under_way):
        return None
    return Blocked(str(last.data.get("reason") or last.name), said.sentence, said.cure, last.at)


def _clears(event: Event, last: Event | None) -> bool:
    """Return whether an event shows that the host proceeds again."""
    if event.name == "install.moved" and event.data.get("by") in ("armed", "cancelled"):
        return last is None or last.name not in _OUTLIVE_ARMING
    if last is not None and event.name in _RESTORED:
        return last.name == _RESTORED[event.name]
    if last is not None and event.step in (Step.OFFER, Step.PXE_REQUEST):
        return last.name in _NO_OFFER
    if last is not None and event.step is Step.LOADER:
        return last.name not in _OUTLIVE_LOADER  # it may be caused by the next boot
    return event.step is not None and event.step not in (Step.LOCAL_BOOT, Step.FAILED)


def _not_armed(install: Install) -> Blocked | None:
    if install.state not in (InstallState.REGISTERED, InstallState.OFFERED, InstallState.LOADING):
        return None
    host = install.host
    sentence = f"{host} is not armed, so it boots its own disk"
    return Blocked("not-armed", sentence, f"netboot install arm {host}", install.changed_at)


def _not_heard(install: Install, events: Sequence[Event]) -> Blocked | None:
    """Return the sentence for an armed host whose machine sent no request since the arming."""
    arming = install.arming
    if arming is None or arming.spent:
        return None
    if any(event.at >= arming.at and event.mac is not None and event.name not in _BY_ANYBODY for event in events):
        return None
    host = install.host
    cure = (
        "start it with network boot first in its boot order; if it did start, see that its DHCP broadcasts reach this "
        f"server and that hosts.{host}.mac is the card that boots (netboot host list --discovered)"
    )
    return Blocked("not-heard", f"no boot request of {host} was received since it was armed", cure, arming.at)


def _explained(event: Event) -> Explanation | None:
    return explain(event.name, event.data, host=event.host or event.mac or "this machine")


_FAILURES: Final = frozenset(
    {InstallEvent.CHECKS_FAILED.value, InstallEvent.REPORTED_FAILED.value, InstallEvent.ATTEMPTS_SPENT.value}
)
_RESTORED: Final = {
    "install.content_found": "install.content_lost",
    "install.secret_renewed": "install.secret_ended",
}
_NO_OFFER: Final = frozenset({"dhcp.architecture_refused", "dhcp.boot_refused"})
_OUTLIVE_LOADER: Final = frozenset({"boot.dead_end_met", "boot.variant_changed"})
_OUTLIVE_ARMING: Final = frozenset({"boot.dead_end_met", *_NO_OFFER})
