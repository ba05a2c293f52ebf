"""The lock on a PostgreSQL store: an advisory lock of a session of its own, held as long as a daemon or command runs.

Daemons and commands of any box share it; a migration has it alone. One lock for each database and schema. The server
releases it when the session ends; if this computer is switched off, TCP keepalive ends the session within half a
minute. A session that was lost is opened again.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from netboot.errors import StoreError
from netboot.store.engine.store_engine import engine_of
from netboot.store.failure import NewerStoreError, store_failed

CHECK_S: Final = 2.0
ANSWER_S: Final = 5.0
ALONE_S: Final = 10.0  # a migration takes less

# 0x6E657462, "netb", and the schema: one lock for each store.
_KEY: Final = "1852142690, hashtext(coalesce(current_schema(), ''))"
_OWNERS: Final = text(
    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid() "
    "AND l.classid = 1852142690 AND l.objid = hashtext(coalesce(current_schema(), ''))::oid "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY a.backend_start"
)
# Over a Unix socket the server ignores them.
_SERVER_SETTINGS: Final = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}

log = structlog.get_logger()


class AdvisoryLock:
    def __init__(self, url: str) -> None:
        self._name = f"netboot on {socket.gethostname()[:40]}, pid {os.getpid()}"
        settings = {**_SERVER_SETTINGS, "application_name": self._name}
        self._engine = engine_of(
            url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"server_settings": settings, "command_timeout": ANSWER_S, "timeout": ANSWER_S},
        )
        self._session: AsyncConnection | None = None

    async def take(self, *, owner: str | None) -> bool:
        """Take the lock alone for `owner`, or shared if it is None; False: it is held. Raises StoreError."""
        function = "pg_try_advisory_lock_shared" if owner is None else "pg_try_advisory_lock"
        try:
            session = self._session = await self._engine.connect()
            if await session.scalar(text(f"SELECT {function}({_KEY})")):
                return True
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            await self.release()
            raise store_failed(error) from error
        await self.release()
        return False

    async def share(self) -> None:
        """Let others share the lock, which was taken alone; no other session has it alone meanwhile."""
        try:
            if self._session is not None:
                await self._session.scalar(text(f"SELECT pg_advisory_lock_shared({_KEY})"))
                await self._session.scalar(text(f"SELECT pg_advisory_unlock({_KEY})"))
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            await self.release()
            raise store_failed(error) from error

    async def release(self) -> None:
        """End the session, and with it the lock."""
        session, self._session = self._session, None
        if session is not None:
            await session.invalidate()  # also if it is lost: this waits 2 s at most
            await session.close()
        await self._engine.dispose()

    async def owner(self) -> str:
        """Name the daemons and commands that hold the lock, but not this one."""
        try:
            async with self._engine.connect() as session:
                return ", ".join(await session.scalars(_OWNERS)) or "another daemon"
        except (SQLAlchemyError, OSError, TimeoutError, StoreError):
            return "another daemon"

    async def watch(self, verify: Callable[[], Awaitable[bool]]) -> None:
        """Monitor the session until cancelled, and open it again; raise StoreError if the store was taken meanwhile.

        `verify` returns whether the store still has the schema of this version, or raises StoreError. If the server
        fails again before that, it is called again later.
        """
        is_verified = True
        while True:
            await asyncio.sleep(CHECK_S)
            if not await self._is_alive():
                log.warning("store.lock_lost", reason="the session on the database server has ended")
                await self._retake()
                is_verified = False
            if is_verified:
                continue
            try:
                is_current = await verify()
            except NewerStoreError:
                raise
            except StoreError as error:
                log.warning("store.lock_unverified", reason=str(error))
                continue
            if not is_current:
                raise LockLostError("the store lacks a migration since it was restored; start this daemon again")
            is_verified = True
            log.info("store.lock_retaken")

    async def _is_alive(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_S):
                return self._session is not None and await self._session.scalar(text("SELECT 1")) == 1
        except (SQLAlchemyError, OSError, TimeoutError):
            return False

    async def _retake(self) -> None:
        """Share the lock again as soon as the server answers; raise LockLostError if another session has it alone."""
        refused_s = 0.0
        while True:
            try:
                await self.release()
                if await self.take(owner=None):
                    return
            except StoreError:
                pass  # it is still unreachable; every reply that needs the store reports that
            else:
                if refused_s > ALONE_S:
                    raise LockLostError(
                        f"{await self.owner()} took the store for itself while its database server did not answer; "
                        "this daemon ends; start it again when that one has ended"
                    )
                refused_s += CHECK_S
            await asyncio.sleep(CHECK_S)


class LockLostError(StoreError):
    """Another program has the store for itself now."""
