"""What was learned about one firmware of one machine: the states and the events that move them. Pure.

If two whole boots in a row fail for the same reason, a machine gets the next variant. One failure is not enough,
because somebody may have switched the machine off. An event that is not in the table changes nothing.
Time is an argument. Within one boot the same request gets the same reply.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netboot.boot.firmware.reply_variants import LEAST_S, BootTrace, Choices, cure_for, ending, next_variant
from netboot.model.boot.boot_ending import Ending
from netboot.model.host.firmware import BootVariant

REST_S: Final = 3600.0  # after a dead end
FORGET_S: Final = 86_400.0  # an older failure does not count as one in a row


class LearningState(StrEnum):
    """The state of the variant that a firmware is offered."""

    UNTRIED = "untried"
    DOUBTED = "doubted"  # the last whole boot with it failed
    VERIFIED = "verified"  # a script was reached by it
    RESTING = "resting"  # every variant failed: the first is offered


class LearningEvent(StrEnum):
    """How a boot ended, compared with the boot before."""

    SCRIPT_REACHED = "script-reached"
    FAILED = "failed"  # for another reason than the boot before, or long after it
    FAILED_AGAIN = "failed-again"  # for the same reason as the boot before: the next variant is offered
    NOTHING_LEFT = "nothing-left"  # for the same reason as the boot before, and no variant follows
    CUT_SHORT = "cut-short"  # restarted before it could fail by itself
    REST_OVER = "rest-over"


S = LearningState
E = LearningEvent

LEARNING: Final[Mapping[LearningState, Mapping[LearningEvent, LearningState]]] = {
    S.UNTRIED: {E.SCRIPT_REACHED: S.VERIFIED, E.FAILED: S.DOUBTED, E.CUT_SHORT: S.UNTRIED},
    S.DOUBTED: {
        E.SCRIPT_REACHED: S.VERIFIED,
        E.FAILED: S.DOUBTED,
        E.FAILED_AGAIN: S.UNTRIED,
        E.NOTHING_LEFT: S.RESTING,
        E.CUT_SHORT: S.UNTRIED,
    },
    S.VERIFIED: {E.SCRIPT_REACHED: S.VERIFIED, E.FAILED: S.DOUBTED, E.CUT_SHORT: S.VERIFIED},
    S.RESTING: {E.SCRIPT_REACHED: S.VERIFIED, E.REST_OVER: S.UNTRIED},
}


@dataclass(frozen=True, slots=True)
class Learned:
    """What is known of one firmware. `since_s` is on the monotonic clock."""

    state: LearningState = S.UNTRIED
    variant: BootVariant | None = None  # that it is offered; None: the first
    failure: Ending | None = None  # of the last boot, where it is doubted
    since_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Moved:
    """The machine gets another variant from its next boot on."""

    reason: Ending
    before: BootVariant
    after: BootVariant


@dataclass(frozen=True, slots=True)
class DeadEnd:
    """No variant is left; the operator has to act."""

    reason: Ending
    variant: BootVariant
    cure: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A variant that is not the first led to the script."""

    variant: BootVariant


Verdict = Moved | DeadEnd | Verified


def judge(
    learned: Learned, trace: BootTrace, choices: Choices, *, now_s: float, is_pinned: bool = False
) -> tuple[Learned, Verdict | None]:
    """Learn from a boot that ended. `is_pinned`: the hosts file sets firmware or loader."""
    reason, tried = ending(trace), trace.variant
    if reason is None or tried is None or choices.fit(tried) is not tried:
        return learned, None
    if learned.state is S.RESTING and now_s - learned.since_s >= REST_S:
        learned = Learned(LEARNING[S.RESTING][E.REST_OVER])
    after = next_variant(tried, reason, choices)
    event = _event(learned, trace, reason, after, now_s=now_s, is_same=choices.fit(learned.variant) == tried)
    state = LEARNING[learned.state].get(event)
    if state is None:
        return learned, None
    variant = {E.SCRIPT_REACHED: tried, E.FAILED_AGAIN: after, E.NOTHING_LEFT: None}.get(event, learned.variant)
    found = Learned(state, variant, reason if state is S.DOUBTED else None, now_s)
    if event is E.NOTHING_LEFT:
        return found, DeadEnd(reason, tried, cure_for(reason, trace, is_pinned=is_pinned))
    if event is E.FAILED_AGAIN and after is not None:
        return found, Moved(reason, tried, after)
    return found, Verified(tried) if state is S.VERIFIED and tried != choices.first else None


def _event(
    learned: Learned, trace: BootTrace, reason: Ending, after: BootVariant | None, *, now_s: float, is_same: bool
) -> LearningEvent:
    """Return how a boot ended; `is_same`: with the variant that was tried before."""
    if reason is Ending.REACHED:
        return E.SCRIPT_REACHED
    fails_at_once = reason in (Ending.NO_REQUEST, Ending.NO_SCRIPT, Ending.NO_HTTP) or trace.got_other_file
    if not fails_at_once and now_s - trace.began_s < LEAST_S:
        return E.CUT_SHORT
    if is_same and learned.failure is reason and now_s - learned.since_s <= FORGET_S:
        return E.FAILED_AGAIN if after else E.NOTHING_LEFT
    return E.FAILED
