"""The install of one host: its states, its events, and the allowed transitions. No clock, no I/O.

Machines retry: a repeated event changes nothing. An event that is not in the table is refused. Armed is a flag beside
the state: only an operator sets it; a report, a changed host, the last attempt or an operator's cancel clears it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

from netboot.errors import InstallHeldError, TransitionError
from netboot.model.actor import Actor
from netboot.model.host.host import Host, HostName
from netboot.model.host.mac import Mac
from netboot.model.install.checks import InstallCheck, failures
from netboot.model.install.event import Step
from netboot.model.install.machine_identity import (
    NOTHING_KNOWN,
    Hold,
    HoldReason,
    Identity,
    KnownIdentity,
    RecordedIdentity,
    ServedBoot,
)
from netboot.model.install.token import Tokens

RETIRED: Final = "retired"  # in the history: an operator ended every token of the host
HELD: Final = "held"  # in the history: an armed install waits for a person
IDENTIFIED: Final = "identified"  # in the history: a person registered the machine
CONFIRMED: Final = "confirmed"  # in the history: a person confirmed the machine of a held install
MOST_ATTEMPTS: Final = 100  # boots into the installer that one arming can allow


class InstallState(StrEnum):
    REGISTERED = "registered"
    OFFERED = "offered"
    LOADING = "loading"
    INSTALLING = "installing"
    INSTALLED = "installed"
    READY = "ready"
    FAILED = "failed"


class InstallEvent(StrEnum):
    OFFER_SENT = "offer-sent"  # an armed host was offered a loader or its script
    SCRIPT_SENT = "script-sent"  # it got the installer's script: one attempt is spent
    CHECKS_PASSED = "checks-passed"  # `%pre`: the machine may be installed
    CHECKS_FAILED = "checks-failed"  # `%pre`: it may not, and nothing was written
    REPORTED_STARTED = "reported-started"  # `%pre`: the disk will be written next
    REPORTED_DONE = "reported-done"  # `%post`: everything is written
    REPORTED_FAILED = "reported-failed"  # `%onerror`, or a `%pre` that refuses
    IGNITION_SENT = "ignition-sent"  # the installed system requested its configuration
    REPORTED_READY = "reported-ready"  # the installed system is up
    ATTEMPTS_SPENT = "attempts-spent"  # no boot into the installer is left


S = InstallState
E = InstallEvent

# A report with the token of the boot is accepted in every state: an earlier report may be lost, and offers are stored
# later, so that an offer may reach the store after the requests that followed it.
_REPORTED: Final[Mapping[InstallEvent, InstallState]] = {
    E.REPORTED_STARTED: S.INSTALLING,
    E.REPORTED_DONE: S.INSTALLED,
    E.REPORTED_FAILED: S.FAILED,
    E.IGNITION_SENT: S.INSTALLED,  # every report was lost; the booted disk shows that the install was done
    E.REPORTED_READY: S.READY,
}

# A reset, a power-off or a new arming: the next boot into the installer. Firmware repeats its request after 4, 8, 16 s,
# and iPXE sends one more.
_BOOTED: Final = {E.OFFER_SENT: S.OFFERED, E.SCRIPT_SENT: S.LOADING}
_UNDER_WAY: Final = {**_BOOTED, **_REPORTED, E.ATTEMPTS_SPENT: S.FAILED}
_CHECKED: Final = {E.CHECKS_PASSED: S.LOADING, E.CHECKS_FAILED: S.FAILED}

TRANSITIONS: Final[Mapping[InstallState, Mapping[InstallEvent, InstallState]]] = {
    S.REGISTERED: _BOOTED,
    S.OFFERED: {**_UNDER_WAY, **_CHECKED},
    S.LOADING: {**_UNDER_WAY, **_CHECKED},
    S.INSTALLING: _UNDER_WAY,
    S.INSTALLED: {
        **_BOOTED,
        E.REPORTED_DONE: S.INSTALLED,
        E.IGNITION_SENT: S.INSTALLED,
        E.REPORTED_READY: S.READY,
    },
    S.READY: {**_BOOTED, E.REPORTED_READY: S.READY},
    S.FAILED: {
        **_BOOTED,
        E.CHECKS_FAILED: S.FAILED,
        E.REPORTED_FAILED: S.FAILED,
        E.REPORTED_DONE: S.INSTALLED,  # a late report of the end
        E.IGNITION_SENT: S.INSTALLED,
        E.REPORTED_READY: S.READY,
        E.ATTEMPTS_SPENT: S.FAILED,
    },
}

AFTER_INSTALL: Final = frozenset({S.INSTALLED, S.READY})
MID_INSTALL: Final = frozenset({S.LOADING, S.INSTALLING})
ENDS_ARMING: Final = frozenset({E.REPORTED_DONE, E.IGNITION_SENT, E.REPORTED_READY, E.ATTEMPTS_SPENT})
# `started` and the checks among them: a cancelled installer is stopped before it writes anything.
NEEDS_ARMING: Final = frozenset(
    {E.OFFER_SENT, E.SCRIPT_SENT, E.CHECKS_PASSED, E.CHECKS_FAILED, E.REPORTED_STARTED, E.ATTEMPTS_SPENT}
)

# A person decides first. An installer that has its documents already waits before it writes.
_REFUSED_WHILE_HELD: Final = frozenset({E.SCRIPT_SENT, E.REPORTED_STARTED})

# After a failed check only a new arming leads to the installer.
_REFUSED_AFTER_FAILED_CHECKS: Final = frozenset({E.OFFER_SENT, E.SCRIPT_SENT, E.CHECKS_PASSED, E.REPORTED_STARTED})


STEP_OF_STATE: Final = {
    S.INSTALLING: Step.INSTALLING,
    S.INSTALLED: Step.INSTALLED,
    S.READY: Step.READY,
    S.FAILED: Step.FAILED,
}


@dataclass(frozen=True, slots=True)
class InstallTarget:
    """What an arming is bound to when the operator sets it: MACs, disk and release."""

    macs: frozenset[Mac]
    disk: str | None
    release: str | None
    commit: str | None = None  # what the release named; None if it could not be read
    # The registered ones: they identify the machine's late reports and may change.
    addresses: frozenset[IPv4Address] = field(default=frozenset(), compare=False)

    @classmethod
    def of(cls, host: Host, commit: str | None) -> "InstallTarget":
        """Return the target of a host as it is declared now."""
        disk, release = (None if each is None else str(each) for each in (host.disk, host.release))
        if disk is not None and host.release_members:
            disk += ", its members released"
        return cls(frozenset(host.macs), disk, release, commit, host.addresses)

    @property
    def local_release(self) -> str | None:
        """The name of the release if this appliance has it."""
        return None if self.release is None or "://" in self.release else self.release

    def changes(self, now: "InstallTarget") -> list[str]:
        """List the differences. The order of MACs does not matter, nor a commit that one of the two lacks."""
        found = []
        if self.macs != now.macs:
            before, after = (", ".join(sorted(macs)) for macs in (self.macs, now.macs))
            found.append(f"its MACs changed from {before} to {after}")
        if self.disk != now.disk:
            found.append(f"its disk changed from {self.disk or 'none'} to {now.disk or 'none'}")
        if self.release != now.release:
            found.append(f"its release changed from {self.release or 'none'} to {now.release or 'none'}")
        elif self.commit and now.commit and self.commit != now.commit:
            found.append(f"its release {self.release} named commit {self.commit[:12]} and names {now.commit[:12]} now")
        return found


@dataclass(frozen=True, slots=True)
class Arming:
    """An operator's permission to install this host once."""

    at: datetime
    reason: str
    attempts: int  # boots into the installer that it allows
    spent: int = 0  # boots into the installer so far


