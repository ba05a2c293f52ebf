"""What a rollout does with what happens late, or at a wrong moment: nothing of it harms a node or wipes a disk."""

from dataclasses import replace
from datetime import timedelta

import pytest

from netboot.model.rollout.command import CommandKind
from netboot.model.rollout.rollout import Phase, Rollout, RolloutHost, RolloutOptions, RolloutState
from netboot.operate.rollout.decision import outcomes
from netboot.operate.rollout.decision.effects import CheckNode
from netboot.operate.rollout.decision.next_actions import next_step
from netboot.operate.rollout.rollout_status import next_command
from tests.fixtures.rollouts import EVERY_COMMAND, World, a_rollout, phases


def host(rollout: Rollout, name: str) -> RolloutHost:
    found = rollout.host(name)
    assert found is not None
    return found


def late_world(name: str, *, budget: int = 0) -> World:
    """Let a rollout go on until this host has failed because it joins later than its limit."""
    world = World(a_rollout(2, 0, options=RolloutOptions(failure_budget=budget)))
    while host(world.rollout, name).served_at is None:
        world.turn()
        world.now += timedelta(minutes=1)
    world.due = [each for each in world.due if each[3] != name]
    while host(world.rollout, name).phase is Phase.JOINING:
        world.turn()
        world.now += timedelta(minutes=1)
    return world


def test_a_host_that_got_its_file_and_failed_is_not_installed_again_and_its_retry_is_not_suggested():
    world = late_world("cp2")

    failed = host(world.rollout, "cp2")
    assert (failed.phase, failed.reason) == (Phase.FAILED, "it did not become ready within 30 min")
    assert (world.rollout.state, next_command(world.rollout)) == (
        RolloutState.PAUSED,
        "netboot cluster rollout resume",
    )
    with pytest.raises(outcomes.RolloutError, match=r"may be a node.*netboot cluster rollout --replace cp2"):
        outcomes.retried(world.rollout, "cp2", at=world.now)
    assert next_command(outcomes.resumed(world.rollout)) is None


def test_a_host_that_joins_later_than_its_limit_is_ready_and_counts_no_longer_as_failed():
    world = late_world("cp2")
    world.rollout = outcomes.resumed(world.rollout)
    assert world.rollout.forgiven == 1
    world._joins("cp2")
    world.turn()
    assert (phases(world.rollout)["cp2"], world.rollout.forgiven) == (Phase.READY, 0)

    rollout = world.run()

    assert (rollout.state, set(phases(rollout).values())) == (RolloutState.ENDED, {Phase.READY})
    assert sorted(world.armings) == ["cp1", "cp2", "cp3"]


def test_a_late_host_is_ready_only_after_the_command_for_it_succeeds_and_never_while_it_is_armed():
    world, rules = late_world("cp2"), replace(EVERY_COMMAND, has_ready_check=True)
    world._joins("cp2")
    found = world.observed()
    armed = {**found.installs, "cp2": replace(found.install("cp2"), is_armed=True)}

    waiting = next_step(world.rollout, replace(found, nodes_ready=frozenset()), rules=rules, now=world.now)
    kept = next_step(world.rollout, replace(found, installs=armed), rules=rules, now=world.now)
    ready = next_step(waiting.rollout, found, rules=rules, now=world.now)

    assert phases(waiting.rollout)["cp2"] is Phase.FAILED
    assert CheckNode("cp2") in waiting.effects
    assert phases(kept.rollout)["cp2"] is Phase.FAILED
    assert phases(ready.rollout)["cp2"] is Phase.READY


def test_a_cluster_whose_api_answers_after_its_limit_is_completed():
    world = World(a_rollout(0, 1))
    while host(world.rollout, "cp1").served_at is None:
        world.turn()
        world.now += timedelta(minutes=1)
    world.due = [each for each in world.due if each[2] != "starts_api"]
    world.run(until=timedelta(hours=3))
    before = host(world.rollout, "cp1")
    world.rollout, world.has_api = outcomes.resumed(world.rollout), True

    rollout = world.run()

    assert (before.phase, before.reason) == (Phase.FAILED, "the API of the cluster did not answer within 30 min")
    assert phases(rollout) == {"cp1": Phase.READY, "w1": Phase.READY}
    assert CommandKind.START_AGAIN in world.runs
