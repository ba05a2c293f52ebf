"""The tables of rollouts: one is active, writes compare the version, a permit is used once or taken back."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from fixtures.rollouts import BEGAN_AT, a_rollout

from netboot.errors import RolloutError
from netboot.model.host.host import HostName
from netboot.model.rollout.command import CommandKind
from netboot.model.rollout.join_hold import JoinHold, JoinState
from netboot.model.rollout.rollout import JoinPermit, Phase, Rollout, RolloutState
from netboot.operate.rollout.decision import outcomes
from netboot.store.database import Database
from netboot.store.rollouts.rollout_store import KEPT, Claim, Rollouts

CP1 = HostName("cp1")
SHA = "5" * 64
LATER = BEGAN_AT + timedelta(hours=1)


def with_store(store_url: str, work: Callable[[Rollouts], Awaitable[None]]) -> None:
    async def scenario() -> None:
        database = await Database.open(store_url)
        try:
            await work(Rollouts(database))
        finally:
            await database.close()

    asyncio.run(scenario())


def permitted(rollout: Rollout) -> Rollout:
    """Let cp1 join for an hour."""
    installed = rollout.hosts[0].moved_to(Phase.INSTALLED, at=BEGAN_AT).moved_to(Phase.JOINING, at=BEGAN_AT)
    return rollout.with_host(replace(installed, permit=JoinPermit(SHA, LATER, BEGAN_AT)))


async def saved(rollouts: Rollouts, before: Rollout, after: Rollout) -> Rollout:
    found = await rollouts.save(before, after)
    assert found is not None
    return found


def test_a_rollout_is_read_as_it_was_stored_and_changed(store_url: str):
    async def work(rollouts: Rollouts) -> None:
        stored = await rollouts.create(a_rollout())
        begun = stored.command(CommandKind.START).begun(BEGAN_AT)

        changed = await saved(rollouts, stored, permitted(stored).with_command(begun))

        assert await rollouts.active() == changed
        assert await rollouts.get(stored.id) == changed
        assert (changed.version, changed.command(CommandKind.START)) == (2, begun)
        assert await rollouts.save(changed, changed) is changed, "nothing is written if nothing changed"

    with_store(store_url, work)


def test_one_rollout_is_active_and_its_end_admits_the_next(store_url: str):
    async def work(rollouts: Rollouts) -> None:
        first = await rollouts.create(a_rollout())

        with pytest.raises(RolloutError, match=f"rollout {first.id} is active"):
            await rollouts.create(a_rollout())

        await saved(rollouts, first, replace(first, state=RolloutState.ENDED, ended_at=LATER))
        second = await rollouts.create(a_rollout())
        assert [each.id for each in await rollouts.newest()] == [second.id, first.id]
        assert second.id > first.id

    with_store(store_url, work)


def test_the_newest_rollout_that_was_to_start_the_cluster_is_read(store_url: str):
    async def work(rollouts: Rollouts) -> None:
        assert await rollouts.newest_of_start() is None
        first = await rollouts.create(a_rollout())
        await saved(rollouts, first, replace(first, state=RolloutState.ENDED))
        joins = replace(a_rollout(), hosts=a_rollout().hosts[1:])
        second = await rollouts.create(joins)
        await saved(rollouts, second, replace(second, state=RolloutState.ENDED))
        of_hosts = await rollouts.newest_of_start()
        third = await rollouts.create(joins.with_command(joins.command(CommandKind.START_AGAIN)))

        assert of_hosts is not None
        assert of_hosts.id == first.id
        assert await rollouts.newest_of_start() == third

    with_store(store_url, work)


def test_of_two_writers_the_second_is_refused(store_url: str):
    async def work(rollouts: Rollouts) -> None:
        read = await rollouts.create(a_rollout())
        await saved(rollouts, read, outcomes.paused(read, "lunch"))

        assert await rollouts.save(read, permitted(read)) is None
        found = await rollouts.active()
        assert found is not None
        assert (found.reason, found.hosts[0].phase) == ("lunch", Phase.WAITING)

    with_store(store_url, work)


def test_one_daemon_runs_a_rollout_until_its_claim_ends(store_url: str):
    async def work(rollouts: Rollouts) -> None:
        rollout = await rollouts.create(a_rollout())

        async def claims(owner: str, minute: int, *, is_alone: bool = False) -> bool:
            now = BEGAN_AT + timedelta(minutes=minute)
            until, farthest = now + timedelta(minutes=2), now + timedelta(minutes=5)
            return await rollouts.claim(rollout, Claim(owner, now, until, farthest, is_alone))

        assert await claims("a", 0)
        assert not await claims("b", 1)
        assert await claims("a", 1)
        assert not await claims("b", 2)
        assert await claims("b", 4)
        assert not await claims("a", 4)
        assert not await claims("a", 2), "it ends 4 minutes later"
        assert await claims("a", 0), "it ends 6 minutes later: the clock of the other one was wrong"
        assert await claims("b", 1, is_alone=True)

    with_store(store_url, work)


def test_a_permit_is_used_for_its_bytes_while_it_is_valid(store_url: str):
    async def work(rollouts: Rollouts) -> None:
        stored = await rollouts.create(a_rollout())
        waiting = await rollouts.hold_of(CP1)
        assert waiting is not None
        assert waiting.state(None, BEGAN_AT) is JoinState.HELD
        await rollouts.note_requested(waiting, BEGAN_AT)
        await rollouts.note_requested(waiting, LATER)
        read = await rollouts.active()
        assert read is not None
        assert (read.hosts[0].requested_at, read.version) == (BEGAN_AT, stored.version + 1)

        await saved(rollouts, read, permitted(read))
        hold = await rollouts.hold_of(CP1)
        assert hold is not None
        assert hold.state(None, BEGAN_AT) is JoinState.PERMITTED
        assert hold.state(None, LATER) is JoinState.HELD
        assert not await rollouts.note_served(hold, "6" * 64, BEGAN_AT)
        assert not await rollouts.note_served(hold, SHA, LATER)
        assert await rollouts.note_served(hold, SHA, BEGAN_AT)

        served = await rollouts.hold_of(CP1)
        assert served is not None
        assert served.host.served_at == BEGAN_AT
        assert await rollouts.note_served(served, SHA, BEGAN_AT + timedelta(minutes=1)), "its answer was lost"

    with_store(store_url, work)


def test_a_permit_that_is_taken_back_at_the_same_moment_is_not_used(store_url: str):
    async def work(rollouts: Rollouts) -> None:
        stored = await rollouts.create(a_rollout())
        given = await saved(rollouts, stored, permitted(stored))
        hold = await rollouts.hold_of(CP1)
        assert hold is not None
        back = given.with_host(given.hosts[0].moved_to(Phase.INSTALLED, at=LATER))

        await saved(rollouts, given, back)
        assert not await rollouts.note_served(hold, SHA, BEGAN_AT)

        again = await rollouts.active()
        assert again is not None
        given = await saved(rollouts, again, permitted(replace(again, hosts=stored.hosts)))
        assert await rollouts.note_served(hold, SHA, BEGAN_AT)
        assert await rollouts.save(given, back) is None, "the machine was first"

    with_store(store_url, work)


def test_a_host_that_failed_stays_held_until_it_is_installed_anew():
    failed = replace(a_rollout().hosts[0], phase=Phase.FAILED, ignition_sha256="1" * 64)

    for is_active in (True, False):
        hold = JoinHold(1, failed, is_active)
        assert hold.state("1" * 64, BEGAN_AT) is JoinState.HELD
        assert hold.state("2" * 64, BEGAN_AT) is JoinState.FREE


def test_the_newest_row_of_a_host_counts_and_old_rollouts_are_deleted(store_url: str):
    async def work(rollouts: Rollouts) -> None:
        for _ in range(KEPT + 2):
            rollout = await rollouts.create(a_rollout(0, 0))
            await saved(rollouts, rollout, replace(rollout, state=RolloutState.ENDED))

        hold = await rollouts.hold_of(CP1)
        assert hold is not None
        assert (hold.rollout, hold.is_active) == (rollout.id, False)
        assert len(await rollouts.newest(limit=1000)) == KEPT
        assert await rollouts.hold_of(HostName("cp9")) is None

    with_store(store_url, work)
