"""What a rollout does with what happens late, or at a wrong moment: nothing of it harms a node or wipes a disk."""

from dataclasses import replace
from datetime import timedelta

import pytest

from netboot.model.host.role_ignition import RoleUse
from netboot.model.install.install import InstallState
from netboot.model.rollout.command import CommandKind, CommandState, RolloutCommand
from netboot.model.rollout.rollout import (
    JoinPermit,
    Phase,
    PowerStep,
    Rollout,
    RolloutHost,
    RolloutOptions,
    RolloutState,
)
from netboot.operate.rollout.decision import clock_steps, outcomes, person_texts
from netboot.operate.rollout.decision.clock_steps import ReadClock
from netboot.operate.rollout.decision.effects import CheckNode, Disarm, RunCommand, WithdrawPower
from netboot.operate.rollout.decision.next_actions import RolloutStep, interrupted, next_step
from netboot.operate.rollout.decision.observed import MARGIN, FileInPlace, Observed, ObservedInstall
from netboot.operate.rollout.rollout_status import next_command, waits_for
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


def test_a_first_node_that_failed_while_its_cluster_answers_has_its_cure_as_the_next_step():
    world = late_world("cp1", budget=1)
    world.has_api = True
    world.run(until=timedelta(days=3))

    assert (world.rollout.state, host(world.rollout, "cp1").phase) == (RolloutState.RUNNING, Phase.FAILED)
    step = next_command(world.rollout)
    assert str(step).startswith(
        "no other host joins before cp1 is ready, and it is failed: the cluster that it started answers"
    )
    waits = waits_for(host(world.rollout, "cp2"), world.rollout)
    assert waits == "waits for the first node of the cluster, which is failed"
    assert next_command(outcomes.paused(world.rollout, "")) == step


def test_a_first_node_that_was_cancelled_before_its_cluster_answers_is_retried_next():
    rollout = outcomes.cancelled(a_rollout(), ["cp1"], at=BEGAN_AT, reason="")

    assert next_command(rollout) == "netboot cluster rollout retry cp1"


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


def joining(name: str = "w1", **values: object) -> Rollout:
    """Return a rollout of a cluster that runs, with a worker at its gate or beyond."""
    rollout = a_rollout(0, 1, has_cluster=True, api_answered_at=BEGAN_AT)
    each = replace(host(rollout, name), phase=Phase.INSTALLED, changed_at=BEGAN_AT, requested_at=BEGAN_AT)
    return replace(rollout, hosts=(replace(each, **values),))  # type: ignore[arg-type] # fields by name


def later(rollout: Rollout, minutes: float, **observed: object) -> RolloutStep:
    now = BEGAN_AT + timedelta(minutes=minutes)
    return next_step(rollout, Observed(**observed), rules=EVERY_COMMAND, now=now)  # type: ignore[arg-type] # by name


def test_a_first_start_that_was_done_elsewhere_is_not_run_here_and_a_person_copies_its_file():
    rollout = a_rollout(0, 0)
    done = rollout.with_command(rollout.command(CommandKind.START).begun(BEGAN_AT).done(BEGAN_AT, "exit code 0"))

    waiting = later(done, 2)
    copied = later(waiting.rollout, 3, files={RoleUse.INIT: FileInPlace("1")})

    assert RunCommand(CommandKind.START) not in waiting.effects
    assert waiting.rollout.command(CommandKind.START).state is CommandState.NEEDS_PERSON
    assert str(next_command(waiting.rollout)).startswith("copy init.ign from the appliance on which")
    assert copied.rollout.command(CommandKind.START).is_done


def test_a_join_whose_file_is_never_seen_is_a_failure_and_not_repeated_without_limit():
    rollout, runs = joining(), []
    installs = {"w1": ObservedInstall(InstallState.INSTALLED)}
    for half_minute in range(40):
        step = later(rollout, half_minute / 2, installs=installs)
        rollout = step.rollout
        if RunCommand(CommandKind.JOIN_WORKER) in step.effects:
            runs.append(half_minute / 2)
            at = BEGAN_AT + timedelta(minutes=half_minute / 2)
            rollout = outcomes.command_done(rollout, CommandKind.JOIN_WORKER, at, detail="exit code 0")

    assert runs == [0, 1, 2.5]
    assert (rollout.state, rollout.reason) == (RolloutState.PAUSED, f"join-worker: {person_texts.NO_FILE}")


def test_a_join_runs_again_when_the_secrets_of_its_file_have_ended():
    done = joining().with_command(RolloutCommand(CommandKind.JOIN_WORKER).begun(BEGAN_AT).done(BEGAN_AT, "exit code 0"))
    installs = {"w1": ObservedInstall(InstallState.INSTALLED)}
    ended = {RoleUse.WORKER: FileInPlace("1", BEGAN_AT + timedelta(hours=24))}

    step = later(done, 24 * 60 - 9, installs=installs, files=ended)

    assert step.effects == (RunCommand(CommandKind.JOIN_WORKER),)
    assert step.rollout.command(CommandKind.JOIN_WORKER).attempts == 1


def test_a_file_of_a_clock_that_was_ahead_is_not_used_because_its_key_may_have_ended():
    for use, hours in ((RoleUse.CONTROL_PLANE, 2), (RoleUse.WORKER, 24)):
        until = BEGAN_AT + timedelta(hours=hours)
        files = {use: FileInPlace("1", until)}

        assert Observed(files=files).file(use, BEGAN_AT - timedelta(seconds=50)) == files[use]
        assert Observed(files=files).file(use, BEGAN_AT - timedelta(seconds=70)) is None


