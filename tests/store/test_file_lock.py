"""The lock beside a socket or a SQLite store: one daemon alone, or commands together."""

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from netboot.errors import StoreError
from netboot.store.file_lock import FileLock, held_by


async def release_after(work: Coroutine[Any, Any, Any], *locks: FileLock) -> Any:
    try:
        return await work
    finally:
        for lock in locks:
            await lock.release()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param("the daemon a", "the daemon b", False, id="two-daemons"),
        pytest.param("the daemon a", None, False, id="a-command-while-a-daemon-runs"),
        pytest.param(None, "the daemon b", False, id="a-daemon-while-a-command-works"),
        pytest.param(None, None, True, id="two-commands"),
    ],
)
def test_who_may_hold_the_lock_beside_whom(tmp_path: Path, first: str | None, second: str | None, expected: bool):
    one, other = FileLock(tmp_path / "netboot.db"), FileLock(tmp_path / "netboot.db")

    async def scenario() -> bool:
        assert await one.take(owner=first)
        return await other.take(owner=second)

    assert asyncio.run(release_after(scenario(), one, other)) is expected


def test_the_lock_is_named_by_its_holder_and_free_when_released(tmp_path: Path):
    lock, subject = FileLock(tmp_path / "netboot.db"), tmp_path / "netboot.db"

    async def scenario() -> list[str | None]:
        before = held_by(subject)
        await lock.take(owner="the daemon with pid 1")
        during = held_by(subject)
        await lock.release()
        return [before, during, held_by(subject)]

    assert asyncio.run(scenario()) == [None, "the daemon with pid 1", None]


def test_every_link_to_a_subject_leads_to_one_lock(tmp_path: Path):
    (tmp_path / "link.db").symlink_to(tmp_path / "netboot.db")
    (tmp_path / "below").symlink_to(tmp_path)

    paths = {
        FileLock(tmp_path / name).path for name in ("netboot.db", "link.db", "below/netboot.db", "x/../netboot.db")
    }

    assert paths == {tmp_path / "netboot.db.lock"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_lock_that_root_makes_belongs_to_the_owner_of_the_directory(tmp_path: Path):
    os.chown(tmp_path, 65534, 65534)
    lock = FileLock(tmp_path / "netboot.db")

    asyncio.run(release_after(lock.take(owner=None), lock))

    found = lock.path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65534, 65534, 0o640)


def test_a_lock_that_cannot_be_made_is_an_error_of_the_store(tmp_path: Path):
    (tmp_path / "file").touch()

    with pytest.raises(StoreError) as caught:
        asyncio.run(FileLock(tmp_path / "file" / "netboot.db").take(owner="the daemon"))

    assert str(caught.value).startswith(f"cannot open the lock {tmp_path}/file/netboot.db.lock: ")
