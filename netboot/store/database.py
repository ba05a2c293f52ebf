"""One connection pool to the store. Translates every exception of SQLAlchemy."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from uuid import uuid4

import structlog
from sqlalchemy import Connection, Table, event, literal, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from netboot.errors import StoreError, no_answer_of_store
from netboot.store.engine.store_engine import engine_of
from netboot.store.failure import cannot_open, disk_fault, store_failed
from netboot.store.locks.file_lock import open_or_make
from netboot.store.migrations import SEALED_SINCE, lacking, migrate
from netboot.store.sealing.key_file import default_key_file, sealing_with
from netboot.store.sealing.sealed_values import VACUUM, RecordedKey, note_erased, record_key, recorded_key
from netboot.store.sealing.sealing import Sealing

T = TypeVar("T")

log = structlog.get_logger()

TIMEOUT_S = 5.0  # after this a machine gets a script that waits
SLOW_S: Final = TIMEOUT_S / 2  # a transaction that takes longer is shown as a fault, for `SLOW_SHOWN_S`
SLOW_SHOWN_S: Final = 8.0
LATE_S: Final = 1.0  # as long as a reader waits for a store that answered late and has not answered since
WHOLE_STORE_S: Final = 600.0  # for a change of every row: a migration, another key
BUSY_S = 4.0  # time that a connection waits for another one's lock; less than TIMEOUT_S
LONGEST_TURN_S: Final = 30.0  # in the queue of writers; iPXE waits 120 s for an answer
STEP_S: Final = 0.05  # of `burst_ended`
CHANGES_PER_STEP: Final = 32  # fewer in a step end the burst
LONGEST_S: Final = 1.0

# A transaction that stands still, as of a box that was switched off, ends and lets the other appliances continue.
_SERVER_SETTINGS: Final = {
    "application_name": "netboot",
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}

RecordUse = Callable[[str, float, StoreError | None], None]  # "read" or "write", the seconds that it took, its error

if TYPE_CHECKING:
    import aiosqlite


class OvertakenError(Exception):
    """Another writer changed a row between read and write; the transaction is rolled back."""


class Database:
    """The store's database: opened once, shared by all of `store`."""

    def __init__(self, engine: AsyncEngine, *, key_file: Path, record_use: RecordUse | None = None) -> None:
        self.writer = uuid4().hex  # names what this process writes, see `store.changes`
        self._engine = engine.execution_options(writer=self.writer)
        self._record_use = record_use
        self._is_late = False
        self._slow: tuple[float, float] | None = None  # how long the last slow transaction took, and when it ended
        self.write_fault: str | None = None  # why the last writing transaction failed
        self._key_file = key_file
        self.sealing = Sealing(None, "this program opened the store without its key")
        self._reader = self._engine.execution_options(is_reading=True)
        self._writing = asyncio.Lock()
        self._unfinished: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(cls, url: str, *, key_file: Path | None = None, record_use: RecordUse | None = None) -> Self:
        """Connect to `url`, migrate it and read its key; raise StoreError if it cannot be reached or is newer."""
        database = cls.connect(url, key_file=key_file, record_use=record_use)
        try:
            if not await database.is_current():
                await database.migrate()
            await database.read_key()
        except BaseException:
            await database.close()
            raise
        return database

    @classmethod
    def connect(cls, url: str, *, key_file: Path | None = None, record_use: RecordUse | None = None) -> Self:
        """Prepare connections to `url` (SQLAlchemy's form); a SQLite file is made for its owner alone.

        `key_file` has the key of what is sealed; None: the default for this store. `record_use` is called at the end
        of each transaction. Raises StoreError if `url` is none.
        """
        return cls(prepared_engine(url), key_file=key_file or default_key_file(url), record_use=record_use)

    async def is_current(self) -> bool:
        """Return whether no migration is lacking; raise StoreError if a newer version migrated the store."""
        async with self.reading() as connection:
            return not await connection.run_sync(lacking)

    async def migrate(self) -> None:
        """Run the migrations that the store lacks, and seal what was stored in clear.

        Raises StoreError if a newer version migrated it, or if something is to be sealed and there is no key.
        """
        async with self.reading() as connection:
            missing = await connection.run_sync(lacking)
        if SEALED_SINCE in missing:
            self.sealing = await self._sealing_with(None)
        async with self.transaction(limit_s=WHOLE_STORE_S) as connection:
            await connection.run_sync(partial(migrate, sealing=self.sealing))
            if digest := self.sealing.key_digest:
                await connection.run_sync(partial(record_key, digest=digest, is_alone=1 in missing))

    async def read_key(self) -> None:
        """Read the key of what is sealed; a new store gets one. Without a usable key, `sealing` has the fault.

        What an earlier version stored in clear is erased, if that is not done.
        """
        async with self.reading() as connection:
            recorded = await connection.run_sync(recorded_key)
        self.sealing = await self._sealing_with(recorded)
        if recorded is None and (digest := self.sealing.key_digest):
            async with self.transaction() as connection:
                recorded = await connection.run_sync(partial(record_key, digest=digest, is_alone=False))
            if recorded.digest != digest:  # another appliance was first, with another key
                self.sealing = await self._sealing_with(recorded)
        if recorded is not None and not recorded.is_alone:
            await self._erase_remains()

    async def _sealing_with(self, recorded: RecordedKey | None) -> Sealing:
        return await asyncio.to_thread(sealing_with, self._key_file, sealed_by=recorded.digest if recorded else None)

    async def _erase_remains(self) -> None:
        """Erase what sealed values replaced: it remains in free pages, dead rows and the write-ahead log."""
        engine = self._engine.execution_options(isolation_level="AUTOCOMMIT", is_maintenance=True)
        try:
            async with engine.connect() as connection:
                for statement in VACUUM[engine.dialect.name]:
                    await connection.exec_driver_sql(statement)
            async with self.transaction() as connection:
                await connection.run_sync(note_erased)
        except (SQLAlchemyError, StoreError, OSError) as error:  # another program reads it: at the next start
            log.warning("store.remains_not_erased", reason=str(error))

    @classmethod
    async def verify(cls, url: str) -> None:
        """Read the database at `url` once, without a migration; raise StoreError if `open` would."""
        async with cls.unchanged(url):
            pass

    @classmethod
    @asynccontextmanager
    async def unchanged(cls, url: str, *, key_file: Path | None = None) -> AsyncIterator[Self]:
        """Open the database at `url` to read it, without a migration; raise StoreError if `open` would.

        What is sealed is opened if the key is there, as in `connect`.
        """
        database = cls.connect(url, key_file=key_file)
        try:
            async with database.reading() as connection:
                recorded = None if await connection.run_sync(lacking) else await connection.run_sync(recorded_key)
            if recorded is not None:
                read = partial(sealing_with, database._key_file, sealed_by=recorded.digest, may_make=False)
                database.sealing = await asyncio.to_thread(read)
            yield database
        finally:
            await database.close()

    @asynccontextmanager
    async def transaction(self, *, limit_s: float = TIMEOUT_S) -> AsyncIterator[AsyncConnection]:
        """Open one writing transaction of at most `limit_s`; raise StoreError if the store fails."""
        try:
            async with self._turn_to_write(), self._recorded("write", self._engine, limit_s) as connection:
                yield connection
        except StoreError as error:
            self.write_fault = str(error)
            raise
        self.write_fault = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open one reading transaction, which waits for no writer; raise StoreError if the store fails."""
        wait_s = LATE_S if self._is_late else TIMEOUT_S  # a page reads several times
        async with self._recorded("read", self._reader, wait_s) as connection:
            yield connection

    @asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[None]:
        """Let the writers of this process to a SQLite file take turns in their order; each waits for the ones before.

        SQLite has no queue: a writer that finds it locked polls, and one of many gets no turn within `BUSY_S`. A
        queue that moves is no failed store, so that a writer waits longer than `TIMEOUT_S` while others succeed.
        """
        if self._engine.dialect.name != "sqlite":
            yield
            return
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + LONGEST_TURN_S
        while True:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._writing.acquire()
                break
            except TimeoutError:
                if self.write_fault is not None or now_s() > until_s:
                    raise StoreError(no_answer_of_store(TIMEOUT_S)) from None
        try:
            yield
        finally:
            self._writing.release()

    @property
    def is_shared(self) -> bool:
        """Return whether other appliances may use the store."""
        return self._engine.dialect.name == "postgresql"

    async def ping(self) -> None:
        """Read nothing from the store; raise StoreError if it does not answer."""
        async with self.reading() as connection:
            await connection.execute(select(literal(1)))

    async def disk_fault(self) -> str | None:
        """Return why the next write to a SQLite file will fail; None if it may succeed. Raises OSError."""
        path = self._engine.url.database
        if self._engine.dialect.name != "sqlite" or not path or path == ":memory:":
            return None
        return await asyncio.to_thread(disk_fault, Path(path))

    @property
    def slowness(self) -> str | None:
        """Return how long a transaction took that ended a moment ago; None if none was slow."""
        if self._slow is None or asyncio.get_running_loop().time() - self._slow[1] > SLOW_SHOWN_S:
            return None
        return f"the store is slow: a transaction took {self._slow[0]:.1f} s"

    async def size_bytes(self) -> int:
        """Return what the database takes of its disk; raise StoreError."""
        async with self.reading() as connection:
            if connection.dialect.name == "sqlite":
                pages = await connection.scalar(
                    text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
                )
                return int(pages or 0)
            return int(await connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)

    @asynccontextmanager
    async def _recorded(self, access: str, engine: AsyncEngine, wait_s: float) -> AsyncIterator[AsyncConnection]:
        """Open a transaction, and record how long it took and how the store failed."""
        now_s = asyncio.get_running_loop().time  # the clock of the limits, which the loop keeps
        began_s, fault = now_s(), None
        try:
            async with _begun(engine, wait_s) as connection:
                yield connection
            self._is_late = False
        except StoreError as error:
            fault, self._is_late = error, isinstance(error.__context__, TimeoutError)
            raise
        finally:
            ended_s = now_s()
            if fault is None and ended_s - began_s > SLOW_S and wait_s <= TIMEOUT_S:  # a migration may take longer
                self._slow = ended_s - began_s, ended_s
            if self._record_use is not None:
                self._record_use(access, ended_s - began_s, fault)

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end, even if the caller is cancelled; `close` waits for it."""
        return await asyncio.shield(self.begin(work))

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start `work`; `close` waits for it."""
        task = asyncio.ensure_future(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return task

    async def finished(self) -> None:
        """Wait for the work of cancelled callers."""
        while self._unfinished:
            await asyncio.wait(self._unfinished)

    async def close(self) -> None:
        """Wait for the work of cancelled callers, and close the connections."""
        await self.finished()
        await self._engine.dispose()


async def upsert(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; replace existing ones with the same key."""
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")  # loaded by the engine
    statement = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    values = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)