@dataclass(frozen=True, slots=True)
class Move:
    """One line of a host's history. `note`: an operator's reason, or the end of a failed installer's log."""

    at: datetime
    what: str
    before: InstallState
    after: InstallState
    note: str
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class Install:
    """The install of one host. `version` counts its writes; 0: it is not stored yet."""

    host: HostName
    state: InstallState = S.REGISTERED
    changed_at: datetime | None = None
    arming: Arming | None = None
    tokens: Tokens = field(default_factory=Tokens)
    version: int = 0
    target: InstallTarget | None = None  # of the last arming, also after its end; None: a version before wrote it
    checks: tuple[InstallCheck, ...] = ()  # of the last boot into the installer; empty: it has not reported them
    identity: KnownIdentity = NOTHING_KNOWN

    @property
    def hold(self) -> Hold | None:
        """Why its armed install waits for a person; None: it does not."""
        return self.identity.hold

    @property
    def has_failed_checks(self) -> bool:
        """Was not installed, because a check before it failed: the machine waits until its host is armed again."""
        return bool(self.checks) and bool(failures(self.checks))

    @property
    def is_armed(self) -> bool:
        """May boot the installer."""
        return self.arming is not None

    @property
    def has_spent_its_arming(self) -> bool:
        """Is armed, but no boot into the installer is left."""
        return self.arming is not None and self.arming.spent >= self.arming.attempts

    def arming_changes(self, now: InstallTarget | None) -> list[str]:
        """List the differences that end this arming. `now` is None if no file declares the host any longer."""
        if self.arming is None:
            return []
        if self.target is None:
            return ["it was armed by an earlier version of netboot, which did not record MACs, disk and release"]
        if now is None:
            return ["it is no longer declared in the hosts files"]
        return self.target.changes(now)

    def moved_by(self, event: InstallEvent, *, at: datetime) -> "Install":
        """Return this install after `event`; raise TransitionError if the table has no such move."""
        if event in NEEDS_ARMING and self.arming is None:
            raise TransitionError(
                f"{self.host} is not armed, so {event} cannot change its state; netboot install arm {self.host}"
            )
        if event in _REFUSED_AFTER_FAILED_CHECKS and self.has_failed_checks:
            raise TransitionError(f"a check of {self.host} failed, so it waits; netboot install arm {self.host}")
        if event in _REFUSED_WHILE_HELD and (hold := self.hold) is not None:
            raise InstallHeldError(f"{self.host} is held: {hold.what}; {hold.cure(self.host)}")
        try:
            state = TRANSITIONS[self.state][event]
        except KeyError:
            raise TransitionError(f"{self.host} is {self.state}: {event} does not move it from there") from None
        arming = None if event in ENDS_ARMING else self.arming
        if event is E.REPORTED_FAILED and self.has_spent_its_arming and not self.has_failed_checks:
            arming = None
        identity = self.identity
        if state in AFTER_INSTALL and self.state not in AFTER_INSTALL:
            identity = identity.installed(at)
        elif arming is None:
            identity = identity.ended()
        changed_at = at if state is not self.state else self.changed_at
        return replace(self, state=state, arming=arming, changed_at=changed_at, identity=identity)

    def checked(self, checks: tuple[InstallCheck, ...], *, at: datetime, shown: Identity | None = None) -> "Install":
        """Return this install after the checks that its machine reported, the same ones in one boot, however often.

        `shown`: what they show of the machine.

        Raises TransitionError, also for others, unless one of them failed now and none before: each report that changes
        an install adds a line to its history.
        """
        if self.checks and checks != self.checks and (self.has_failed_checks or not failures(checks)):
            raise TransitionError(f"{self.host} reported other checks in this boot before")
        moved, served = self.moved_by(checks_event(checks), at=at), self.identity.served
        if served is None or shown is None:
            return replace(moved, checks=checks)
        # what only DHCP requests showed may be forged; the installer reads its machine
        served = served.completed(shown) if served.is_reported else shown.completed(served)
        return replace(moved, checks=checks, identity=replace(moved.identity, served=served))

    def armed(self, *, at: datetime, reason: str, attempts: int, target: InstallTarget | None = None) -> "Install":
        """Return this install with a new arming for `target`; raise TransitionError while an install runs."""
        refusals = self.arming_refusals()
        if refusals:
            raise TransitionError(refusals[0])
        arming = Arming(at=at, reason=reason, attempts=attempts)
        return replace(self, arming=arming, tokens=Tokens(), target=target, checks=(), identity=self.identity.armed())

    def arming_refusals(self) -> list[str]:
        """List why this host may not be armed now; empty: it may."""
        if self.arming is None or self.state not in MID_INSTALL:
            return []
        return [
            f"{self.host} is {self.state} under its arming of {self.arming.at:%Y-%m-%d %H:%M}; "
            f"let it end, or netboot install cancel {self.host} first"
        ]

    def cancelled(self) -> "Install":
        """Return this install without its arming; a running installer may still report its end."""
        return replace(self, arming=None, identity=self.identity.ended())

    def retired(self) -> "Install":
        """Return this install without its arming and its tokens: no report and no request of its machine is valid.

        What was recorded of the machine is forgotten: another one may be registered by the same name.
        """
        return replace(self, arming=None, tokens=Tokens(), identity=NOTHING_KNOWN)

    def identified(self, recorded: RecordedIdentity) -> "Install":
        """Return this install with the machine of its host."""
        return replace(self, identity=replace(self.identity, recorded=recorded))

    def held(self, hold: Hold) -> "Install":
        """Return this install with a hold; raise TransitionError if it is not armed any longer."""
        if self.arming is None:
            raise TransitionError(f"{self.host} is not armed, so nothing of it is held")
        return replace(self, identity=self.identity.held(hold))

    def confirmed(self, hold_id: str | None, *, at: datetime) -> "Install":
        """Return this install without its hold; raise TransitionError if there is none, or not the one of `hold_id`.

        Of two machines with one MAC, the tokens of the one that was served before end.
        """
        hold = self.hold
        if hold is None:
            raise TransitionError(
                f"{self.host} is not held: nothing is to be confirmed; netboot install show {self.host}"
            )
        if hold_id is not None and hold_id != hold.id:
            raise TransitionError(
                f"the machine of {self.host} shows something else by now; read it: netboot install show {self.host}"
            )
        tokens = Tokens() if hold.reason is HoldReason.TWO_MACHINES else self.tokens
        return replace(self, tokens=tokens, identity=hold.confirmed(at))

    def booting_the_installer(
        self, tokens: Tokens, *, at: datetime, shown: Identity | None = None, exchange: int | None = None
    ) -> "Install":
        """Return this install after one more boot, with its tokens; raise TransitionError if no attempt is left.

        `shown`: what the machine shows that gets them; `exchange`: of its last DISCOVER, None: it was not received.
        """
        if self.has_spent_its_arming:
            raise TransitionError(
                f"{self.host} has spent every boot into the installer of its arming; netboot install arm {self.host}"
            )
        moved = self.moved_by(E.SCRIPT_SENT, at=at)
        assert moved.arming is not None
        arming, identity = replace(moved.arming, spent=moved.arming.spent + 1), moved.identity
        if shown is not None:
            boot = ServedBoot(exchange, at) if exchange is not None else None
            identity = replace(identity, served=shown, boot=boot)
        return replace(moved, arming=arming, tokens=tokens, checks=(), identity=identity)


def checks_event(checks: tuple[InstallCheck, ...]) -> InstallEvent:
    """Return the event of an install whose machine reported these checks."""
    return E.CHECKS_FAILED if failures(checks) else E.CHECKS_PASSED
