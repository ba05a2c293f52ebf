"""Stores events: buffers them, writes them in batches later, deletes the oldest, and reads them again.

An event gets its id when it is written, and events become visible in the order of their ids, also where several
appliances write: a program that reads the events after id 17 misses none and gets none twice. Events that the store
does not accept are counted.

A batch whose transaction failed may be stored: the store has committed it, and its answer was lost or came too late.
The next attempt looks for the batch in its own transaction, by the ids that the last attempt got, and writes it only
if it is not there. So it is stored once, unless `KEPT` events of others were written before the next attempt.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import Final, Protocol

import structlog
from sqlalchemy import case, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.events.event_feed import READ_AT_ONCE, EventFeed
from netboot.events.event_rows import columns_of, event_of
from netboot.model.host.host import HostName
from netboot.model.install.event import Event
from netboot.store import tables
from netboot.store.changes.notification import Changed, notify
from netboot.store.database import Database, burst_ended

BUFFERED = 10_000  # events held while the store does not answer
KEPT = 100_000  # stored events; the oldest are deleted
BATCH = 100  # one or two milliseconds of the loop, in which no datagram is answered
PRUNE_EVERY = 5_000
PRUNED_AT_ONCE = 5_000  # ids deleted in one transaction, so that a change of an install does not wait long
RETRY_S = 1.0

# Held by a writer from before it draws ids until they are visible, so that no reader passes one that is not.
_ONE_WRITER: Final = text("SELECT pg_advisory_xact_lock(1852142691, hashtext(coalesce(current_schema(), '')))")

log = structlog.get_logger()


class Outbox(Protocol):
    """Queues events for somebody outside, so that an event is stored and queued, or neither."""

    async def add(self, connection: AsyncConnection, events: Sequence[Event]) -> None: ...  # in their transaction

    def notify(self) -> None: ...  # after it


class EventLog:
    """The table of events and its buffer; `feed` has what was written, for followers."""

    def __init__(self, database: Database, *, outbox: Outbox | None = None) -> None:
        self._database = database
        self._outbox = outbox
        self.feed = EventFeed(self.after)
        self._waiting: deque[Event] = deque()
        self._batch: Sequence[Event] = ()  # is written, or may be stored
        self._ids: Sequence[int] = ()  # of the batch, of its last attempt
        self._lost = 0
        self._is_delayed = False  # the store did not accept the last batch
        self._unpruned = PRUNE_EVERY  # written since the last prune; the first is at the start
        self._has_work = asyncio.Event()
        self._writing = asyncio.Lock()
        self._own: set[int] = set()  # ids that this process wrote and has not read yet, of a store of several
        self._reading = asyncio.Lock()
        self._has_begun = self._is_behind = False
        self._followers: list[Callable[[Event], None]] = []

    @property
    def waiting_count(self) -> int:
        """How many events wait to be written."""
        return len(self._batch) + len(self._waiting)

    def take(self, event: Event, _level: int) -> None:
        """Take an event at once; it is stored within a moment, or the oldest that waits is counted as lost."""
        if self.waiting_count >= BUFFERED:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(event)
        self._has_work.set()

    def follow_others(self, follower: Callable[[Event], None]) -> None:
        """Call `follower` with each event that another appliance or a command wrote, in the order of ids."""
        self._followers.append(follower)

    def take_lost_count(self) -> int:
        """Return how many events were lost since the last call."""
        lost, self._lost = self._lost, 0
        return lost

    async def run(self) -> None:
        """Write what was taken until cancelled."""
        while True:
            if self._unpruned >= PRUNE_EVERY:
                await self._database.finish(self._prune())  # a stop right after the start waits for it
            await self._has_work.wait()
            await burst_ended(lambda: len(self._waiting), most=BUFFERED // 2)
            if not await asyncio.shield(self.flush()):  # a running write ends; the last flush waits for it
                await asyncio.sleep(RETRY_S)

    async def close(self) -> None:
        """Write the rest; log how many are lost if the store does not accept them at the second attempt."""
        if not await self.flush():
            await asyncio.sleep(RETRY_S)
            await self.flush()
        if lost := self.waiting_count + self._lost:
            log.error("store.events_lost", count=lost)

    async def flush(self) -> bool:
        """Write all that was taken before this call; False if the store does not accept it."""
        async with self._writing:
            while self._batch or self._waiting:
                if not self._batch:
                    self._batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                try:
                    await self._write()
                except StoreError as error:
                    if not self._ids:  # it got no ids, so that it is not stored
                        self._waiting.extendleft(reversed(self._batch))
                        self._batch = ()
                    if not self._is_delayed:
                        log.warning("store.events_delayed", waiting=self.waiting_count, reason=str(error))
                    self._is_delayed = True
                    return False
                except Exception:  # a fault of these events: those after them are stored
                    self._lost += len(self._batch)
                    self._own.difference_update(self._ids)
                    self._batch = self._ids = ()
                    raise
                self._is_delayed = False
            if self._is_behind and not await self._caught_up():
                return False
            self._has_work.clear()
            return True

    async def _write(self) -> None:
        """Write the batch, unless the last attempt stored it: that one has ended when this one may write."""
        async with self._database.transaction() as connection:
            if self._database.is_shared:
                await connection.execute(_ONE_WRITER)
            if not await self._is_stored(connection):
                await self._insert(connection)
        stored = self._stored
        self._batch = self._ids = ()
        self._unpruned += len(stored)
        if self._outbox is not None:
            self._outbox.notify()
        if self._database.is_shared:
            await self._caught_up()
        else:
            self.feed.publish(stored)

    @property
    def _stored(self) -> list[Event]:
        return [_with_id(event, number) for event, number in zip(self._batch, self._ids, strict=True)]

    async def _is_stored(self, connection: AsyncConnection) -> bool:
        """Return whether the last attempt was committed: its newest id, which another writer may have got, is its."""
        if not self._ids:
            return False
        wanted = select(tables.events).where(tables.events.c.id == self._ids[-1])
        row = (await connection.execute(wanted)).mappings().first()
        expected = columns_of(self._batch[-1])
        return row is not None and all(row[name] == value for name, value in expected.items() if name != "data")

    async def _insert(self, connection: AsyncConnection) -> None:
        newest_ids = select(tables.events.c.id).order_by(tables.events.c.id.desc()).limit(len(self._batch))
        await connection.execute(insert(tables.events), [columns_of(event) for event in self._batch])
        ids = (await connection.execute(newest_ids)).scalars().all()  # RETURNING costs ten times the insert
        if self._database.is_shared:
            self._own.difference_update(self._ids)  # of an attempt that was not committed
            self._own.update(ids)  # before anybody can read them
        self._ids = ids[::-1]
        if self._outbox is not None:
            await self._outbox.add(connection, self._stored)
        await notify(connection, Changed.EVENTS)

    async def begin(self) -> None:
        """Begin to follow the events that are written to a shared store from now on; raise StoreError if it fails."""
        if self._database.is_shared and not self._has_begun:
            own = min(self._own, default=None)
            self.feed.begin_after(await self.last_id() if own is None else own - 1)
            self._has_begun = True

    async def read_changed(self, _subjects: object = None) -> None:
        """Publish what others wrote to a shared store, and this process; raise StoreError if it fails."""
        async with self._reading:
            await self.begin()
            while found := await self.after(self.feed.newest_id):
                self.feed.publish(found)
                others = [event for event in found if event.id not in self._own]
                self._own = {number for number in self._own if number > self.feed.newest_id}
                for event in others:
                    for follower in self._followers:
                        follower(event)
                if len(found) < READ_AT_ONCE:
                    break

    async def _caught_up(self) -> bool:
        """Publish what is written; if the store fails, the next flush does it."""
        try:
            await self.read_changed()
            self._is_behind = False
        except StoreError as error:
            log.warning("store.events_unread", reason=str(error))
            self._is_behind = True
            self._has_work.set()
        return not self._is_behind

    async def _prune(self) -> None:
        """Delete all but the newest `KEPT`; if the store fails, try again after the next batch."""
        ids = tables.events.c.id
        try:
            last = await self.last_id() - KEPT
            while True:
                async with self._database.transaction() as connection:
                    first = await connection.scalar(select(func.min(ids)))
                    if first is None or first > last:
                        break
                    await connection.execute(delete(tables.events).where(ids <= min(last, first + PRUNED_AT_ONCE)))
        except StoreError as error:
            log.warning("store.prune_delayed", reason=str(error))
            return
        self._unpruned = 0

    async def after(self, last_id: int, host: HostName | None = None) -> list[Event]:
        """Read the events that follow `last_id`, oldest first, `READ_AT_ONCE` at most."""
        following = select(tables.events).where(tables.events.c.id > last_id)
        wanted = following.order_by(tables.events.c.id).limit(READ_AT_ONCE)
        if host is not None:
            wanted = wanted.where(tables.events.c.host == host)
        async with self._database.reading() as connection:
            return [event_of(row) for row in (await connection.execute(wanted)).mappings()]

    async def newest(
        self, host: HostName | None, *, limit: int, apart: Collection[str] = (), limit_apart: int = 0
    ) -> list[Event]:
        """Read the newest `limit` events of a host, or for None of no host, the oldest of them first.

        Of the names `apart` the newest `limit_apart` are read, which displace no other event.
        """
        mine = select(tables.events).where(tables.events.c.host == host).order_by(tables.events.c.id.desc())
        is_apart = tables.events.c.name.in_(apart)
        queries = [mine.where(~is_apart).limit(limit), mine.where(is_apart).limit(limit_apart)]
        async with self._database.reading() as connection:
            found = [(await connection.execute(query)).mappings().all() for query in queries[: 2 if apart else 1]]
        return [event_of(row) for row in sorted(chain(*found), key=lambda row: row["id"])]

    async def newest_of(
        self, hosts: Sequence[HostName], *, limit: int, apart: Collection[str] = (), limit_apart: int = 0
    ) -> dict[HostName, list[Event]]:
        """Read the newest events of each of several hosts in one query, as `newest` does of one."""
        events = tables.events
        is_apart = events.c.name.in_(apart)
        rank = func.row_number().over(partition_by=(events.c.host, is_apart), order_by=events.c.id.desc())
        ranked = select(events, rank.label("rank"), is_apart.label("is_apart")).where(events.c.host.in_(hosts))
        newest = ranked.subquery()
        wanted = select(newest).where(newest.c.rank <= case((newest.c.is_apart, limit_apart), else_=limit))
        found: dict[HostName, list[Event]] = {host: [] for host in hosts}
        async with self._database.reading() as connection:
            for row in (await connection.execute(wanted.order_by(newest.c.id))).mappings():
                found[HostName(row["host"])].append(event_of(row))
        return found

    async def newest_of_each_host(self) -> list[Event]:
        """Read the newest event of every host, oldest first."""
        events = tables.events
        newest = select(func.max(events.c.id)).where(events.c.host.is_not(None)).group_by(events.c.host)
        wanted = select(events).where(events.c.id.in_(newest)).order_by(events.c.id)
        async with self._database.reading() as connection:
            return [event_of(row) for row in (await connection.execute(wanted)).mappings()]

    def waiting_of(self, host: HostName) -> list[Event]:
        """Return the events of a host that wait to be written, oldest first."""
        delayed = self._batch if self._is_delayed else ()  # the batch of a running write is read from the store
        return [event for event in (*delayed, *self._waiting) if event.host == host]

    async def last_id(self) -> int:
        """Read the newest event's id; 0 if there is none."""
        async with self._database.reading() as connection:
            return await connection.scalar(select(func.max(tables.events.c.id))) or 0


def _with_id(event: Event, number: int) -> Event:
    # dataclasses.replace takes six times as long
    return Event(event.name, event.at, event.host, event.mac, event.step, event.data, number)
