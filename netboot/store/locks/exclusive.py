"""Locks of a store: exclusive for one daemon, or shared by commands while no daemon runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from netboot.errors import StoreError
from netboot.store.locks.advisory_lock import AdvisoryLock
from netboot.store.locks.file_lock import FileLock

COMMAND_S: Final = 30.0  # time that a daemon waits for commands that use the store
_TRY_AGAIN_S: Final = 0.1


Lock = AdvisoryLock | FileLock  # exclusive for a daemon, shared by commands


class HeldError(StoreError):
    """Another daemon, `owner`, holds a lock."""

    def __init__(self, message: str, owner: str) -> None:
        super().__init__(message)
        self.owner = owner


def lock_of_store(url: str) -> Lock | None:
    """Return the lock of the store at `url`; None for one in memory or an invalid URL (see `Database.open`)."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql":
            return AdvisoryLock(url)
    except (SQLAlchemyError, ValueError, ImportError):
        return None
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return FileLock(Path(str(parsed.database)))


@asynccontextmanager
async def held_alone(lock: Lock, *, owner: str, what: str) -> AsyncIterator[None]:
    """Hold a lock as the daemon `owner`, after waiting for commands; raise HeldError if another daemon holds it."""
    waited_s = 0.0
    while not await lock.take(owner=owner):
        is_command = await lock.take(owner=None)
        await lock.release()
        if not is_command or waited_s > COMMAND_S:
            other = await lock.owner() if not is_command else "a netboot command that works on it"
            raise HeldError(
                f"cannot start: {other} holds {what}; this daemon changed nothing; "
                "netboot commands reach the one that runs; to replace it, stop it first: systemctl stop netboot",
                other,
            )
        await asyncio.sleep(_TRY_AGAIN_S)
        waited_s += _TRY_AGAIN_S
    try:
        yield
    finally:
        await lock.release()


@asynccontextmanager
async def held_together(lock: Lock) -> AsyncIterator[None]:
    if not await lock.take(owner=None):
        owner = await lock.owner()
        raise HeldError(f"{owner} works on the store", owner)
    try:
        yield
    finally:
        await lock.release()
