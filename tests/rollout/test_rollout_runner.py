"""The runner of a rollout and its effects, on a real store: what is late, fails or is cancelled at a wrong moment."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from fixtures.run_rollouts import RunningRollouts, with_runner
from fixtures.services import WithServices

from netboot.model.host.host import HostName
from netboot.model.install.install import InstallState
from netboot.model.rollout.command import REMOVAL, CommandKind
from netboot.model.rollout.rollout import Phase, PowerStep, Rollout, RolloutHost, RolloutPart, RolloutState
from netboot.operate.rollout.decision import outcomes
from netboot.operate.rollout.rollout_runner import CLAIM, SKEW, Owner
from netboot.store.rollouts.rollout_store import Claim
from tests.fixtures.rollouts import BEGAN_AT, a_rollout

W1 = HostName("w1")


def of_w1(**values: object) -> Rollout:
    """Make a rollout of a worker alone, of a cluster that runs."""
    rollout = a_rollout(0, 0, has_cluster=True)
    host = RolloutHost(W1, RolloutPart.WORKER, **values)  # type: ignore[arg-type] # fields by name
    return replace(rollout, hosts=(host,), api_answered_at=BEGAN_AT)


def cancel(at_host: str) -> "partial[Rollout]":
    return partial(outcomes.cancelled, names=[at_host], at=BEGAN_AT, reason="")


def test_a_host_that_is_cancelled_while_it_is_armed_is_disarmed_before_the_rollout_ends(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        running.machines.answers.clear()
        rollout = await running.begin(of_w1())
        await running.machines.requested.wait()
        await running.apply(rollout, cancel("w1"))
        await running.turns()
        waiting = await running.until(rollout, lambda found: found.hosts[0].phase is Phase.CANCELLED)

        running.machines.answers.set()
        ended = await running.until(rollout, lambda found: not found.is_active)

        assert waiting.state is RolloutState.RUNNING
        assert ended.state is RolloutState.CANCELLED
        assert await running.history("w1") == ["armed", "cancelled"]
        assert not (await running.services.install_moves.read(W1)).is_armed

    with_runner(with_services, work)


def test_an_arming_that_an_operator_made_after_the_host_was_over_is_left(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        other = RolloutHost(HostName("cp1"), RolloutPart.CONTROL_PLANE, Phase.JOINING, BEGAN_AT, served_at=BEGAN_AT)
        begun = of_w1()
        rollout = await running.begin(replace(begun, hosts=(*begun.hosts, other)))
        await running.until(rollout, lambda found: found.hosts[0].armed_at is not None)
        await running.services.install_moves.cancel(W1, reason="by hand")
        await running.until(rollout, lambda found: found.hosts[0].phase is Phase.FAILED)
        running.clock.pass_(60)
        await running.services.install_moves.arm_all([W1], reason="by hand", attempts=1)
        await running.turns()

        assert await running.history("w1") == ["armed", "cancelled", "armed"]

    with_runner(with_services, work)


def test_the_outcome_of_a_command_is_stored_when_the_store_works_again(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        running.rollouts.failures = 2
        rollout = await running.begin(replace(of_w1(wants_install=True), replaces=W1))

        found = await running.until(rollout, lambda found: found.command(CommandKind.DELETE).is_done)

        assert running.rollouts.failures == 0
        assert [found.command(kind).attempts for kind in REMOVAL] == [1, 1, 1]

    with_runner(with_services, work, commands={kind: ["/bin/true"] for kind in REMOVAL})


def test_a_new_rollout_does_not_take_what_the_one_before_observed(with_services: WithServices, tmp_path: Path):
    flag = tmp_path / "ready"
    flag.touch()
    joining = of_w1(phase=Phase.JOINING, changed_at=BEGAN_AT, served_at=BEGAN_AT)

    async def work(running: RunningRollouts) -> None:
        await running.move("w1", InstallState.READY)
        other = replace(joining.hosts[0], host=HostName("cp1"), part=RolloutPart.CONTROL_PLANE)
        first = await running.begin(replace(joining, hosts=(*joining.hosts, other)))
        ready = await running.until(first, lambda found: found.hosts[0].phase is Phase.READY)
        flag.unlink()
        assert await running.rollouts.save(ready, replace(ready, state=RolloutState.ENDED)) is not None
        second = await running.begin(joining)
        found = await running.until(second, lambda found: found.hosts[0].reason or found.hosts[0].is_over)

        host = found.hosts[0]
        assert (host.phase, host.reason) == (Phase.JOINING, "cluster.commands.ready does not succeed yet")

    with_runner(with_services, work, ready=["/bin/sh", "-c", f"test -e {flag}"])


def test_a_clock_that_is_set_back_ends_no_claim(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        running.clock.ahead_s = 3600
        rollout = await running.begin(of_w1())
        await running.until(rollout, lambda found: found.hosts[0].phase is Phase.POWERING)
        running.clock.ahead_s = 0
        running.clock.pass_(6)
        await running.turns()

        now = running.clock.now()
        assert not await running.rollouts.claim(rollout, Claim("b", now, now + CLAIM, farthest=now + CLAIM + SKEW))

    with_runner(with_services, work, owner=Owner("a", is_alone=False))


def test_a_clock_that_is_set_forward_fails_no_host(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        begun_at = running.clock.now()
        await running.move("w1", InstallState.INSTALLED)
        rollout = await running.begin(of_w1(phase=Phase.INSTALLED, changed_at=begun_at))
        await running.turns()
        running.clock.ahead_s = 7200
        await running.turns()
        moved = await running.until(rollout, lambda found: found.hosts[0].changed_at != begun_at)
        running.clock.pass_(16 * 60)
        ended = await running.until(rollout, lambda found: found.hosts[0].is_over)

        assert (moved.hosts[0].phase, moved.hosts[0].changed_at) == (Phase.INSTALLED, begun_at + timedelta(hours=2))
        assert ended.hosts[0].reason.endswith("within 15 min"), "the limit counts on"

    with_runner(with_services, work)


def test_a_host_that_is_cancelled_while_its_bmc_waits_is_not_reset_by_it_later(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        rollout = await running.begin(of_w1())
        requested = await running.until(rollout, lambda found: found.hosts[0].power is PowerStep.REQUESTED)
        await running.until(rollout, lambda _found: running.power.requested)
        await running.apply(rollout, cancel("w1"))
        ended = await running.until(rollout, lambda found: not found.is_active)

        assert requested.hosts[0].phase is Phase.POWERING
        assert running.power.requested == ["rollout-1-1-w1"]
        assert set(running.power.withdrawn) == {"rollout-1-1-w1"}
        assert (ended.state, ended.hosts[0].power) == (RolloutState.CANCELLED, PowerStep.DONE)

    with_runner(with_services, work)


def test_a_command_that_meets_an_unexpected_fault_has_failed_and_pauses_the_rollout(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        rollout = await running.begin(replace(of_w1(wants_install=True), replaces=W1))
        paused = await running.until(rollout, lambda found: found.state is RolloutState.PAUSED)

        assert paused.reason == "drain: netboot met an unexpected fault; report it with its log (journalctl -u netboot)"
        assert paused.command(CommandKind.DRAIN).next_at is None

    with_runner(with_services, work, commands={CommandKind.DRAIN: [7]})


def test_the_outcome_of_a_run_is_not_that_of_a_later_one(with_services: WithServices, tmp_path: Path):
    kind, may_end, has_ended = CommandKind.DRAIN, tmp_path / "may-end", tmp_path / "has-ended"

    async def work(running: RunningRollouts) -> None:
        rollout = await running.begin(replace(of_w1(wants_install=True), replaces=W1))
        first = await running.until(rollout, lambda found: found.command(kind).began_at)
        again = replace(first.command(kind), began_at=BEGAN_AT + timedelta(days=400))  # as another appliance does
        await running.apply(rollout, lambda found: found.with_command(again))
        may_end.touch()
        await running.until(rollout, lambda _found: has_ended.exists())
        await running.turns(8)

        found = await running.until(rollout, lambda _found: True)
        assert found.command(kind) == again

    script = f"while ! test -e {may_end}; do sleep 0.05; done; touch {has_ended}"
    with_runner(with_services, work, commands={each: ["/bin/sh", "-c", script] for each in REMOVAL})
