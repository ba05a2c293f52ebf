"""The forecast of the active rollout is computed once for all who follow it, in a thread, and kept for seconds."""

import asyncio
import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta

from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.model.host.host import Cluster, HostSet
from netboot.model.install.install import Install
from netboot.model.rollout.rollout import Rollout, RolloutState
from netboot.operate.rollout.decision.forecast import PAUSED, Forecast
from netboot.operate.rollout.decision.schedule import Durations, schedule
from netboot.operate.rollout.forecasts import KEPT, Forecasts
from netboot.operate.rollout.ocne.ocne_files import ClusterFiles
from tests.fixtures.rollouts import BEGAN_AT, EVERY_COMMAND, a_rollout

SECOND = timedelta(seconds=1)


@dataclass
class Usual:
    """The durations that are usual; each computation requests them once."""

    threads: list[int] = field(default_factory=list)

    def now(self) -> ExpectedDurations:
        self.threads.append(threading.get_ident())
        return ExpectedDurations()


def forecasts_of(usual: Usual) -> Forecasts:
    files = ClusterFiles(lambda: HostSet.of(Cluster("rackone", "cp1"), []), ca_file=None)
    return Forecasts(files, Install, usual.now, rules=EVERY_COMMAND)


def test_ten_that_follow_a_rollout_cost_one_computation_which_is_off_the_loop():
    usual, rollout = Usual(), a_rollout()

    async def follow() -> list[Forecast | None]:
        forecasts = forecasts_of(usual)
        return await asyncio.gather(*(forecasts.of(rollout, now=BEGAN_AT) for _ in range(10)))

    plan = schedule(rollout, {}, {}, rules=EVERY_COMMAND, durations=Durations.of(ExpectedDurations()))
    assert [each.ends_at for each in asyncio.run(follow()) if each is not None] == [plan.ends_at] * 10
    assert len(usual.threads) == 1
    assert usual.threads != [threading.get_ident()]


def test_a_forecast_is_kept_for_seconds_and_not_beyond_a_change_by_an_operator():
    usual, rollout = Usual(), a_rollout()
    paused = replace(rollout, id=2, state=RolloutState.PAUSED)

    async def follow() -> None:
        forecasts = forecasts_of(usual)

        async def computed(of: Rollout, seconds: float) -> int:
            await forecasts.of(of, now=BEGAN_AT + seconds * SECOND)
            return len(usual.threads)

        assert [await computed(rollout, each) for each in (0, KEPT / SECOND - 1, KEPT / SECOND)] == [1, 1, 2]
        assert await computed(replace(rollout, id=2), 5) == 3
        found = await forecasts.of(paused, now=BEGAN_AT + 5 * SECOND)
        assert (found.reason if found else "", len(usual.threads)) == (PAUSED, 4)
        forecasts.forget()
        assert await computed(paused, 5) == 5
        assert await computed(paused, 0) == 6, "the clock was set back"

    asyncio.run(follow())


def test_a_rollout_that_has_ended_has_no_forecast():
    usual = Usual()

    async def of_ended() -> Forecast | None:
        return await forecasts_of(usual).of(replace(a_rollout(), state=RolloutState.ENDED), now=BEGAN_AT)

    assert asyncio.run(of_ended()) is None
    assert usual.threads == []
