"""Who may work on a store: one daemon alone, or commands together while no daemon runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from netboot.errors import StoreError
from netboot.store.advisory_lock import AdvisoryLock
from netboot.store.file_lock import FileLock

COMMAND_S: Final = 30.0  # how long a daemon waits for commands that work on the store
_TRY_AGAIN_S: Final = 0.1


class Lock(Protocol):
    """A lock that daemons take alone and commands together."""

    async def take(self, *, owner: str | None) -> bool:
        """Take it alone as the daemon `owner`, together with commands where it is None; False where it is held."""

    async def release(self) -> None:
        """Release it, if it is taken."""

    async def owner(self) -> str:
        """Say which daemon holds it."""

    async def watch(self) -> None:
        """Look after it; raise StoreError where another daemon took it."""


class HeldError(StoreError):
    """Another daemon holds a lock; `owner` says which."""

    def __init__(self, message: str, owner: str) -> None:
        super().__init__(message)
        self.owner = owner


def lock_of_store(url: str) -> Lock | None:
    """Name the lock of the store at `url`; None for one in memory, and for what is no URL, as `Database.open` says."""
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
    """Hold a lock as the daemon `owner`; raise HeldError where another daemon does. Commands are waited for."""
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
    """Hold a lock as a command; raise HeldError where a daemon holds it alone."""
    if not await lock.take(owner=None):
        owner = await lock.owner()
        raise HeldError(f"{owner} works on the store", owner)
    try:
        yield
    finally:
        await lock.release()
