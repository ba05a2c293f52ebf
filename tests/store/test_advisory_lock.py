"""The lock of a PostgreSQL store outlives a lost session, unless another daemon took it meanwhile."""

import asyncio

import asyncpg
import pytest
from structlog.testing import capture_logs

from netboot.errors import StoreError
from netboot.store.locks.advisory_lock import AdvisoryLock, LockLostError

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)]

END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name LIKE 'netboot on %'"
)
TAKE = "SELECT pg_try_advisory_lock(1852142690, hashtext(coalesce(current_schema(), '')))"
WAIT_S = 30


async def connected(url: str, name: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        url.replace("postgresql+asyncpg:", "postgresql:"), server_settings={"application_name": name}
    )


def test_a_session_that_the_server_ended_is_opened_again(store_url: str):
    async def scenario() -> tuple[list[str], bool]:
        lock, other = AdvisoryLock(store_url), await connected(store_url, "psql")
        watching = None
        try:
            assert await lock.take(owner="the daemon")
            watching = asyncio.create_task(lock.watch())
            await other.execute(END_SESSIONS)
            for _ in range(WAIT_S * 10):
                if [each["event"] for each in logs] == ["store.lock_lost", "store.lock_retaken"]:
                    break
                await asyncio.sleep(0.1)
            return [each["event"] for each in logs], await other.fetchval(TAKE)
        finally:
            if watching is not None:
                watching.cancel()
            await lock.release()
            await other.close()

    with capture_logs() as logs:
        assert asyncio.run(scenario()) == (["store.lock_lost", "store.lock_retaken"], False)


def test_a_daemon_that_finds_its_lock_with_another_one_ends(store_url: str):
    async def scenario() -> str:
        lock = AdvisoryLock(store_url)
        killer = await connected(store_url, "psql")
        try:
            assert await lock.take(owner="the daemon")
            await killer.execute(END_SESSIONS)
            other = await connected(store_url, "netboot on elsewhere, pid 2")
            for _ in range(WAIT_S * 10):
                if await other.fetchval(TAKE):
                    break
                await asyncio.sleep(0.1)
            try:
                with pytest.raises(LockLostError) as caught:
                    async with asyncio.timeout(WAIT_S):
                        await lock.watch()
            finally:
                await other.close()
        finally:
            await lock.release()
            await killer.close()
        return str(caught.value)

    assert asyncio.run(scenario()) == (
        "netboot on elsewhere, pid 2 took the store while its database server did not answer; this daemon ends"
    )


def test_a_lock_on_a_server_that_does_not_run_is_an_error_of_the_store(store_url: str):
    lock = AdvisoryLock("postgresql+asyncpg://netboot@127.0.0.1:1/netboot")

    with pytest.raises(StoreError, match=r"; start the database server, or correct server and port in store.url$"):
        asyncio.run(lock.take(owner="the daemon"))
    assert asyncio.run(lock.owner()) == "another daemon"
