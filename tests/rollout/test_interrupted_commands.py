"""Commands whose daemon was killed: what they did is neither done twice nor lost."""

from dataclasses import replace

import pytest

from netboot.model.rollout.command import CommandKind, RolloutCommand
from netboot.model.rollout.rollout import Phase, Rollout, RolloutState
from netboot.operate.rollout.decision import outcomes
from netboot.operate.rollout.decision.effects import Arm, RunCommand
from netboot.operate.rollout.decision.next_actions import RolloutStep, interrupted, next_step
from netboot.operate.rollout.decision.observed import Observed
from netboot.operate.rollout.rollout_status import next_command
from tests.fixtures.rollouts import BEGAN_AT, EVERY_COMMAND, a_rollout

K = CommandKind


def step(rollout: Rollout) -> RolloutStep:
    return next_step(rollout, Observed(), rules=EVERY_COMMAND, now=BEGAN_AT)


def replacement() -> Rollout:
    """Return the replacement of a worker that is drained and reset."""
    rollout = a_rollout(0, 1, has_cluster=True, replaces="w1", api_answered_at=BEGAN_AT)
    rollout = replace(rollout, hosts=(replace(rollout.hosts[1], wants_install=True),))
    for kind in (K.DRAIN, K.RESET):
        rollout = rollout.with_command(RolloutCommand(kind).begun(BEGAN_AT).done(BEGAN_AT, "exit code 0"))
    return rollout


def test_a_node_that_was_deleted_before_the_daemon_was_killed_is_confirmed_by_a_person():
    killed = interrupted(step(replacement()).rollout)
    again = step(killed)
    failed = outcomes.command_failed(again.rollout, K.DELETE, 'nodes "w1" not found', at=BEGAN_AT)
    paused = step(failed).rollout

    assert again.effects == (RunCommand(K.DELETE),)
    assert (paused.state, paused.reason) == (RolloutState.PAUSED, 'delete: nodes "w1" not found')
    assert next_command(paused) == (
        "netboot cluster rollout resume, which runs delete of w1 again; if that is done already: "
        "netboot cluster rollout confirm, then netboot cluster rollout resume"
    )

    assert outcomes.confirmable(paused) is K.DELETE
    confirmed = outcomes.confirmed(paused, K.DELETE, BEGAN_AT)
    assert next_command(confirmed) == "netboot cluster rollout resume"
    goes_on = step(outcomes.resumed(confirmed))
    assert (goes_on.rollout.hosts[0].phase, step(goes_on.rollout).effects) == (Phase.POWERING, (Arm("w1"),))


def test_a_failed_command_that_makes_a_file_is_not_confirmed():
    rollout = a_rollout(0, 0)
    failed = outcomes.command_failed(step(rollout).rollout, K.START, "exit code 1", at=BEGAN_AT)

    with pytest.raises(outcomes.RolloutError, match="waits for no confirmation"):
        outcomes.confirmable(failed)
