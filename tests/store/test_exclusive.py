"""One daemon alone, or commands together: a daemon waits for commands and is refused by another daemon."""

import asyncio
from pathlib import Path

import pytest

from netboot.store.locks.exclusive import HeldError, held_alone, held_together, lock_of_store
from netboot.store.locks.file_lock import FileLock


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


def test_a_second_daemon_and_a_command_are_refused_by_name(store_url: str):
    async def scenario() -> list[str]:
        refused = []
        first, second, third = (lock_of_store(store_url) for _ in range(3))
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

    daemon, command, owner = asyncio.run(scenario())
    assert daemon == command == owner
    assert "pid " in owner


@pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "s3cret"])
def test_a_store_that_nobody_else_can_open_has_no_lock(url: str):
    assert lock_of_store(url) is None
