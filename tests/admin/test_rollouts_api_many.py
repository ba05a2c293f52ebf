"""The list of rollouts of many hosts does not hold the event loop, which serves machines meanwhile."""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from fixtures.rollouts import BEGAN_AT, EVERY_COMMAND, a_rollout

from netboot.admin.api.rollouts.rollouts_api import RolloutsApi
from netboot.model.rollout.rollout import Rollout, RolloutState
from netboot.operate.rollout.rollout_uses import RolloutUses
from netboot.store.database import Database
from netboot.store.rollouts.rollout_store import Rollouts

KEPT, HOSTS = 12, 1000
MOST_S = 0.1  # of a processor, at a time


async def longest_s() -> float:
    """Measure, until it is cancelled, for how long the loop's thread computes between two turns of this task."""
    longest, before = 0.0, time.thread_time()
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, before = max(longest, now - before), now
    return longest


async def no_forecast(_rollout: Rollout, *, now: datetime) -> None:
    """Return the forecast of a rollout that has ended."""


def uses_of(rollouts: Rollouts) -> RolloutUses:
    parts: dict[str, Any] = dict.fromkeys(RolloutUses.__dataclass_fields__)
    parts["changes"] = SimpleNamespace(rollouts=rollouts)
    parts["forecasts"], parts["now"] = SimpleNamespace(of=no_forecast), lambda: BEGAN_AT
    parts["new"] = SimpleNamespace(rules=EVERY_COMMAND)
    parts["runner"] = SimpleNamespace(api_problem=None)
    return RolloutUses(**parts)


def test_many_rollouts_of_many_hosts_are_listed_without_holding_the_event_loop(sqlite_url: str):
    async def scenario() -> tuple[list[Any], float]:
        database = await Database.open(sqlite_url)
        try:
            rollouts = Rollouts(database)
            for _ in range(KEPT):
                begun = await rollouts.create(a_rollout(0, HOSTS - 1))
                await rollouts.save(begun, replace(begun, state=RolloutState.ENDED))
            measuring = asyncio.create_task(longest_s())
            await asyncio.sleep(0)
            answer = await RolloutsApi(uses_of(rollouts)).rollouts(SimpleNamespace())  # type: ignore[arg-type] # not read
            await asyncio.sleep(0)  # the last turn is measured too
            await asyncio.sleep(0)
            measuring.cancel()
            return json.loads(answer.text or ""), await measuring
        finally:
            await database.close()

    found, held_s = asyncio.run(scenario())

    assert [each["id"] for each in found] == [*range(KEPT, 0, -1)]
    assert {len(each["hosts"]) for each in found} == {HOSTS}
    assert held_s < MOST_S
