"""The lock beside a socket or a SQLite store: one daemon alone, or commands together."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from netboot.errors import NO_RIGHT, StoreError
from netboot.store.locks.file_lock import FileLock, held_by


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


@pytest.fixture
def without_rights() -> Iterator[Path]:
    """Become nobody in a directory of root."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    (directory / "closed").touch(0o600)
    (directory / "closed.lock").touch(0o600)
    (directory / "readable.lock").touch(0o644)
    try:
        os.seteuid(65534)
        yield directory
    finally:
        os.seteuid(0)
        shutil.rmtree(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("subject", "owner", "message"),
    [
        ("new", "the daemon", "cannot make the lock {path}: no right to its directory; " + NO_RIGHT),
        ("closed", "the daemon", "cannot open the lock {path}: Permission denied; " + NO_RIGHT),
        ("closed", None, "cannot open the lock {path}: Permission denied; " + NO_RIGHT),
        ("readable", "the daemon", "cannot open the lock {path}: Permission denied; " + NO_RIGHT),
    ],
)
def test_a_lock_without_the_right_to_it_is_an_error(
    without_rights: Path, subject: str, owner: str | None, message: str
):
    with pytest.raises(StoreError) as caught:
        asyncio.run(FileLock(without_rights / subject).take(owner=owner))

    assert str(caught.value) == message.format(path=without_rights / f"{subject}.lock")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("subject", ["new", "readable"])
def test_a_command_without_the_right_to_make_or_write_the_lock_goes_on(without_rights: Path, subject: str):
    lock = FileLock(without_rights / subject)

    assert asyncio.run(release_after(lock.take(owner=None), lock)) is True
    assert (without_rights / "new.lock").exists() is False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_lock_that_may_not_be_read_is_an_error_to_the_reader(without_rights: Path):
    with pytest.raises(StoreError) as caught:
        held_by(without_rights / "closed")

    assert str(caught.value) == f"cannot open the lock {without_rights}/closed.lock: Permission denied; {NO_RIGHT}"
