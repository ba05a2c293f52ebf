"""Locks of a store: SQLite has one daemon, or commands while none runs; PostgreSQL has any number of both."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from netboot.errors import StoreError
from netboot.store.locks.advisory_lock import AdvisoryLock
from netboot.store.locks.file_lock import FileLock

COMMAND_S: Final = 30.0  # time that a daemon waits for commands that use the store
OTHERS_S: Final = (
    10.0  # time that a daemon or command waits for the migration of another, or for commands before its own
)
_TRY_AGAIN_S: Final = 0.1


Lock = AdvisoryLock | FileLock


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
async def held_alone(
    lock: Lock, *, owner: str, what: str, note: Callable[[str], object] = lambda _others: None
) -> AsyncIterator[None]:
    """Hold a lock for `owner`, after waiting up to `COMMAND_S` for those that share it.

    `note` gets their names before that. Raises HeldError if they still share it, or if another one holds it alone.
    """
    waited_s = 0.0
    while not await lock.take(owner=owner):
        is_shared = await lock.take(owner=None)
        await lock.release()
        if not is_shared or waited_s > COMMAND_S:
            other = await _owner(lock, is_shared=is_shared)
            raise HeldError(
                f"cannot start: {other} holds {what}; this daemon changed nothing; "
                "netboot commands reach the one that runs; to replace it, stop it first: systemctl stop netboot",
                other,
            )
        if waited_s == 0.0:
            note(await _owner(lock, is_shared=True))
        await asyncio.sleep(_TRY_AGAIN_S)
        waited_s += _TRY_AGAIN_S
    try:
        yield
    finally:
        await lock.release()


async def _owner(lock: Lock, *, is_shared: bool) -> str:
    """Name who has a lock; a file that is shared names nobody, and only commands share it."""
    return "a netboot command" if is_shared and isinstance(lock, FileLock) else await lock.owner()


@asynccontextmanager
async def held_together(lock: Lock) -> AsyncIterator[None]:
    if not await lock.take(owner=None):
        owner = await lock.owner()
        raise HeldError(f"{owner} works on the store", owner)
    try:
        yield
    finally:
        await lock.release()


@asynccontextmanager
async def held_shared(
    lock: AdvisoryLock,
    *,
    what: str,
    is_current: Callable[[], Awaitable[bool]],
    migrate: Callable[[], Awaitable[None]],
) -> AsyncIterator[None]:
    """Hold the lock of a PostgreSQL store with others, after the migration that it may lack, which has it alone.

    `what` is what cannot be done without it. Raises HeldError if another program has it for itself, as earlier
    versions do, or if others run on a store that must be migrated; StoreError if a newer version migrated it.
    """
    waited_s, is_migrated = 0.0, False
    while not is_migrated:
        if is_shared := await lock.take(owner=None):
            if await is_current():
                break
            await lock.release()
            if await lock.take(owner=what):
                await migrate()
                await lock.share()
                is_migrated = True
                continue
        if waited_s > OTHERS_S:
            raise _held(await lock.owner(), what, is_shared=is_shared)
        pause_s = _TRY_AGAIN_S * SystemRandom().uniform(0.5, 1.5)  # two that start at once do not meet again
        await asyncio.sleep(pause_s)
        waited_s += pause_s
    try:
        yield
    finally:
        await lock.release()


def _held(owner: str, what: str, *, is_shared: bool) -> HeldError:
    if is_shared:
        return HeldError(
            f"{what}: the store must be migrated to this version of netboot, and {owner} works on it; nothing was "
            "changed; stop netboot there (systemctl stop netboot), start it here, then install this version there",
            owner,
        )
    return HeldError(
        f"{what}: {owner} has the store for itself, as netboot before schema version 18 does; nothing was changed; "
        "stop it there (systemctl stop netboot), and install this version there",
        owner,
    )
