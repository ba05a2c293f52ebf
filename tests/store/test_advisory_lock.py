"""The lock of a PostgreSQL store outlives a lost session, unless another program took it alone meanwhile."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import asyncpg
import pytest
from structlog.testing import capture_logs

from netboot.errors import StoreError
from netboot.store.failure import newer_store
from netboot.store.locks import advisory_lock
from netboot.store.locks.advisory_lock import AdvisoryLock, LockLostError

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)]

END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name LIKE 'netboot on %'"
)
TAKE_ALONE = "SELECT pg_try_advisory_lock(1852142690, hashtext(coalesce(current_schema(), '')))"
WAIT_S = 30


async def connected(url: str, name: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        url.replace("postgresql+asyncpg:", "postgresql:"), server_settings={"application_name": name}
    )


async def is_current() -> bool:
    return True


async def is_old() -> bool:
    return False


async def is_newer() -> bool:
    raise newer_store(99)


async def is_late(answers: list[bool]) -> bool:
    if not answers:
        answers.append(True)
        raise StoreError("the store did not answer within 1 s")
    return True


@pytest.mark.parametrize(
    ("verify", "events"),
    [
        (is_current, ["store.lock_lost", "store.lock_retaken"]),
        (partial(is_late, []), ["store.lock_lost", "store.lock_unverified", "store.lock_retaken"]),
        (is_old, ["store.lock_lost", "ended"]),
        (is_newer, ["store.lock_lost", "ended"]),
    ],
    ids=["current", "late", "old", "newer"],
)
def test_a_session_that_the_server_ended_is_opened_again_on_a_store_of_the_same_schema(
    store_url: str, verify: Callable[[], Awaitable[bool]], events: list[str]
):
    async def scenario() -> tuple[list[str], bool]:
        lock, other = AdvisoryLock(store_url), await connected(store_url, "psql")
        watching = None
        try:
            assert await lock.take(owner=None)
            watching = asyncio.create_task(lock.watch(verify))
            await other.execute(END_SESSIONS)
            for _ in range(WAIT_S * 10):
                seen = [each["event"] for each in logs] + (["ended"] if watching.done() else [])
                if seen == events:
                    break
                await asyncio.sleep(0.1)
            return seen, await other.fetchval(TAKE_ALONE)
        finally:
            if watching is not None:
                watching.cancel()
                with suppress(asyncio.CancelledError, StoreError):
                    await watching
            await lock.release()
            await other.close()

    with capture_logs() as logs:
        assert asyncio.run(scenario()) == (events, False)


def test_a_daemon_that_finds_its_store_with_one_that_has_it_alone_ends(store_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(advisory_lock, "ALONE_S", 1.0)

    async def scenario() -> str:
        lock = AdvisoryLock(store_url)
        killer = await connected(store_url, "psql")
        try:
            assert await lock.take(owner=None)
            await killer.execute(END_SESSIONS)
            other = await connected(store_url, "netboot on elsewhere, pid 2")
            for _ in range(WAIT_S * 10):
                if await other.fetchval(TAKE_ALONE):
                    break
                await asyncio.sleep(0.1)
            try:
                with pytest.raises(LockLostError) as caught:
                    async with asyncio.timeout(WAIT_S):
                        await lock.watch(is_current)
            finally:
                await other.close()
        finally:
            await lock.release()
            await killer.close()
        return str(caught.value)

    assert asyncio.run(scenario()) == (
        "netboot on elsewhere, pid 2 took the store for itself while its database server did not answer; "
        "this daemon ends; start it again when that one has ended"
    )


def test_a_lock_that_is_shared_after_it_was_taken_alone_admits_others_and_names_them(store_url: str):
    async def scenario() -> tuple[list[bool], str]:
        first, second = AdvisoryLock(store_url), AdvisoryLock(store_url)
        try:
            taken = [await first.take(owner="a migration"), await second.take(owner=None)]
            await first.share()
            taken += [await second.take(owner=None), await AdvisoryLock(store_url).take(owner="a restore")]
            return taken, await second.owner()
        finally:
            await first.release()
            await second.release()

    taken, owners = asyncio.run(scenario())
    assert taken == [True, False, True, False]
    assert re.fullmatch(r"netboot on .*, pid \d+, netboot on .*, pid \d+", owners)


def test_a_lock_on_a_server_that_does_not_run_is_an_error_of_the_store(store_url: str):
    lock = AdvisoryLock("postgresql+asyncpg://netboot@127.0.0.1:1/netboot")

    with pytest.raises(StoreError, match=r"; start the database server, or correct server and port in store.url$"):
        asyncio.run(lock.take(owner=None))
    assert asyncio.run(lock.owner()) == "another daemon"