def permitted() -> Rollout:
    return joining(phase=Phase.JOINING, permit=JoinPermit("1", None, BEGAN_AT))


def test_a_permitted_machine_that_does_not_fetch_its_file_fails_and_may_be_retried():
    installs = {"w1": ObservedInstall(InstallState.INSTALLED)}
    files = {RoleUse.WORKER: FileInPlace("1", BEGAN_AT + timedelta(hours=24))}
    kept = later(permitted(), 14, installs=installs, files=files).rollout
    failed = later(kept, 15, installs=installs, files=files).rollout

    reason = "it did not fetch the Ignition of its role (is its machine powered on?) within 15 min"
    assert host(kept, "w1").phase is Phase.JOINING
    assert (host(failed, "w1").phase, host(failed, "w1").reason) == (Phase.FAILED, reason)
    assert outcomes.retry_refusal(failed, host(failed, "w1")) is None


def test_a_permit_for_a_file_that_was_replaced_is_given_for_the_new_one():
    installs = {"w1": ObservedInstall(InstallState.INSTALLED)}
    until = BEGAN_AT + timedelta(hours=24)
    moved = later(permitted(), 1, installs=installs, files={RoleUse.WORKER: FileInPlace("2", until)}).rollout

    each = host(moved, "w1")
    assert (each.phase, each.permit) == (
        Phase.JOINING,
        JoinPermit("2", until - MARGIN, BEGAN_AT + timedelta(minutes=1)),
    )
    assert host(later(permitted(), 1, installs=installs).rollout, "w1") == permitted().hosts[0], "it is not here"


def test_a_host_that_was_in_its_first_boot_when_the_rollout_began_is_ready_when_it_reports_so():
    ready = {"w1": ObservedInstall(InstallState.READY, changed_at=BEGAN_AT)}

    adopted = later(joining(), 1, installs=ready)
    waiting = later(later(joining(phase=Phase.WAITING), 1, installs=ready).rollout, 1, installs=ready)
    ours = later(joining(armed_at=BEGAN_AT), 1, installs=ready)

    for step in (adopted, waiting):
        assert (host(step.rollout, "w1").phase, step.effects) == (Phase.READY, ())
    assert host(ours.rollout, "w1").phase is Phase.FAILED


def test_the_start_of_a_first_node_that_was_in_its_first_boot_is_completed():
    world = World(a_rollout(0, 1))
    world.installs["cp1"] = ObservedInstall(InstallState.READY, changed_at=BEGAN_AT)
    world._after(5, "starts_api", "cp1")

    rollout = world.run()

    assert phases(rollout) == {"cp1": Phase.READY, "w1": Phase.READY}
    assert (world.armings, world.runs) == (["w1"], [CommandKind.START_AGAIN, CommandKind.JOIN_WORKER])


def a_clock(minutes: float, seconds: float) -> ReadClock:
    return ReadClock(BEGAN_AT + timedelta(minutes=minutes), seconds)


def test_a_clock_that_is_set_forward_ends_no_limit():
    rollout = joining(phase=Phase.JOINING, served_at=BEGAN_AT, permit=JoinPermit("1", None, BEGAN_AT))
    failed = RolloutCommand(CommandKind.JOIN_WORKER).begun(BEGAN_AT).failed("no", BEGAN_AT)
    before, now = a_clock(1, 60), a_clock(601, 61)

    timed = clock_steps.after_step(rollout.with_command(failed), before, now)

    set_by = timedelta(minutes=600) - timedelta(seconds=1)
    each, command = timed.hosts[0], timed.command(CommandKind.JOIN_WORKER)
    assert (each.changed_at, each.served_at) == (BEGAN_AT + set_by, BEGAN_AT + set_by)
    assert (command.ended_at, command.next_at) == (BEGAN_AT + set_by, BEGAN_AT + set_by + timedelta(seconds=30))
    assert later(timed, 601, installs={"w1": ObservedInstall(InstallState.INSTALLED)}).rollout.hosts == timed.hosts
    assert each.permit == rollout.hosts[0].permit, "it ends with its secrets"


def test_a_clock_that_is_set_back_prolongs_no_limit_beyond_its_length_and_time_that_passes_changes_nothing():
    rollout = joining(phase=Phase.JOINING, served_at=BEGAN_AT, changed_at=BEGAN_AT - timedelta(hours=2))

    back = clock_steps.after_step(rollout, a_clock(1, 60), a_clock(-60, 61))

    hour_before = BEGAN_AT - timedelta(hours=1)
    assert (back.hosts[0].served_at, back.hosts[0].changed_at) == (hour_before, BEGAN_AT - timedelta(hours=2))
    for minutes in (1.1, 2, 2.1):
        assert clock_steps.after_step(rollout, a_clock(1, 60), a_clock(minutes, 60 * minutes)) is rollout


def test_a_power_on_that_a_killed_daemon_requested_for_a_cancelled_host_is_withdrawn_before_the_end():
    first = outcomes.armed(step_of(a_rollout(0, 0)).rollout, "cp1", BEGAN_AT)
    requested = first.with_host(replace(first.hosts[0], power=PowerStep.REQUESTED))
    rollout = interrupted(outcomes.cancelled(requested, [], at=BEGAN_AT, reason=""))

    step = step_of(rollout)
    done = outcomes.powered(step.rollout, "cp1", None, at=BEGAN_AT)

    assert (step.rollout.state, step.effects) == (RolloutState.RUNNING, (WithdrawPower("cp1"),))
    with pytest.raises(outcomes.RolloutError, match="its power-on is being withdrawn"):
        outcomes.retried(step.rollout, "cp1", at=BEGAN_AT)
    assert step_of(done).rollout.state is RolloutState.CANCELLED
