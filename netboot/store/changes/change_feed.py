"""Follows what other appliances and commands change in a shared PostgreSQL store, by LISTEN on a connection of its own.

The server is queried on that connection twice a second. While it answers nothing there, because the connection is lost
or dead, everything is read again each second; also once after it was opened, because what was changed before is not
notified. One's own changes are left out. On SQLite there is nothing to follow.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import NullPool

from netboot.errors import StoreError
from netboot.store.changes.notification import CHANNEL, Changed, parse
from netboot.store.engine.store_engine import engine_of
from netboot.store.failure import store_failed

POLL_S: Final = 1.0  # while the server answers nothing on the connection; after a failed reading
UNEXPECTED_S: Final = 10.0  # after a reading that failed by another error than the store's
SHORTEST_S: Final = 0.001  # a shorter wait is the rounding of a sum of times, and may not advance the clock
CHECK_S: Final = 0.5  # between two queries that show whether the connection is alive
ANSWER_S: Final = 5.0  # without an answer for so long, the connection is given up and another one is opened

# awaited after each change of the subjects, None: anything may have changed
Read = Callable[[Collection[str] | None], Awaitable[None]]

log = structlog.get_logger()


class NotedBy(StrEnum):
    """How this appliance learns that something may have changed."""

    NOTIFICATION = "notification"
    POLL = "poll"


class ChangeFeed:
    """The changes of a store at `url` that others than `writer` make, given to those who follow them."""

    def __init__(self, url: str, *, writer: str, on_noted: Callable[[NotedBy], None] = lambda _by: None) -> None:
        """`on_noted` is called for each notification of another appliance, and each time that all is read again."""
        self._writer, self._on_noted = writer, on_noted
        self._engine = _engine(url)
        self._followers: list[_Follower] = []
        self._closed = asyncio.Event()
        self.fault: str | None = "the first connection is not open yet" if self._engine else None
        self._heard_s = 0.0  # when the server answered last on the connection, on the loop's clock

    def follow(self, what: Changed, read: Read) -> None:
        """Await `read` for each change of `what`, before `run` is called; a StoreError that it raises repeats it."""
        self._followers.append(_Follower(what, read))

    async def run(self) -> None:
        """Follow the changes until cancelled."""
        if self._engine is None:
            return
        async with asyncio.TaskGroup() as tasks:
            for follower in self._followers:
                tasks.create_task(follower.run())
            tasks.create_task(self._poll_while_unheard())
            await self._listen_always(self._engine)

    async def _poll_while_unheard(self) -> None:
        """Have everything read again `POLL_S` after the last answer, and each `POLL_S` until the next one."""
        loop = asyncio.get_running_loop()
        self._heard_s = polled_s = loop.time()
        while True:
            now_s = loop.time()
            left_s = max(self._heard_s, polled_s) + POLL_S - now_s
            if left_s > SHORTEST_S:
                await asyncio.sleep(left_s)
                continue
            polled_s = now_s
            self._on_noted(NotedBy.POLL)
            self._note_all()

    async def _listen_always(self, engine: AsyncEngine) -> None:
        while True:
            try:
                async with asyncio.timeout(ANSWER_S):
                    connection = await engine.connect()
                try:
                    await self._listen(connection)
                finally:
                    with suppress(SQLAlchemyError, OSError):
                        await connection.invalidate()  # also if it is lost: this waits 2 s at most
                        await connection.close()
            except StoreError as error:
                self._note_fault(str(error))
            except Exception as error:  # SQLAlchemy's, and asyncpg's own of LISTEN
                self._note_fault(str(store_failed(error)))
            await asyncio.sleep(POLL_S)

    async def _listen(self, connection: AsyncConnection) -> None:
        """Receive notifications until the connection ends."""
        driver: Any = (await connection.get_raw_connection()).driver_connection  # asyncpg's
        self._closed.clear()
        driver.add_termination_listener(lambda _connection: self._closed.set())
        async with asyncio.timeout(ANSWER_S):
            channel = await connection.scalar(text(f"SELECT {CHANNEL}"))
            await driver.add_listener(channel, self._receive)
        self._heard_s = asyncio.get_running_loop().time()
        if self.fault is not None:
            log.info("store.changes_followed")
        self.fault = None
        self._note_all()
        while not self._closed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await self._closed.wait()
            async with asyncio.timeout(ANSWER_S):
                await connection.scalar(text("SELECT 1"))
            self._heard_s = asyncio.get_running_loop().time()

    def _receive(self, _connection: object, _process: int, _channel: str, payload: str) -> None:
        found = parse(payload)
        if found is None or found.writer == self._writer:
            return
        self._on_noted(NotedBy.NOTIFICATION)
        for follower in self._followers:
            if follower.what == found.what:
                follower.note(found.subjects)

    def _note_all(self) -> None:
        for follower in self._followers:
            follower.note(None)

    def _note_fault(self, fault: str) -> None:
        if self.fault != fault:
            log.warning("store.changes_polled", reason=fault)
        self.fault = fault


class _Follower:
    """One kind of change: what is to be read, and its reader, which is called for all that came meanwhile at once."""

    def __init__(self, what: Changed, read: Read) -> None:
        self.what, self._read = what, read
        self._subjects: set[str] = set()
        self._is_all = False
        self._has_work = asyncio.Event()

    def note(self, subjects: Collection[str] | None) -> None:
        if subjects is None:
            self._is_all = True
        else:
            self._subjects |= set(subjects)
        self._has_work.set()

    async def run(self) -> None:
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            subjects: Collection[str] | None = None if self._is_all else frozenset(self._subjects)
            self._is_all, self._subjects = False, set()
            try:
                await self._read(subjects)
            except StoreError as error:
                log.debug("store.change_unread", what=self.what, reason=str(error))
                await asyncio.sleep(POLL_S)
                self.note(subjects)
            except Exception:  # as of a row that a newer version wrote: the other kinds are followed all the same
                log.exception("store.change_unread", what=self.what)
                await asyncio.sleep(UNEXPECTED_S)
                self.note(subjects)


def _engine(url: str) -> AsyncEngine | None:
    if not url.startswith("postgresql"):
        return None
    arguments = {
        "server_settings": {"application_name": "netboot, following changes"},
        "timeout": ANSWER_S,
        "command_timeout": ANSWER_S,
    }
    return engine_of(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments)
