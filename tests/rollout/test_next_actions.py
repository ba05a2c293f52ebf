"""What a rollout does next: the order, and what is true of every step, with failures and a daemon that is killed."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from netboot.model.host.role_ignition import RoleUse
from netboot.model.install.install import InstallState
from netboot.model.rollout.command import CommandKind, CommandState
from netboot.model.rollout.rollout import MOVES, Phase, Rollout, RolloutOptions, RolloutPart, RolloutState
from netboot.operate.rollout.decision import outcomes
from netboot.operate.rollout.decision.effects import Arm, Effect, PowerOn, RunCommand
from netboot.operate.rollout.decision.host_moves import has_started
from netboot.operate.rollout.decision.next_actions import next_step
from netboot.operate.rollout.decision.observed import MARGIN, FileInPlace, Observed, ObservedInstall, Rules
from netboot.operate.rollout.decision.person_texts import ToPress
from tests.fixtures.rollouts import BEGAN_AT, EVERY_COMMAND, TOKEN_LIFE, World, a_rollout, phases

K = CommandKind


@dataclass
class CheckedWorld(World):
    """A world that checks each step."""

    def check(self, before: Rollout, after: Rollout, effects: tuple[Effect, ...]) -> None:
        options = after.options
        assert after.joining(RolloutPart.CONTROL_PLANE) <= 1
        assert after.joining(RolloutPart.WORKER) <= options.max_parallel
        for old, new in zip(before.hosts, after.hosts, strict=True):
            if new.permit is not None and new.permit != old.permit:
                self._check_new_permit(after, new.part, new.permit.sha256)
        began = {effect for effect in effects if isinstance(effect, RunCommand)}
        pairs = list(zip(before.hosts, after.hosts, strict=True))
        new_work = [new for old, new in pairs if _has_begun(old.phase, new.phase)]
        if Phase.POWERING in {new.phase for new in new_work}:
            assert after.installs() <= options.max_parallel
        began |= {new.host for old, new in pairs if old.power is not new.power}
        if after.has_spent_its_budget or after.state is RolloutState.PAUSED:
            assert not new_work
            assert not began
        for effect in effects:
            if isinstance(effect, RunCommand) and effect.kind is K.JOIN_CONTROL_PLANE:
                assert after.joining(RolloutPart.CONTROL_PLANE) == 0, (
                    "a new key voids that of a control plane that joins"
                )

    def _check_new_permit(self, after: Rollout, part: RolloutPart, sha256: str) -> None:
        if part is not RolloutPart.INIT:
            assert has_started(after)
            assert after.api_answered_at is not None
            assert all(each.phase is Phase.READY for each in after.of(RolloutPart.INIT))
        if part is RolloutPart.WORKER:
            assert all(each.is_over for each in after.of(RolloutPart.CONTROL_PLANE))
        if part is RolloutPart.CONTROL_PLANE:
            assert sha256 == self.key_of_cluster

    def check_history(self) -> None:
        """What is true of what the machines got."""
        inits = [host for host, use, _, _ in self.served if use is RoleUse.INIT]
        assert set(inits) <= {"cp1"}
        for _, use, at, sha256 in self.served:
            file = self.files_ever[use, sha256]
            assert file.until is None or file.until - at >= MARGIN
        for host in self.powered:
            assert self.powered.count(host) <= self.rollout.host(host).attempts

    def __post_init__(self) -> None:
        self.files_ever: dict[tuple[RoleUse, str], FileInPlace] = {}

    def _command(self, name: str) -> None:
        super()._command(name)
        self.files_ever |= {(use, file.sha256): file for use, file in self.files.items()}


def _has_begun(before: Phase, after: Phase) -> bool:
    return (before, after) in ((Phase.WAITING, Phase.POWERING), (Phase.INSTALLED, Phase.JOINING))


def test_blank_machines_become_a_cluster_in_the_order_of_their_parts():
    world = CheckedWorld(a_rollout())

    rollout = world.run()

    assert rollout.state is RolloutState.ENDED
    assert set(phases(rollout).values()) == {Phase.READY}
    assert [host for host, _, _, _ in world.served] == ["cp1", "cp2", "cp3", "w1", "w2"]
    assert world.runs == [K.START, K.START_AGAIN, K.JOIN_CONTROL_PLANE, K.JOIN_WORKER]
    assert sorted(world.armings) == ["cp1", "cp2", "cp3", "w1", "w2"]
    world.check_history()


def test_every_disk_is_installed_while_the_cluster_has_not_started():
    world = CheckedWorld(a_rollout(options=RolloutOptions(max_parallel=5)))

    world.run(until=timedelta(minutes=17))

    installed = {host: phase for host, phase in phases(world.rollout).items() if host != "cp1"}
    assert installed == dict.fromkeys(["cp2", "cp3", "w1", "w2"], Phase.INSTALLED)
    assert not world.has_api


def test_without_power_a_person_presses_and_the_rollout_waits():
    world = CheckedWorld(a_rollout(0, 1, options=RolloutOptions(power=False)))
    world.turn()
    world.turn()
    world.turn()

    assert set(phases(world.rollout).values()) == {Phase.NEEDS_PERSON}
    assert "power the machine on" in world.rollout.hosts[0].reason
    assert set(phases(world.run()).values()) == {Phase.READY}
    assert world.powered == []


def test_machines_that_wait_for_a_person_hold_up_no_other_install():
    world = CheckedWorld(a_rollout(0, 5, options=RolloutOptions(max_parallel=2)))
    for name in ("cp1", "w1"):
        each = world.rollout.host(name).moved_to(Phase.POWERING, at=BEGAN_AT)
        world.rollout = world.rollout.with_host(each.moved_to(Phase.NEEDS_PERSON, at=BEGAN_AT))

    world.turn()

    assert list(phases(world.rollout).values()) == [
        Phase.NEEDS_PERSON, Phase.NEEDS_PERSON, Phase.POWERING, Phase.POWERING, Phase.WAITING, Phase.WAITING
    ]  # fmt: skip


@pytest.mark.parametrize(("is_sent", "at_once", "after_the_limit"), [(False, 6, 6), (True, 2, 4)])
def test_machines_whose_reset_was_perhaps_sent_count_until_they_would_have_booted(
    is_sent: bool, at_once: int, after_the_limit: int
):
    world = World(a_rollout(0, 5, options=RolloutOptions(max_parallel=2)))
    requested = []

    def turns() -> int:
        """Let no machine boot, and return how many power-ons were requested by now."""
        for _ in range(20):
            found = next_step(world.rollout, world.observed(), rules=world.rules, now=world.now)
            world.rollout = found.rollout
            for effect in found.effects:
                if isinstance(effect, PowerOn):
                    requested.append(effect.host)
                    to_press = ToPress("look", is_sent=is_sent)
                    world.rollout = outcomes.powered(world.rollout, effect.host, to_press, at=world.now)
                elif isinstance(effect, Arm):
                    world.rollout = world._do(effect)(world.rollout)
        return len(requested)

    first = turns()
    world.now += world.rules.boot_limit

    assert (first, turns()) == (at_once, after_the_limit)
    assert len(set(requested)) == len(requested)
    assert {each.reason for each in world.rollout.hosts if each.phase is Phase.NEEDS_PERSON} == {"look"}


def test_a_machine_that_does_not_boot_after_its_power_on_is_left_to_a_person():
    world = World(a_rollout(0, 0))
    world.turn()
    world.due.clear()
    for _ in range(20):
        world.turn()
        world.due = [each for each in world.due if each[2] != "boots"]
        world.now += timedelta(minutes=1)

    reason = world.rollout.hosts[0].reason
    assert world.rollout.hosts[0].phase is Phase.NEEDS_PERSON
    assert reason == (
        "it did not boot from the network within 15 min; look at its screen, then netboot power pxe cp1, or "
        "power the machine on and let it boot from the network once (often F12 at its start)"
    )
    assert world.powered == ["cp1"]


def test_the_time_to_boot_begins_when_the_bmc_has_started_the_machine():
    """Before it, many other BMCs may have been waited for; a machine that starts then counts in max_parallel."""
    world = World(a_rollout(0, 0))

    def turn(minutes: int) -> Phase:
        world.now = BEGAN_AT + timedelta(minutes=minutes)
        for _ in range(4):
            found = next_step(world.rollout, world.observed(), rules=world.rules, now=world.now)
            world.rollout = found.rollout
            for effect in found.effects:
                world.rollout = world._do(effect)(world.rollout) if isinstance(effect, Arm) else world.rollout
        return world.rollout.hosts[0].phase

    waiting = [turn(0), turn(20)], world.rollout.installs()
    world.rollout = outcomes.powered(world.rollout, world.rollout.hosts[0].host, None, at=world.now)

    assert waiting == ([Phase.POWERING, Phase.POWERING], 1)
    assert [turn(34), turn(35)] == [Phase.POWERING, Phase.NEEDS_PERSON]


def test_a_failed_host_within_the_budget_does_not_stop_the_others():
    world = CheckedWorld(a_rollout(options=RolloutOptions(failure_budget=1)))
    world.run(until=timedelta(minutes=5))
    world._move("cp2", InstallState.FAILED, is_armed=False, note="checks failed: disk")

    rollout = world.run()

    expected = {"cp1": Phase.READY, "cp2": Phase.FAILED, "cp3": Phase.READY, "w1": Phase.READY, "w2": Phase.READY}
    assert (rollout.state, phases(rollout)) == (RolloutState.ENDED, expected)
    assert rollout.host("cp2").reason == "checks failed: disk"


def test_beyond_the_budget_running_work_ends_and_nothing_new_begins_until_a_person_resumes():
    world = CheckedWorld(a_rollout(0, 6, options=RolloutOptions(max_parallel=2)))
    world.run(until=timedelta(minutes=5))
    world._move("w1", InstallState.FAILED, is_armed=False, note="no disk")
    world.run(until=timedelta(hours=5))

    paused = world.rollout
    assert paused.state is RolloutState.PAUSED
    assert paused.reason == "1 host failed, and the failure budget is 0"
    assert phases(paused)["cp1"] is Phase.INSTALLED
    assert [phases(paused)[f"w{n}"] for n in (2, 3, 4, 5, 6)] == [Phase.WAITING] * 5

    world.rollout = outcomes.resumed(outcomes.retried(paused, "w1", at=world.now))
    assert set(phases(world.run()).values()) == {Phase.READY}
    assert world.armings.count("w1") == 2


def test_a_key_that_ends_before_it_is_used_is_made_again_and_no_control_plane_gets_the_old_one():
    world = CheckedWorld(a_rollout(2, 0))
    world.run(until=timedelta(minutes=5))
    world.installs["cp3"] = replace(world.installs["cp3"], hold="a person confirms its machine")
    world.due = [each for each in world.due if each[3] != "cp3"]
    world.run(until=timedelta(hours=3))
    assert phases(world.rollout)["cp2"] is Phase.READY
    world.installs["cp3"] = replace(world.installs["cp3"], hold=None)
    world._after(1, "installs", "cp3")

    rollout = world.run()

    assert set(phases(rollout).values()) == {Phase.READY}
    assert world.runs.count(K.JOIN_CONTROL_PLANE) == 2
    world.check_history()


def test_a_file_that_a_person_set_is_used_and_one_that_ends_soon_is_not():
    rules = Rules(configured=frozenset({K.START, K.START_AGAIN}))
    world = CheckedWorld(a_rollout(0, 1), rules=rules)
    world.files[RoleUse.WORKER] = FileInPlace("old", BEGAN_AT + timedelta(minutes=30))
    world.run(until=timedelta(hours=2))

    command = world.rollout.command(K.JOIN_WORKER)
    assert command.state is CommandState.NEEDS_PERSON
    assert command.detail.endswith("then netboot cluster ignition set worker w.ign")
    assert world.served[-1][0] == "cp1"

    world.files[RoleUse.WORKER] = FileInPlace("new", world.now + TOKEN_LIFE)
    assert set(phases(world.run()).values()) == {Phase.READY}
    assert world.served[-1][3] == "new"
    assert world.rollout.command(K.JOIN_WORKER).is_done


def test_no_file_is_given_while_its_command_replaces_it():
    """The record of the new file is written first: until the file follows, the old one is judged by its own time."""
    rollout = a_rollout(0, 1, has_cluster=True, api_answered_at=BEGAN_AT)
    waiting = replace(rollout.hosts[1], phase=Phase.INSTALLED, requested_at=BEGAN_AT, changed_at=BEGAN_AT)
    rollout = replace(rollout, hosts=(waiting,))
    running = rollout.with_command(rollout.command(K.JOIN_WORKER).begun(BEGAN_AT))
    observed = Observed(
        {waiting.host: ObservedInstall(InstallState.INSTALLED)},
        {RoleUse.WORKER: FileInPlace("old", BEGAN_AT + TOKEN_LIFE)},
    )

    step = next_step(running, observed, rules=EVERY_COMMAND, now=BEGAN_AT)
    done = outcomes.command_done(step.rollout, K.JOIN_WORKER, BEGAN_AT, detail="exit code 0")

    assert (step.rollout, step.effects) == (running, ())
    assert phases(next_step(done, observed, rules=EVERY_COMMAND, now=BEGAN_AT).rollout) == {"w1": Phase.JOINING}


def test_a_command_that_fails_is_repeated_twice_then_the_rollout_is_paused():
    rollout = a_rollout(0, 0, api_answered_at=BEGAN_AT)
    init = replace(rollout.hosts[0], phase=Phase.JOINING, served_at=BEGAN_AT, changed_at=BEGAN_AT)
    rollout, now, runs = rollout.with_host(init), BEGAN_AT, []
    for _ in range(20):
        step = next_step(rollout, Observed(api_answers=True), rules=EVERY_COMMAND, now=now)
        rollout = step.rollout
        if RunCommand(K.START_AGAIN) in step.effects:
            runs.append(now - BEGAN_AT)
            rollout = outcomes.command_failed(rollout, K.START_AGAIN, "exit code 1: no route", at=now)
        now += timedelta(seconds=10)

    assert runs == [timedelta(0), timedelta(seconds=30), timedelta(seconds=90)]
    assert (rollout.state, rollout.reason) == (RolloutState.PAUSED, "start-again: exit code 1: no route")
    resumed = outcomes.resumed(rollout)
    step = next_step(resumed, Observed(api_answers=True), rules=EVERY_COMMAND, now=now)
    assert RunCommand(K.START_AGAIN) in step.effects
    failed = partial(outcomes.command_failed, step.rollout, K.START_AGAIN, "no program", at=now, cure="install it")
    assert failed().command(K.START_AGAIN).next_at == now + timedelta(seconds=30), "its program may be there again"
    assert failed(is_final=True).command(K.START_AGAIN).next_at is None


def test_an_arming_that_an_operator_cancelled_is_not_made_again():
    world = World(a_rollout(0, 0))
    world.turn()
    world.turn()
    world.installs["cp1"] = replace(world.installs["cp1"], is_armed=False)
    world.turn()

    failed = world.rollout.hosts[0]
    assert (failed.phase, failed.reason) == (
        Phase.FAILED,
        "its arming was cancelled, or ended before it was installed",
    )
    assert world.armings == ["cp1"]


def test_an_installed_host_joins_without_another_install():
    world = CheckedWorld(a_rollout(0, 1))
    world.installs["w1"] = ObservedInstall(InstallState.INSTALLED, changed_at=BEGAN_AT - timedelta(hours=1))
    world._after(1, "boots_its_disk", "w1")

    assert set(phases(world.run()).values()) == {Phase.READY}
    assert world.armings == ["cp1"]


def test_a_cancelled_host_is_disarmed_and_the_others_go_on():
    world = CheckedWorld(a_rollout(0, 2))
    world.turn()
    world.turn()
    world.rollout = outcomes.cancelled(world.rollout, ["w2"], at=world.now, reason="")

    rollout = world.run()

    assert phases(rollout) == {"cp1": Phase.READY, "w1": Phase.READY, "w2": Phase.CANCELLED}
    assert not world.installs["w2"].is_armed
    assert rollout.state is RolloutState.ENDED


def test_a_cancelled_rollout_ends_when_nothing_of_it_is_armed():
    world = CheckedWorld(a_rollout())
    world.turn()
    world.turn()
    world.rollout = outcomes.cancelled(world.rollout, [], at=world.now, reason="another day")

    assert world.run().state is RolloutState.CANCELLED
    assert not any(each.is_armed for each in world.installs.values())


def test_a_node_is_replaced_after_it_left_the_cluster():
    rollout = a_rollout(0, 1, has_cluster=True, replaces="w1")
    rollout = replace(rollout, hosts=tuple(replace(each, wants_install=True) for each in rollout.hosts[1:]))
    world = CheckedWorld(rollout)
    world.has_api = True
    world.installs["w1"] = ObservedInstall(InstallState.READY, changed_at=BEGAN_AT - timedelta(days=9))
    world.run(until=timedelta(minutes=2))
    assert (world.runs, world.armings) == ([K.DRAIN, K.RESET], [])

    assert set(phases(world.run()).values()) == {Phase.READY}
    assert world.runs == [K.DRAIN, K.RESET, K.DELETE, K.JOIN_WORKER]
    assert world.armings == ["w1"]


def test_the_init_host_is_not_started_twice_once_its_cluster_answers():
    world = World(a_rollout(0, 0))
    world.run(until=timedelta(minutes=23))
    failed = world.rollout.hosts[0].moved_to(Phase.FAILED, at=world.now)
    rollout = world.rollout.with_host(failed)

    assert rollout.api_answered_at is not None
    with pytest.raises(outcomes.RolloutError, match="must not start another one"):
        outcomes.retried(rollout, "cp1", at=world.now)


@settings(max_examples=60, deadline=None)
@given(
    seed=some.integers(0, 2**32),
    sizes=some.tuples(some.integers(0, 3), some.integers(0, 6)),
    options=some.builds(RolloutOptions, some.integers(1, 4), some.integers(0, 3), some.booleans()),
    faults=some.tuples(some.sampled_from([0, 0.05, 0.3]), some.sampled_from([0, 0.1, 0.3])),
    slow=some.sampled_from([0, 0.2]),
)
def test_whatever_fails_and_whenever_the_daemon_is_killed(
    seed: int, sizes: tuple[int, int], options: RolloutOptions, faults: tuple[float, float], slow: float
):
    random = Random(seed)
    world = CheckedWorld(
        a_rollout(*sizes, options=options), random=random, crashes=faults[0], failures=faults[1], slow=slow
    )
    for _ in range(6):  # an operator resumes and retries, a few times
        rollout = world.run(until=world.now - BEGAN_AT + timedelta(hours=8), step=timedelta(minutes=4))
        for each in rollout.hosts:
            is_retried = each.phase is Phase.FAILED and outcomes.retry_refusal(rollout, each) is None
            if rollout.is_active and is_retried and random.random() < 0.7:
                rollout = outcomes.retried(rollout, each.host, at=world.now)
        if rollout.state is RolloutState.PAUSED:
            rollout = outcomes.resumed(rollout)
        world.rollout = rollout

    world.check_history()
    for each in world.rollout.hosts:
        assert world.armings.count(each.host) <= each.attempts
    if faults[1] == 0 and slow == 0:
        assert set(phases(world.rollout).values()) == {Phase.READY}
        assert world.powered == [] if not options.power else True


def test_each_phase_but_ready_has_a_move():
    assert {phase for phase, moves in MOVES.items() if not moves} == {Phase.READY}
    assert set(MOVES) == set(Phase)


def test_a_lost_arming_is_requested_again_and_made_once():
    rollout = a_rollout(0, 0)
    first = next_step(rollout, Observed(), rules=EVERY_COMMAND, now=BEGAN_AT)
    second = next_step(first.rollout, Observed(), rules=EVERY_COMMAND, now=BEGAN_AT)
    armed = outcomes.armed(second.rollout, "cp1", BEGAN_AT)
    third = next_step(armed, Observed({"cp1": ObservedInstall(is_armed=True)}), rules=EVERY_COMMAND, now=BEGAN_AT)

    assert first.effects == (Arm("cp1"), RunCommand(K.START))
    assert second.effects == (Arm("cp1"),)
    assert third.effects == (PowerOn("cp1"),)
