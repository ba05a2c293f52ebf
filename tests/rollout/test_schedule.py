"""The schedule: times and deadlines, by the decisions that the rollout makes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.model.host.host import HostName
from netboot.model.install.install import InstallState
from netboot.model.rollout.command import CommandKind
from netboot.model.rollout.rollout import Rollout, RolloutHost, RolloutOptions, RolloutPart
from netboot.operate.rollout.decision.observed import MARGIN, ObservedInstall, Rules
from netboot.operate.rollout.decision.schedule import Durations, PlannedCommand, PlannedHost, Schedule, schedule
from tests.fixtures.counted_calls import calls_of
from tests.fixtures.rollouts import BEGAN_AT, EVERY_COMMAND, a_rollout

K = CommandKind
USUAL = Durations(timedelta(minutes=10), timedelta(minutes=5), timedelta(minutes=2))


def at(minutes: float):
    return BEGAN_AT + timedelta(minutes=minutes)


def planned(host: str, part: RolloutPart, *minutes: float | None) -> PlannedHost:
    return PlannedHost(host, part, *(None if each is None else at(each) for each in minutes))


def test_a_whole_cluster_with_the_deadline_of_each_key():
    found = schedule(a_rollout(2, 2), {}, {}, rules=EVERY_COMMAND, durations=USUAL)

    assert found.commands == (
        PlannedCommand(K.START, at(1), True),
        PlannedCommand(K.START_AGAIN, at(19), True),
        PlannedCommand(K.JOIN_CONTROL_PLANE, at(20), True, at(19 + 120)),
        PlannedCommand(K.JOIN_WORKER, at(25), True, at(24 + 24 * 60)),
    )
    assert found.hosts == (
        planned("cp1", RolloutPart.INIT, 0, 10, 15, 19),
        planned("cp2", RolloutPart.CONTROL_PLANE, 0, 10, 20, 22),
        planned("cp3", RolloutPart.CONTROL_PLANE, 0, 10, 22, 24),
        planned("w1", RolloutPart.WORKER, 0, 10, 25, 27),
        planned("w2", RolloutPart.WORKER, 10, 20, 25, 27),
    )
    assert found.ends_at == at(27)


def test_a_person_presses_and_runs_the_commands():
    rollout = a_rollout(0, 1, options=RolloutOptions(power=False))

    found = schedule(rollout, {}, {}, rules=Rules(), durations=USUAL)

    assert [(each.kind, each.is_configured) for each in found.commands] == [
        (K.START, False),
        (K.START_AGAIN, False),
        (K.JOIN_WORKER, False),
    ]
    assert found.hosts[1] == planned("w1", RolloutPart.WORKER, 0, 15, 33, 35)


def test_a_key_is_made_again_where_the_joins_take_longer_than_it_lasts():
    slow = replace(USUAL, join=timedelta(minutes=29))

    found = schedule(a_rollout(6, 0), {}, {}, rules=EVERY_COMMAND, durations=slow)

    keys = [each for each in found.commands if each.kind is K.JOIN_CONTROL_PLANE]
    assert len(keys) == 2
    for host in found.hosts[1:]:
        key = max((each for each in keys if each.at <= host.join_at), key=lambda each: each.at)
        assert host.join_at <= key.deadline - MARGIN
        assert host.ready_at is not None


def test_a_host_that_is_installed_is_not_installed_again():
    installs = {"w1": ObservedInstall(InstallState.INSTALLED, changed_at=BEGAN_AT)}

    found = schedule(a_rollout(0, 1), installs, {}, rules=EVERY_COMMAND, durations=USUAL)

    assert found.hosts[1].install_at is None
    assert found.hosts[1].installed_at == BEGAN_AT


def beside_a_cluster(part: RolloutPart, name: str, **values: object) -> Rollout:
    rollout = a_rollout(0, 0, has_cluster=True, **values)
    return replace(rollout, hosts=(RolloutHost(HostName(name), part, wants_install=rollout.replaces is not None),))


def test_a_host_beside_a_cluster_that_runs_joins_and_its_command_has_a_deadline():
    worker = schedule(beside_a_cluster(RolloutPart.WORKER, "w1"), {}, {}, rules=EVERY_COMMAND, durations=USUAL)
    control_plane = schedule(
        beside_a_cluster(RolloutPart.CONTROL_PLANE, "cp2"), {}, {}, rules=EVERY_COMMAND, durations=USUAL
    )

    assert worker == Schedule(
        (planned("w1", RolloutPart.WORKER, 0, 10, 16, 18),),
        (PlannedCommand(K.JOIN_WORKER, at(16), True, at(15 + 24 * 60)),),
        at(18),
    )
    assert control_plane == Schedule(
        (planned("cp2", RolloutPart.CONTROL_PLANE, 0, 10, 16, 18),),
        (PlannedCommand(K.JOIN_CONTROL_PLANE, at(16), True, at(15 + 120)),),
        at(18),
    )


def test_a_node_that_is_replaced_leaves_then_is_installed_and_joins():
    rollout = beside_a_cluster(RolloutPart.WORKER, "w2", replaces=HostName("w2"))
    ready = {HostName("w2"): ObservedInstall(InstallState.READY, changed_at=BEGAN_AT)}

    found = schedule(rollout, ready, {}, rules=EVERY_COMMAND, durations=USUAL)

    assert [(each.kind, each.at, each.deadline) for each in found.commands] == [
        (K.DRAIN, at(1), None),
        (K.RESET, at(2), None),
        (K.DELETE, at(3), None),
        (K.JOIN_WORKER, at(19), at(18 + 24 * 60)),
    ]
    assert found.hosts == (planned("w2", RolloutPart.WORKER, 3, 13, 19, 21),)
    assert found.ends_at == at(21)


def test_the_durations_are_those_of_this_rack():
    usual = Durations.of(ExpectedDurations())

    assert usual.install == timedelta(seconds=180 + 5 + 10 + 2 + 5 + 30 + 15 + 20 + 5 + 240 + 60 + 30)
    assert (usual.first_boot, usual.join) == (timedelta(seconds=240), timedelta(seconds=90))


def test_joins_that_take_longer_than_installs_are_made_in_the_order_of_the_hosts():
    slow = replace(USUAL, install=timedelta(minutes=1), join=timedelta(minutes=20))

    found = schedule(
        a_rollout(0, 7, options=RolloutOptions(max_parallel=2)), {}, {}, rules=EVERY_COMMAND, durations=slow
    )

    joins = [(each.host, each.install_at, each.join_at) for each in found.hosts[1:]]
    assert [name for name, _, _ in joins] == [f"w{number}" for number in range(1, 8)]
    assert [begins for _, begins, _ in joins] == [at(minute) for minute in (0, 1, 1, 2, 2, 3, 3)]
    first = joins[0][2]
    assert first is not None
    assert [join_at - first for _, _, join_at in joins] == [timedelta(minutes=20) * (n // 2) for n in range(7)]


@pytest.mark.parametrize("max_parallel", [4, 500])
@pytest.mark.parametrize("are_installed", [False, True])
def test_the_work_of_a_plan_grows_as_its_hosts(max_parallel: int, are_installed: bool):
    def calls(workers: int) -> int:
        rollout = a_rollout(4, workers, options=RolloutOptions(max_parallel=max_parallel))
        installed = ObservedInstall(InstallState.INSTALLED, changed_at=BEGAN_AT)
        installs = {each.host: installed for each in rollout.hosts} if are_installed else {}
        found, count = calls_of(lambda: schedule(rollout, installs, {}, rules=EVERY_COMMAND, durations=USUAL))
        assert all(each.ready_at is not None for each in found.hosts)
        return count

    assert calls(1000) < 6 * calls(250)
