"""When a burst of changes ends, on a loop whose time passes only by sleeping."""

import asyncio
from collections.abc import Callable

import pytest
from fixtures.sleeping_loop import SleepingLoop

from netboot.store.database import CHANGES_PER_STEP, LONGEST_S, STEP_S, burst_ended


def steps_until_the_end(per_step: Callable[[int], int], *, most: int = 1_000_000) -> int:
    """Let changes arrive in each step; return how many steps were waited."""

    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()

        def waiting() -> int:
            return sum(map(per_step, range(round((loop.time() - began) / STEP_S))))

        await burst_ended(waiting, most=most)
        return loop.time() - began

    with asyncio.Runner(loop_factory=SleepingLoop) as runner:
        return round(runner.run(scenario()) / STEP_S)


@pytest.mark.parametrize(
    ("per_step", "most", "expected"),
    [
        pytest.param(lambda _step: 1, 1_000_000, 1, id="a-single-machine-waits-one-step"),
        pytest.param(lambda step: CHANGES_PER_STEP if step < 4 else 0, 1_000_000, 5, id="a-rack-until-it-is-quiet"),
        pytest.param(lambda _step: CHANGES_PER_STEP, 1_000_000, round(LONGEST_S / STEP_S), id="a-flood-one-second"),
        pytest.param(lambda _step: 1_000, 2_500, 3, id="a-full-buffer-no-longer"),
    ],
)
def test_a_burst_ends_when_few_changes_arrive_and_is_bounded(per_step: Callable[[int], int], most: int, expected: int):
    assert steps_until_the_end(per_step, most=most) == expected
