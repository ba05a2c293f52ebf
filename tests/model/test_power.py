"""Power actions: what each does to a machine in each state, and the moves of an intent."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from netboot.errors import TransitionError
from netboot.model.actor import Actor, Source
from netboot.model.host.host import HostName
from netboot.model.power.power import INTENT_MOVES, IntentState, PowerAction, PowerIntent, PowerState, ResetAction

AT, LATER = datetime(2026, 11, 30, 8, 0, tzinfo=UTC), datetime(2026, 11, 30, 8, 1, tzinfo=UTC)
INTENT = PowerIntent("a1", HostName("cp1"), PowerAction.CYCLE, Actor("alice", Source.API), AT)

ON, OFF, CYCLE = ResetAction.ON, ResetAction.OFF, ResetAction.CYCLE


@pytest.mark.parametrize(
    ("action", "resets"),
    [
        pytest.param(PowerAction.ON, (None, ON, None, ON, ON), id="on"),
        pytest.param(PowerAction.OFF, (OFF, None, OFF, None, OFF), id="off"),
        pytest.param(PowerAction.CYCLE, (CYCLE, ON, CYCLE, ON, CYCLE), id="cycle"),
        pytest.param(PowerAction.PXE, (CYCLE, ON, CYCLE, ON, CYCLE), id="pxe"),
    ],
)
def test_the_reset_depends_on_the_state_of_the_machine(action, resets):
    states = ("on", "off", "powering-on", "powering-off", "unknown")

    assert tuple(action.reset(PowerState(state)) for state in states) == resets


def test_only_on_and_off_are_shown_by_a_state():
    assert [action.wanted for action in PowerAction] == [PowerState.ON, PowerState.OFF, None, None]


@pytest.mark.parametrize("before", IntentState)
@pytest.mark.parametrize("after", IntentState)
def test_an_intent_moves_only_as_its_table_says(before, after):
    intent = replace(INTENT, state=before)

    if after in INTENT_MOVES[before]:
        assert intent.moved(after, at=LATER).state is after
    else:
        with pytest.raises(TransitionError, match=f"power cycle of cp1 is {before}: it does not become {after}"):
            intent.moved(after, at=LATER)


def test_a_sent_intent_that_is_done_has_both_times_and_what_was_done():
    sent = INTENT.moved(IntentState.SENDING, at=AT)

    done = sent.moved(IntentState.DONE, at=LATER, detail="the BMC restarts the machine")

    assert sent == replace(INTENT, state=IntentState.SENDING, sent_at=AT)
    assert done == replace(
        INTENT, state=IntentState.DONE, sent_at=AT, ended_at=LATER, detail="the BMC restarts the machine"
    )
    assert (INTENT.is_open, sent.is_open, done.is_open) == (True, True, False)
