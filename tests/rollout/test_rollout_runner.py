"""The runner of a rollout and its effects, on a real store: what is late, fails or is cancelled at a wrong moment."""

from dataclasses import replace
from functools import partial

from fixtures.run_rollouts import RunningRollouts, with_runner
from fixtures.services import WithServices

from netboot.model.host.host import HostName
from netboot.model.rollout.rollout import Phase, Rollout, RolloutHost, RolloutPart, RolloutState
from netboot.operate.rollout.decision import outcomes
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
