"""SQLite: one daemon alone, or commands together. PostgreSQL: any number, one of which migrates the store alone."""

import asyncio
import re
from pathlib import Path

import pytest
from postgresql import Server

from netboot.store.database import Database
from netboot.store.locks import exclusive
from netboot.store.locks.advisory_lock import AdvisoryLock
from netboot.store.locks.exclusive import HeldError, held_alone, held_shared, held_together, lock_of_store
from netboot.store.locks.file_lock import FileLock

WAIT_S = 30


@pytest.fixture
def postgresql_url(postgresql_server: Server, key_of_the_test: None) -> str:
    return postgresql_server.new_database()


def test_a_daemon_waits_for_a_command_that_works(tmp_path: Path):
    async def scenario() -> list[str]:
        order, works, done = [], asyncio.Event(), asyncio.Event()

        async def command() -> None:
            async with held_together(FileLock(tmp_path / "netboot.db")):
                works.set()
                await done.wait()
                order.append("command")

        async def daemon() -> None:
            await works.wait()
            asyncio.get_running_loop().call_later(0.3, done.set)
            async with held_alone(FileLock(tmp_path / "netboot.db"), owner="the daemon", what="the store"):
                order.append("daemon")

        await asyncio.gather(command(), daemon())
        return order

    assert asyncio.run(scenario()) == ["command", "daemon"]


def test_a_second_daemon_and_a_command_are_refused_by_name_on_a_sqlite_store(sqlite_url: str):
    async def scenario() -> list[str]:
        refused = []
        first, second, third = (lock_of_store(sqlite_url) for _ in range(3))
        assert first is not None
        assert second is not None
        assert third is not None
        async with held_alone(first, owner="the daemon with pid 1", what="the store"):
            with pytest.raises(HeldError) as daemon:
                async with held_alone(second, owner="another", what="the store"):
                    pass
            with pytest.raises(HeldError) as command:
                async with held_together(third):
                    pass
            refused = [daemon.value.owner, command.value.owner, await first.owner()]
        async with held_together(third):  # it is free now
            pass
        return refused

    assert asyncio.run(scenario()) == ["the daemon with pid 1"] * 3


@pytest.mark.integration
def test_of_two_daemons_on_a_new_postgresql_store_one_migrates_and_both_hold_it(postgresql_url: str):
    async def scenario() -> list[int]:
        migrated, both = [], asyncio.Barrier(2)

        async def start(number: int) -> None:
            database = Database.connect(postgresql_url)

            async def migrate() -> None:
                migrated.append(number)
                await database.migrate()

            try:
                async with held_shared(
                    AdvisoryLock(postgresql_url), what="cannot start", is_current=database.is_current, migrate=migrate
                ):
                    async with asyncio.timeout(WAIT_S):
                        await both.wait()
            finally:
                await database.close()

        await asyncio.gather(start(1), start(2))
        return migrated

    assert len(asyncio.run(scenario())) == 1


@pytest.mark.integration
@pytest.mark.parametrize(
    ("owner", "refused"),
    [
        pytest.param(
            "an earlier version",
            r"cannot start: netboot on .*, pid \d+ has the store for itself, as netboot before schema version 18 does; "
            r"nothing was changed; stop it there \(systemctl stop netboot\), and install this version there",
            id="has-it-alone",
        ),
        pytest.param(
            None,
            r"cannot start: the store must be migrated to this version of netboot, and netboot on .*, pid \d+ works on "
            r"it; nothing was changed; stop netboot there \(systemctl stop netboot\), start it here, then install this "
            r"version there",
            id="shares-a-store-that-must-be-migrated",
        ),
    ],
)
def test_a_daemon_is_refused_where_another_version_runs_on_the_store(
    postgresql_url: str, owner: str | None, refused: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(exclusive, "OTHERS_S", 0.5)

    async def scenario() -> tuple[str, bool]:
        database, other = Database.connect(postgresql_url), AdvisoryLock(postgresql_url)
        try:
            assert await other.take(owner=owner)
            with pytest.raises(HeldError) as caught:
                async with held_shared(
                    AdvisoryLock(postgresql_url),
                    what="cannot start",
                    is_current=database.is_current,
                    migrate=database.migrate,
                ):
                    pass
            return str(caught.value), await database.is_current()
        finally:
            await other.release()
            await database.close()

    message, is_migrated = asyncio.run(scenario())
    assert re.fullmatch(refused, message)
    assert not is_migrated


@pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "s3cret"])
def test_a_store_that_nobody_else_can_open_has_no_lock(url: str):
    assert lock_of_store(url) is None
