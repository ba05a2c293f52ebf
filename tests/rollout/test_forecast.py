"""The forecast of an active rollout: the end of its plan while everything takes what is usual, and what changes it."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from netboot.model.host.host import HostName
from netboot.model.host.role_ignition import RoleUse
from netboot.model.install.install import InstallState
from netboot.model.rollout.command import CommandKind, CommandState, RolloutCommand
from netboot.model.rollout.rollout import (
    JoinPermit,
    Phase,
    PowerStep,
    Rollout,
    RolloutOptions,
    RolloutState,
)
from netboot.operate.rollout.decision import outcomes
from netboot.operate.rollout.decision.effects import Effect, PowerOn
from netboot.operate.rollout.decision.forecast import PAUSED, ExpectedTimes, Forecast, forecast
from netboot.operate.rollout.decision.observed import FileInPlace, ObservedInstall
from netboot.operate.rollout.decision.person_texts import PRESS, ToPress
from netboot.operate.rollout.decision.schedule import Durations, schedule
from tests.fixtures.counted_calls import calls_of
from tests.fixtures.rollouts import BEGAN_AT, EVERY_COMMAND, World, a_rollout

K = CommandKind
# Of the machines of `World`; a person is to press for 5 min, of which 2 are those of a boot.
USUAL = Durations(
    install=timedelta(minutes=12),
    first_boot=timedelta(minutes=3),
    join=timedelta(minutes=4),
    api=timedelta(minutes=5),
    command=timedelta(minutes=1),
    person=timedelta(minutes=3),
    boot=timedelta(minutes=2),
)


def at(minutes: float) -> datetime:
    return BEGAN_AT + timedelta(minutes=minutes)


@dataclass
class UsualWorld(World):
    """Machines that do everything in their usual time; those of `without_bmc` wait for a person."""

    without_bmc: frozenset[str] = frozenset()
    ready_at: dict[str, datetime] = field(default_factory=dict)

    def _do(self, effect: Effect):  # type: ignore[no-untyped-def] # as its base
        if isinstance(effect, PowerOn) and effect.host in self.without_bmc:
            return lambda rollout: outcomes.powered(rollout, effect.host, ToPress(PRESS), at=self.now)
        return super()._do(effect)

    def moments(self) -> Iterator[datetime]:
        """Let it go on; yield each moment after what happens then, and a moment before the next thing happens."""
        for _ in range(500):
            self._settle()
            for each in self.rollout.hosts:
                if each.phase is Phase.READY:
                    self.ready_at.setdefault(each.host, self.now)
            if not self.rollout.is_active:
                return
            yield self.now
            self.now = min(each[0] for each in self.due)
            yield self.now - timedelta(seconds=1)
        raise AssertionError(self.rollout)

    def _settle(self) -> None:
        for _ in range(100):
            before = self.rollout, len(self.due)
            self.turn()
            if before == (self.rollout, len(self.due)):
                return
        raise AssertionError(self.rollout)


def of(world: World, now: datetime) -> Forecast:
    return forecast(world.rollout, world.installs, world.files, rules=world.rules, durations=USUAL, now=now)


@pytest.mark.parametrize("without_bmc", [frozenset[str](), frozenset({"w1"})], ids=["powered", "one-by-a-person"])
@pytest.mark.parametrize("max_parallel", [1, 3, 8])
@pytest.mark.parametrize(("control_planes", "workers"), [(0, 1), (2, 3)])
def test_while_everything_takes_what_is_usual_the_forecast_is_the_plan(
    control_planes: int, workers: int, max_parallel: int, without_bmc: frozenset[str]
):
    began = a_rollout(control_planes, workers, options=RolloutOptions(max_parallel=max_parallel))
    plan = schedule(began, {}, {}, rules=EVERY_COMMAND, durations=USUAL)
    world = UsualWorld(began, without_bmc=without_bmc)

    found = [(now, world.rollout, of(world, now)) for now in world.moments()]

    assert len(found) >= 15
    for now, rollout, each in found:
        # A machine without a BMC is not known before it is its turn to be powered on.
        is_known = all(one.phase is not Phase.WAITING for one in rollout.hosts if one.host in without_bmc)
        ends_at = world.now if is_known else plan.ends_at
        assert each == Forecast(each.hosts, ends_at), now
        if is_known:
            times = {one.host: one_of.ready_at for one in rollout.hosts if (one_of := each.of(one))}
            assert times == {name: ready_at for name, ready_at in world.ready_at.items() if ready_at > now}, now
    if not without_bmc:
        assert (plan.ends_at, {one.host: one.ready_at for one in plan.hosts}) == (world.now, world.ready_at)


def moved(rollout: Rollout, name: str, phase: Phase, since: float = 0, **values: Any) -> Rollout:
    """Return a rollout with a host in a phase since a minute."""
    each = rollout.host(name)
    assert each is not None
    return rollout.with_host(replace(each, phase=phase, changed_at=at(since), **values))


def now_at(
    minute: float,
    rollout: Rollout,
    installs: Mapping[str, ObservedInstall] | None = None,
    files: Mapping[RoleUse, FileInPlace] | None = None,
) -> Forecast:
    seen = {HostName(name): each for name, each in (installs or {}).items()}
    return forecast(rollout, seen, files or {}, rules=EVERY_COMMAND, durations=USUAL, now=at(minute))


def a_worker(phase: Phase, since: float = 0, **values: Any) -> Rollout:
    """Make a rollout of a worker beside a cluster whose API answers."""
    rollout = replace(a_rollout(0, 1, has_cluster=True, api_answered_at=BEGAN_AT), hosts=a_rollout(0, 1).hosts[1:])
    return moved(rollout, "w1", phase, since, **values)


def minutes(found: Forecast, name: str = "w1") -> list[float | None]:
    """Return the times of a host in minutes after the rollout began."""
    times = found.hosts[HostName(name)]
    shown = (times.install_at, times.installed_at, times.join_at, times.ready_at)
    return [None if each is None else (each - BEGAN_AT) / timedelta(minutes=1) for each in shown]


ARMED: Mapping[str, Any] = {"armed_at": BEGAN_AT, "attempts": 1}
INSTALLING = {"w1": ObservedInstall(InstallState.INSTALLING, is_armed=True, ignition_sha256="one")}
INSTALLED = {"w1": ObservedInstall(InstallState.INSTALLED, ignition_sha256="one")}
FILE = {RoleUse.WORKER: FileInPlace("file")}


@pytest.mark.parametrize(
    ("phase", "values", "installs", "first"),
    [  # after 600 min each is later than usual: it takes what remains after it is done now
        (Phase.POWERING, {**ARMED, "power": PowerStep.DONE}, {"w1": ObservedInstall(is_armed=True)}, 600 + 10),
        (Phase.NEEDS_PERSON, {**ARMED, "power": PowerStep.DONE}, {"w1": ObservedInstall(is_armed=True)}, 600 + 10),
        (Phase.INSTALLING, ARMED, INSTALLING, 600),
        (Phase.INSTALLED, ARMED, INSTALLED, None),
    ],
)
def test_what_is_later_than_usual_is_expected_now_and_fails_by_no_limit(
    phase: Phase, values: Mapping[str, Any], installs: Mapping[str, ObservedInstall], first: float | None
):
    found = now_at(600, a_worker(phase, **values), installs, FILE)

    joins = 600 if first is None else first + 3  # its first boot
    assert minutes(found)[1:] == [first, joins, joins + 4]
    assert (found.ends_at, found.reason) == (at(joins + 4), "")


def test_a_machine_that_waits_for_a_person_is_expected_after_the_usual_time_of_a_person():
    waiting = {"w1": ObservedInstall(is_armed=True)}

    found = now_at(1, a_worker(Phase.NEEDS_PERSON, **ARMED, power=PowerStep.DONE), waiting, FILE)

    assert minutes(found) == [None, 15, 18, 22]


def test_a_machine_that_is_held_waits_for_a_person_too():
    held = {"w1": replace(INSTALLING["w1"], hold="another machine has its MAC")}
    rollout = a_worker(Phase.POWERING, **ARMED, power=PowerStep.DONE)

    assert minutes(now_at(1, rollout, held, FILE))[1] == 2 + 3 + 10
    assert minutes(now_at(60, rollout, held, FILE))[1] == 60 + 10


def test_a_join_ends_after_its_usual_time_and_one_whose_permit_ended_is_let_join_again():
    served = a_worker(Phase.JOINING, **ARMED, requested_at=BEGAN_AT, served_at=at(1), permit=permit(100))
    fetching = a_worker(Phase.JOINING, **ARMED, requested_at=BEGAN_AT, permit=permit(100))
    ended = a_worker(Phase.JOINING, **ARMED, requested_at=BEGAN_AT, permit=permit(2))

    assert minutes(now_at(3, served, INSTALLED, FILE)) == [None, None, None, 5]
    assert minutes(now_at(90, served, INSTALLED, FILE)) == [None, None, None, 90]
    assert minutes(now_at(3, fetching, INSTALLED, FILE)) == [None, None, None, 7]
    assert minutes(now_at(3, ended, INSTALLED, {})) == [None, None, None, 8]  # its command is run again


def permit(until: float) -> JoinPermit:
    return JoinPermit("file", at(until), BEGAN_AT)


@pytest.mark.parametrize(
    ("state", "values", "joins"),
    [
        (CommandState.RUNNING, {"began_at": at(10)}, 11),
        (CommandState.RUNNING, {"began_at": BEGAN_AT}, 10),  # later than usual
        (CommandState.NEEDS_PERSON, {"ended_at": at(9)}, 12),
        (CommandState.NEEDS_PERSON, {"ended_at": BEGAN_AT}, 10),
        (CommandState.FAILED, {"ended_at": at(10), "next_at": at(15)}, 16),
        (CommandState.FAILED, {"ended_at": BEGAN_AT, "next_at": at(1)}, 11),
        # Its file is not there: it has failed after half a minute, and is repeated after another one.
        (CommandState.DONE, {"began_at": at(9), "ended_at": at(10)}, 12),
    ],
)
def test_a_command_that_runs_waits_or_is_repeated_has_its_usual_time(
    state: CommandState, values: Mapping[str, Any], joins: float
):
    waiting = a_worker(Phase.INSTALLED, **ARMED, requested_at=BEGAN_AT)
    rollout = waiting.with_command(RolloutCommand(K.JOIN_WORKER, state, 1, **values))

    assert minutes(now_at(10, rollout, INSTALLED)) == [None, None, joins, joins + 4]


def test_the_secrets_that_a_command_printed_for_a_person_count_from_when_they_were_printed():
    """What a person confirms when its secrets have ended is of no use: the command is run again."""
    waiting = a_worker(Phase.INSTALLED, **ARMED, requested_at=BEGAN_AT)
    printed = RolloutCommand(K.JOIN_WORKER, CommandState.NEEDS_PERSON, 1, BEGAN_AT, at(1), printed=1)
    a_day = 24 * 60

    assert minutes(now_at(10, waiting.with_command(printed), INSTALLED))[2] == 10
    assert minutes(now_at(a_day, waiting.with_command(printed), INSTALLED))[2] == a_day + 1.5


def test_of_a_paused_rollout_only_what_has_begun_has_times():
    rollout = moved(a_rollout(1, 3), "cp1", Phase.JOINING, **ARMED, requested_at=BEGAN_AT, served_at=BEGAN_AT)
    rollout = moved(rollout, "cp2", Phase.POWERING, **ARMED)  # it is not powered on before a resume
    rollout = moved(rollout, "w1", Phase.INSTALLING, **ARMED)
    rollout = moved(rollout, "w2", Phase.NEEDS_PERSON, **ARMED, power=PowerStep.DONE)
    seen = {**INSTALLING, "cp2": ObservedInstall(is_armed=True), "w2": ObservedInstall(is_armed=True)}
    paused = replace(rollout, state=RolloutState.PAUSED, reason="lunch")

    found = now_at(1, paused, seen)

    assert {name: minutes(found, name) for name in found.hosts} == {
        "cp1": [None, None, None, None],  # its start is completed after a resume
        "cp2": [None, None, None, None],
        "w1": [None, 10, None, None],
        "w2": [None, 15, None, None],
        "w3": [None, None, None, None],
    }
    assert (found.ends_at, found.reason) == (None, PAUSED)
    assert None not in minutes(now_at(1, rollout, seen), "w3")


def test_a_paused_rollout_whose_last_hosts_join_has_an_end():
    joining = a_worker(Phase.JOINING, **ARMED, requested_at=BEGAN_AT, served_at=BEGAN_AT, permit=permit(100))

    found = now_at(1, replace(joining, state=RolloutState.PAUSED), INSTALLED, FILE)

    assert (found.ends_at, found.reason) == (at(4), "")


def test_hosts_that_are_over_have_no_times_and_hold_up_no_other_one():
    rollout = moved(a_rollout(2, 2), "cp1", Phase.READY, **ARMED)
    rollout = moved(rollout, "cp2", Phase.FAILED, power=PowerStep.REQUESTED)
    rollout = moved(rollout, "cp3", Phase.CANCELLED)
    rollout = moved(rollout, "w1", Phase.INSTALLED, **ARMED, requested_at=BEGAN_AT)
    done = RolloutCommand(K.START_AGAIN, CommandState.DONE, 1, BEGAN_AT, BEGAN_AT)
    rollout = replace(rollout.with_command(done), api_answered_at=BEGAN_AT, forgiven=1)
    seen = {**INSTALLED, "cp1": ObservedInstall(InstallState.READY, ignition_sha256="one")}

    found = now_at(1, rollout, seen, FILE)

    assert {name: minutes(found, name) for name in found.hosts} == {"w1": [None, None, 1, 5], "w2": [1, 13, 16, 20]}
    assert [found.of(each) is None for each in rollout.hosts] == [True, True, True, False, False]
    assert found.ends_at == at(20)


@pytest.mark.parametrize("state", [RolloutState.RUNNING, RolloutState.PAUSED])
def test_behind_a_first_node_that_failed_disks_are_installed_and_nothing_joins(state: RolloutState):
    rollout = moved(a_rollout(0, 1), "cp1", Phase.FAILED, **ARMED)
    rollout = moved(replace(rollout, forgiven=1, state=state), "w1", Phase.INSTALLING, **ARMED)

    found = now_at(1, rollout, INSTALLING)

    assert minutes(found) == [None, 10, None, None]
    assert found.reason == "no other host joins before cp1 is ready, and it is failed"
    assert found.ends_at is None


def test_the_api_of_a_cluster_that_was_there_is_expected_to_answer_now():
    rollout = replace(a_worker(Phase.INSTALLED, **ARMED, requested_at=BEGAN_AT), api_answered_at=None)

    assert minutes(now_at(1, rollout, INSTALLED, FILE)) == [None, None, 1, 5]


def test_a_rollout_whose_hosts_are_all_over_expects_nothing():
    found = now_at(1, moved(a_worker(Phase.FAILED), "w1", Phase.CANCELLED))

    assert found == Forecast(reason="every host is over, and a command may still run")


def test_a_kept_forecast_has_no_times_of_what_has_happened_meanwhile():
    times = ExpectedTimes(at(1), at(2), at(3), at(4))
    found = Forecast({HostName("w1"): times})

    def shown(phase: Phase) -> ExpectedTimes | None:
        each = a_worker(phase).host("w1")
        assert each is not None
        return found.of(each)

    assert shown(Phase.WAITING) == times
    assert shown(Phase.INSTALLING) == ExpectedTimes(None, at(2), at(3), at(4))
    assert shown(Phase.INSTALLED) == ExpectedTimes(None, None, at(3), at(4))
    assert shown(Phase.JOINING) == ExpectedTimes(None, None, None, at(4))
    assert shown(Phase.FAILED) is None
    found = Forecast({HostName("w1"): replace(times, ready_at=None)})
    assert shown(Phase.JOINING) is None


@pytest.mark.parametrize("max_parallel", [2, 8, 100, 500])
def test_the_work_of_a_forecast_of_1000_hosts_is_bounded(max_parallel: int):
    """Hosts under way are not in step: each of them began at another time."""
    began = a_rollout(4, 995, options=RolloutOptions(max_parallel=max_parallel))
    between = timedelta(minutes=10) / max_parallel
    under_way = [
        replace(each, phase=Phase.INSTALLING, changed_at=BEGAN_AT + number * between, **ARMED)
        for number, each in enumerate(began.hosts[:max_parallel])
    ]
    seen = {each.host: INSTALLING["w1"] for each in under_way}

    found, calls = calls_of(lambda: now_at(12, began.with_hosts(under_way), seen))

    assert found.ends_at is not None
    assert all(each.ready_at is not None for each in found.hosts.values())
    first = [found.hosts[each.host].installed_at for each in under_way]
    assert first == [max(at(10) + number * between, at(12)) for number in range(len(under_way))]
    assert calls < 2_000_000


class FollowedWorld(World):
    """A world whose forecast is made after each step of its rollout, whatever happens."""

    def turn(self) -> None:
        super().turn()
        found = of(self, self.now)
        times = [at for each in found.hosts.values() for at in astuple(each) if at is not None]
        assert all(each >= self.now for each in times)
        assert (found.ends_at is None) == bool(found.reason)
        if found.ends_at is not None:
            assert found.ends_at >= max([self.now, *times])
        for each in self.rollout.hosts:
            if found.ends_at is not None and self.rollout.state is RolloutState.RUNNING and not each.is_over:
                assert found.hosts[each.host].ready_at is not None, (each, found)


@pytest.mark.parametrize("seed", range(24))
def test_a_forecast_is_made_of_every_state_of_a_rollout_with_faults(seed: int):
    random = Random(seed)
    began = a_rollout(
        random.randint(0, 3),
        random.randint(0, 4),
        options=RolloutOptions(random.randint(1, 4), random.randint(0, 3), power=random.random() < 0.7),
    )
    world = FollowedWorld(began, random=random, crashes=0.02, failures=0.1, slow=0.1)
    for hours in (2, 4, 6, 8):
        world.run(until=timedelta(hours=hours), step=timedelta(minutes=2))
        if world.rollout.state is RolloutState.PAUSED:
            world.rollout = outcomes.resumed(world.rollout)
