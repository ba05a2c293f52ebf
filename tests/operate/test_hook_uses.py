"""What an operator sees of hooks, on a real store and with real receivers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from fixtures import receivers
from fixtures.receivers import a_receiver

from netboot.errors import UnknownHookError
from netboot.model.clock import utc_now
from netboot.model.hook import CommandTarget, Hook, WebTarget
from netboot.operate.hooks.delivery_queue import (
    Delivery,
    DeliveryQueue,
    DueDeliveries,
    SettledAttempt,
    add_deliveries,
)
from netboot.operate.hooks.hook_outbox import HookOutbox
from netboot.operate.hooks.hook_uses import HookState, HookTest, HookUses
from netboot.store.database import Database

AT = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
HOOK = Hook("record", CommandTarget(("/bin/echo", "taken")), ("install.*",))


def with_uses(url: str, scenario: Callable[[HookUses, DeliveryQueue, Database], Awaitable[None]], *hooks: Hook) -> None:
    async def run() -> None:
        database = await Database.open(url)
        try:
            queue = DeliveryQueue(database)
            await queue.keep_only([hook.name for hook in hooks])
            await scenario(HookUses(HookOutbox(hooks, appliance="box1"), queue, now=utc_now), queue, database)
        finally:
            await database.close()

    asyncio.run(run())


def test_the_state_of_a_hook_follows_its_last_attempt(store_url: str):
    async def scenario(uses: HookUses, queue: DeliveryQueue, database: Database) -> None:
        waiting = [Delivery("record", number, "cp1", AT + timedelta(seconds=number), "{}") for number in (1, 2)]
        async with database.transaction() as connection:
            await add_deliveries(connection, waiting)
        (unused,) = await uses.all()
        await queue.settle([SettledAttempt(waiting[0], "exit code 1", AT + timedelta(minutes=1))], at=AT)
        (failing,) = await uses.all()
        await queue.settle([SettledAttempt(waiting[0])], at=AT + timedelta(minutes=1))
        (delivering,) = await uses.all()

        assert (unused.state, unused.waiting, unused.oldest_at) == (HookState.UNUSED, 2, waiting[0].at)
        assert (failing.state, failing.error, failing.failed_at) == (HookState.FAILING, "exit code 1", AT)
        assert (delivering.state, delivering.waiting) == (HookState.DELIVERING, 1)
        assert (delivering.delivered_at, delivering.oldest_at) == (AT + timedelta(minutes=1), waiting[1].at)
        assert (delivering.target, delivering.signed, delivering.events) == ("/bin/echo", False, ("install.*",))

    with_uses(store_url, scenario, HOOK)


def test_of_two_that_claim_a_delivery_one_begins_it(store_url: str):
    async def scenario(_uses: HookUses, queue: DeliveryQueue, database: Database) -> None:
        async with database.transaction() as connection:
            await add_deliveries(connection, [Delivery("record", 1, "cp1", AT, "{}")])
        due = (await queue.due("record", AT, limit=4)).deliveries
        claims = await asyncio.gather(*(queue.claim(due, until=AT + timedelta(minutes=1)) for _ in range(4)))

        assert sorted(len(claimed) for claimed in claims) == [0, 0, 0, 1]
        assert await queue.due("record", AT, limit=4) == DueDeliveries([], AT + timedelta(minutes=1), 1)

    with_uses(store_url, scenario, HOOK)


def test_a_test_event_has_one_attempt_and_is_not_queued(sqlite_url: str):
    async def scenario() -> None:
        async with a_receiver() as receiver:
            receiver.answers += [receivers.status(202, "queued"), receivers.status(500)]
            hook = Hook("pager", WebTarget(receiver.url), ("*",))

            async def test(uses: HookUses, _queue: DeliveryQueue, _database: Database) -> None:
                accepted, refused = await uses.test("pager"), await uses.test("pager")
                target = f"http://127.0.0.1:{receiver.port}"
                assert accepted == HookTest("pager", target, True, "HTTP 202 queued", accepted.seconds)
                assert refused == HookTest("pager", target, False, f"{target}: HTTP 500", refused.seconds)
                assert (await uses.all())[0].state is HookState.UNUSED
                with pytest.raises(UnknownHookError, match=r"^no hook is called other; those in force: pager$"):
                    await uses.test("other")

            database = await Database.open(sqlite_url)
            outbox = HookOutbox([hook], appliance="box1")
            await test(HookUses(outbox, DeliveryQueue(database), now=utc_now), DeliveryQueue(database), database)
            await database.close()

    asyncio.run(scenario())
