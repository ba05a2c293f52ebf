"""What is learned of the method by which a firmware is led to its disk: the states and the events that move them. Pure.

A method is verified when the installed system shows itself after it: by a request for its Ignition, by its report that
it is ready, or by a later report of the node. The next method is used after a machine came back to the network boot at
once, three times in a row, or after an installed system did not show itself in its first boot. Time is an argument.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from netboot.model.host.firmware import LocalBoot, LocalBootMethod, LocalBootState

COMES_BACK: Final = timedelta(seconds=180)  # no system starts and is restarted on purpose so soon, three times
NO_OFFER_TAKES: Final = timedelta(seconds=60)  # firmware repeats its DISCOVERs before it gives up
SHORTEST_BOOT: Final = timedelta(seconds=3)  # no machine comes back so soon: a test, or forged
MOST_RETURNS: Final = 3
REST: Final = timedelta(hours=1)
UNHEARD_AFTER: Final = timedelta(minutes=30)  # a system starts in fewer, and reports a minute later


class LocalBootEvent(StrEnum):
    """What happened after a machine was led to its disk."""

    BOOTED = "booted"  # the installed system showed itself
    CAME_BACK = "came-back"  # at once, not yet often enough
    STAYED = "stayed"  # its next network boot came later
    CLEARED = "cleared"  # the same, and the method had worked before
    UNSEEN = "unseen"  # the installed system did not show itself; the method had worked before
    FAILED = "failed"  # it came back too often, or did not show itself: the next method is used
    NOTHING_LEFT = "nothing-left"  # as `failed`, and no method follows
    REST_OVER = "rest-over"


S = LocalBootState
E = LocalBootEvent

LOCAL_BOOTS: Final[Mapping[S, Mapping[E, S]]] = {
    S.UNTRIED: {E.BOOTED: S.VERIFIED, E.CAME_BACK: S.DOUBTED, E.FAILED: S.UNTRIED, E.NOTHING_LEFT: S.RESTING},
    S.DOUBTED: {
        E.BOOTED: S.VERIFIED,
        E.CAME_BACK: S.DOUBTED,
        E.STAYED: S.UNTRIED,
        E.CLEARED: S.VERIFIED,
        E.FAILED: S.UNTRIED,
        E.NOTHING_LEFT: S.RESTING,
    },
    S.VERIFIED: {E.BOOTED: S.VERIFIED, E.CAME_BACK: S.DOUBTED, E.UNSEEN: S.DOUBTED},
    S.RESTING: {E.BOOTED: S.VERIFIED, E.REST_OVER: S.UNTRIED},
}


class LocalBootFault(StrEnum):
    """Why a method counts as failed; the `reason` of `boot.local_boot_changed` and `boot.local_boot_failed`."""

    CAME_BACK = "came-back"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class MethodChanged:
    """The machine is led to its disk by another method from its next network boot on."""

    reason: LocalBootFault
    before: LocalBootMethod
    after: LocalBootMethod


@dataclass(frozen=True, slots=True)
class NoMethodLeft:
    """Every method that may be used has failed."""

    reason: LocalBootFault
    method: LocalBootMethod


@dataclass(frozen=True, slots=True)
class MethodLearned:
    """The installed system showed itself after this method, for the first time or after every method had failed."""

    method: LocalBootMethod


LocalBootVerdict = MethodChanged | NoMethodLeft | MethodLearned
Methods = Sequence[LocalBootMethod]


def method_for(known: LocalBoot | None, methods: Methods) -> LocalBootMethod:
    """Return the method that is used now: the one that was learned if it may be used, else the first."""
    return known.method if known is not None and known.why and known.method in methods else methods[0]


def led_to_disk(known: LocalBoot | None, methods: Methods, *, now: datetime) -> LocalBoot:
    """Record that a machine is led to its disk by the method for it."""
    method = method_for(known, methods)
    if known is None or known.method is not method:
        return LocalBoot(method, led_at=now, since=now, worked=known.worked if known is not None else None)
    if known.state is S.RESTING and known.since is not None and not timedelta() <= now - known.since < REST:
        known = replace(known, state=LOCAL_BOOTS[S.RESTING][E.REST_OVER], since=now)
    return replace(known, led_at=now)


def booted(known: LocalBoot, sign: str, *, now: datetime) -> tuple[LocalBoot, LocalBootVerdict | None]:
    """Learn that the installed system showed itself by `sign` after it was led to its disk."""
    if known.led_at is None:
        return known, None
    is_news = known.worked is not known.method or known.state is S.RESTING
    verdict = MethodLearned(known.method) if is_news else None
    why = known.why if known.state is S.VERIFIED else sign
    state = LOCAL_BOOTS[known.state][E.BOOTED]
    return replace(known, state=state, returns=0, led_at=None, since=now, worked=known.method, why=why), verdict


def began_again(known: LocalBoot, methods: Methods, *, now: datetime) -> tuple[LocalBoot, LocalBootVerdict | None]:
    """Learn from the next network boot of a machine that was led to its disk and did not show its system."""
    if known.led_at is None:
        return known, None
    after = now - known.led_at
    ended = replace(known, led_at=None)
    if timedelta() <= after < SHORTEST_BOOT:
        return ended, None
    longest = COMES_BACK + (NO_OFFER_TAKES if known.method is LocalBootMethod.NO_OFFER else timedelta())
    if not timedelta() <= after <= longest:
        event = E.CLEARED if known.worked is known.method else E.STAYED
        return replace(ended, state=LOCAL_BOOTS[known.state].get(event, known.state), returns=0), None
    if known.state is S.RESTING:
        return ended, None
    returns = known.returns + 1
    if returns >= MOST_RETURNS:
        return _failed(ended, methods, LocalBootFault.CAME_BACK, now=now)
    return replace(ended, state=LOCAL_BOOTS[known.state][E.CAME_BACK], returns=returns, since=now), None


def stayed_unseen(known: LocalBoot, methods: Methods, *, now: datetime) -> tuple[LocalBoot, LocalBootVerdict | None]:
    """Learn that an installed system did not show itself in time in its first boot."""
    if known.led_at is None or known.state is S.RESTING:
        return known, None
    ended = replace(known, led_at=None)
    if known.state is S.VERIFIED:
        return replace(ended, state=LOCAL_BOOTS[S.VERIFIED][E.UNSEEN], since=now), None
    return _failed(ended, methods, LocalBootFault.UNSEEN, now=now)


def is_unheard(known: LocalBoot, reported_at: datetime, *, now: datetime) -> bool:
    """Return whether a node did not report since it was led to its disk, and `reported_at` is before that.

    The method is not changed: the report may be missing for another reason.
    """
    return known.led_at is not None and reported_at < known.led_at and now - known.led_at >= UNHEARD_AFTER


def _failed(
    known: LocalBoot, methods: Methods, reason: LocalBootFault, *, now: datetime
) -> tuple[LocalBoot, LocalBootVerdict]:
    tried = method_for(known, methods)
    later = methods[methods.index(tried) + 1 :]
    if later:
        found = replace(known, method=later[0], state=S.UNTRIED, returns=0, since=now, why=reason.value)
        return found, MethodChanged(reason, tried, later[0])
    first = known.worked if known.worked in methods and known.worked is not None else methods[0]
    found = replace(known, method=first, state=S.RESTING, returns=0, since=now, why=reason.value)
    return found, NoMethodLeft(reason, tried)