async def burst_ended(waiting: Callable[[], int], *, most: int) -> None:
    """Delay a write until a burst of changes ends: a rack that powers on at once gets its replies first.

    Waits `STEP_S`, and `LONGEST_S` at most while changes keep arriving and fewer than `most` wait to be written.
    """
    loop = asyncio.get_running_loop()
    latest_s = loop.time() + LONGEST_S
    while True:
        before = waiting()
        await asyncio.sleep(STEP_S)
        if waiting() - before < CHANGES_PER_STEP or waiting() >= most or loop.time() >= latest_s:
            return


@asynccontextmanager
async def _begun(engine: AsyncEngine, wait_s: float) -> AsyncIterator[AsyncConnection]:
    try:
        async with asyncio.timeout(wait_s), engine.begin() as connection:
            yield connection
    except TimeoutError:
        raise StoreError(no_answer_of_store(wait_s)) from None
    except (SQLAlchemyError, OSError) as error:
        raise store_failed(error) from error


def prepared_engine(url: str) -> AsyncEngine:
    """Make the engine of a store as every connection of netboot uses it; raise StoreError if `url` is none."""
    try:
        parsed = make_url(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        if is_sqlite and parsed.database and parsed.database != ":memory:":
            _make_private_file(Path(parsed.database))
        arguments = {} if is_sqlite else {"server_settings": _SERVER_SETTINGS}
        engine = engine_of(parsed, pool_pre_ping=not is_sqlite, connect_args=arguments)
    except (SQLAlchemyError, ValueError):  # from None: they show the URL, which may contain a password
        raise StoreError(
            "cannot open the store: store.url is not a URL of a database; "
            "write it as postgresql+asyncpg://user:password@server:5432/netboot, with % for each special character"
        ) from None
    except ImportError as error:
        cure = f"{sys.prefix}/bin/pip install {error.name}"
        raise StoreError(f"cannot open the store: no package {error.name}; {cure}") from None
    if is_sqlite:
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        event.listen(engine.sync_engine, "invalidate", _roll_back_sqlite)
    return engine


def _make_private_file(path: Path) -> None:
    """Make the file of a store, which contains the tokens for Kickstart and Ignition, for its owner alone."""
    try:
        os.close(open_or_make(Path(os.path.realpath(path)), 0o600))
    except OSError as error:
        raise cannot_open("the store", path, error) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin late, and fail where BEGIN IMMEDIATE waits
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_S * 1000:.0f}")
    connection.run_async(_use_wal)
    cursor.execute("PRAGMA synchronous=FULL")  # acknowledged writes survive a power cut
    cursor.close()


async def _use_wal(connection: "aiosqlite.Connection") -> None:
    """Switch the file to WAL. While another connection does so, SQLite refuses at once: busy_timeout does not count."""
    now_s = asyncio.get_running_loop().time
    until_s = now_s() + BUSY_S
    while True:
        try:
            await connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if now_s() > until_s:
                raise
            await asyncio.sleep(0.02)


def _roll_back_sqlite(connection: Any, _record: object, _error: object) -> None:
    """Release the lock of a cancelled transaction: sqlite3_close_v2 keeps it while a statement has rows left."""
    with suppress(sqlite3.Error, ValueError):  # it is already closed
        connection.rollback()


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("is_maintenance", False):
        return  # VACUUM is refused in a transaction
    is_reading = connection.get_execution_options().get("is_reading", False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")  # WAL: a reader waits for no writer
