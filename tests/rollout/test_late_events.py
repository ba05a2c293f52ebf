"""What a rollout does with what happens late, or at a wrong moment: nothing of it harms a node or wipes a disk."""

from dataclasses import replace
from datetime import timedelta

import pytest

from netboot.model.install.install import InstallState
from netboot.model.rollout.command import CommandKind
from netboot.model.rollout.rollout import Phase, Rollout, RolloutHost, RolloutOptions, RolloutState
from netboot.operate.rollout.decision import outcomes
from netboot.operate.rollout.decision.effects import CheckNode, Disarm
from netboot.operate.rollout.decision.next_actions import RolloutStep, interrupted, next_step
from netboot.operate.rollout.decision.observed import Observed, ObservedInstall
from netboot.operate.rollout.rollout_status import next_command
from tests.fixtures.rollouts import BEGAN_AT, EVERY_COMMAND, World, a_rollout, phases


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


def cancelled_while_armed() -> Rollout:
    """Return a rollout whose daemon was killed after an arming was stored, and its host cancelled meanwhile."""
    first = next_step(a_rollout(0, 0), Observed(), rules=EVERY_COMMAND, now=BEGAN_AT)
    return outcomes.cancelled(first.rollout, [], at=BEGAN_AT, reason="")


def step_of(rollout: Rollout, **observed: object) -> RolloutStep:
    return next_step(rollout, Observed(**observed), rules=EVERY_COMMAND, now=BEGAN_AT)  # type: ignore[arg-type] # by name


def test_an_arming_that_was_stored_for_a_cancelled_host_is_found_by_its_reason():
    rollout = interrupted(cancelled_while_armed())
    armed = ObservedInstall(is_armed=True, armed_at=BEGAN_AT, armed_for="rollout 1, attempt 1")

    found = step_of(rollout, installs={"cp1": armed})
    under_way = step_of(rollout, arming={"cp1"})

    assert (found.rollout.state, found.effects) == (RolloutState.RUNNING, (Disarm("cp1", BEGAN_AT),))
    assert (under_way.rollout.state, under_way.effects) == (RolloutState.RUNNING, ())
    assert step_of(rollout).rollout.state is RolloutState.CANCELLED


def test_the_arming_of_another_request_is_not_cancelled():
    armed_at = BEGAN_AT - timedelta(minutes=5)
    rollout = interrupted(outcomes.armed(cancelled_while_armed(), "cp1", armed_at))
    theirs = ObservedInstall(is_armed=True, armed_at=BEGAN_AT, armed_for="by hand")

    assert step_of(rollout, installs={"cp1": theirs}).effects == ()


def test_an_arming_of_an_operator_that_a_rollout_took_over_is_cancelled_with_its_host():
    taken = ObservedInstall(InstallState.LOADING, True, BEGAN_AT, "1", armed_at=BEGAN_AT, armed_for="by hand")
    adopted = step_of(a_rollout(0, 0), installs={"cp1": taken}).rollout
    rollout = interrupted(outcomes.cancelled(adopted, [], at=BEGAN_AT, reason=""))

    assert host(adopted, "cp1").phase is Phase.INSTALLING
    assert step_of(rollout, installs={"cp1": taken}).effects == (Disarm("cp1", BEGAN_AT),)


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        (InstallState.LOADING, Phase.INSTALLING),
        (InstallState.INSTALLED, Phase.INSTALLED),
        (InstallState.FAILED, Phase.FAILED),
    ],
)
def test_what_a_machine_does_after_its_arming_is_seen_although_the_clock_was_set_back(state, phase):
    world = World(a_rollout(0, 0))
    world.turn()
    world.turn()
    world.now -= timedelta(hours=1)
    is_armed = state is InstallState.LOADING
    world._move("cp1", state, is_armed=is_armed, ignition_sha256="2", note="no disk")

    world.turn()

    assert (host(world.rollout, "cp1").phase, host(world.rollout, "cp1").reason) == (
        phase,
        "no disk" if phase is Phase.FAILED else "",
    )


def test_an_install_before_the_arming_does_not_count_as_its_own():
    world = World(a_rollout(0, 0))
    installs = {"cp1": ObservedInstall(InstallState.FAILED, changed_at=BEGAN_AT, ignition_sha256="1", note="old")}
    world.installs.update(installs)
    world.turn()
    world.turn()

    assert host(world.rollout, "cp1").phase is Phase.POWERING
