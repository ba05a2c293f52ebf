"""Records events: limits them for each machine and writes them in batches later; no reply waits for a write.

If events are lost, another event reports their number. An event gets its id when it is written, and ids only increase:
a program that reads the events after id 17 misses none and gets none twice.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import RowMapping, delete, func, insert, select

from netboot.errors import StoreError
from netboot.events.event_limits import EventLimits
from netboot.model.host.host import Host, HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.store import tables
from netboot.store.database import Database, burst_ended

BUFFERED = 10_000  # events held while the store does not answer
KEPT = 100_000  # stored events; the oldest are deleted
BATCH = 100  # one or two milliseconds of the loop, in which no datagram is answered
PRUNE_EVERY = 5_000
PRUNED_AT_ONCE = 5_000  # ids deleted in one transaction, so that a change of an install does not wait long
RETRY_S = 1.0
BEAT_S = 1.0  # the time in which a follower detects that its reader disconnected

log = structlog.get_logger()


class EventLog:
    """The table of events and its buffer."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._log = structlog.get_logger().bind()  # the lazy logger costs a microsecond per line
        self._limits = EventLimits()
        self._waiting: deque[Event] = deque()
        self._lost = 0
        self._unpruned = PRUNE_EVERY  # written since the last prune; the first is at the start
        self._has_work = asyncio.Event()
        self._writing = asyncio.Lock()
        self._grown = asyncio.Condition()
        self._writes = 0
        self._is_ending = False

    def emit(
        self,
        name: str,
        data: Mapping[str, str | int | float | None],
        *,
        host: Host | HostName | None = None,
        mac: Mac | None = None,
        step: Step | None = None,
        level: int = logging.INFO,
    ) -> None:
        """Record what happens now. Of a host that no file declares any more only the name is known."""
        host_name = host.name if isinstance(host, Host) else host
        self.record(Event(name, self._now(), host_name, mac, step, data), level=level)

    def record(self, event: Event, *, level: int = logging.INFO) -> None:
        """Log an event and buffer it; it is stored shortly after, or counted as lost.

        An event over the limit of its kind is counted; the count is an event at the end of the minute.
        """
        for recorded in self._limits.admit(event, level):
            self._keep(*recorded)

    def _keep(self, event: Event, level: int) -> None:
        self._log.log(level, event.name, host=event.host, mac=event.mac, step=event.step, **event.data)
        if len(self._waiting) >= BUFFERED:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(event)
        self._has_work.set()

    async def run(self) -> None:
        """Write what was recorded until cancelled; then write the rest once."""
        try:
            while True:
                if self._unpruned >= PRUNE_EVERY:
                    await self._database.finish(self._prune())  # a stop right after the start waits for it
                await self._wait_for_work()
                await burst_ended(lambda: len(self._waiting), most=BUFFERED // 2)
                if not await asyncio.shield(self.flush()):  # a running write ends; the last flush waits for it
                    await asyncio.sleep(RETRY_S)
        finally:
            for recorded in self._limits.close_all(self._now()):
                self._keep(*recorded)
            await self.flush()

    async def close(self) -> None:
        """Write the rest; log how many are lost if the store does not accept them at the second attempt."""
        if not await self.flush():
            await asyncio.sleep(RETRY_S)
            await self.flush()
        if lost := len(self._waiting) + self._lost:
            log.error("store.events_lost", count=lost)

    async def _wait_for_work(self) -> None:
        """Wait for an event, or until the count of a window is due."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.seconds_to_next(self._now())):
                await self._has_work.wait()

    async def flush(self) -> bool:
        """Write all that was recorded before this call; False if the store does not accept it."""
        for recorded in self._limits.close_ended(self._now()):
            self._keep(*recorded)
        async with self._writing:
            while self._waiting or self._lost:
                if self._lost:
                    log.error("store.events_lost", count=self._lost)
                    self._waiting.append(Event("store.events_lost", self._now(), data={"count": self._lost}))
                    self._lost = 0
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                try:
                    await self._write(batch)
                except StoreError as error:
                    self._waiting.extendleft(reversed(batch))
                    log.warning("store.events_delayed", waiting=len(self._waiting), reason=str(error))
                    return False
            self._has_work.clear()
            return True

    async def _write(self, batch: list[Event]) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(insert(tables.events), [_columns(event) for event in batch])
        self._unpruned += len(batch)
        self._writes += 1
        async with self._grown:
            self._grown.notify_all()

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

    async def after(self, last_id: int, *, host: HostName | None = None, limit: int = 1000) -> list[Event]:
        """Read the events that follow `last_id`, oldest first."""
        wanted = select(tables.events).where(tables.events.c.id > last_id).order_by(tables.events.c.id).limit(limit)
        if host is not None:
            wanted = wanted.where(tables.events.c.host == host)
        async with self._database.reading() as connection:
            return [_event(row) for row in (await connection.execute(wanted)).mappings()]

    async def newest(self, host: HostName, *, limit: int) -> list[Event]:
        """Read the newest `limit` events of a host, the oldest of them first."""
        mine = select(tables.events).where(tables.events.c.host == host)
        async with self._database.reading() as connection:
            rows = (await connection.execute(mine.order_by(tables.events.c.id.desc()).limit(limit))).mappings().all()
        return [_event(row) for row in reversed(rows)]

    async def last_id(self) -> int:
        """Read the newest event's id; 0 if there is none."""
        async with self._database.reading() as connection:
            return await connection.scalar(select(func.max(tables.events.c.id))) or 0

    async def follow(self, last_id: int, *, host: HostName | None = None) -> AsyncIterator[Event | None]:
        """Yield the events after `last_id` until `end_followers`; None after `BEAT_S` without an event."""
        while True:
            writes = self._writes
            found = await self.after(last_id, host=host)
            for event in found:
                last_id = event.id
                yield event
            while not found and self._writes == writes:
                if self._is_ending:
                    return
                try:
                    async with asyncio.timeout(BEAT_S), self._grown:
                        while self._writes == writes and not self._is_ending:
                            await self._grown.wait()
                except TimeoutError:
                    yield None

    async def end_followers(self) -> None:
        """End every `follow`, now and from now on."""
        self._is_ending = True
        async with self._grown:
            self._grown.notify_all()


def _columns(event: Event) -> dict[str, Any]:
    return {
        "at": event.at.isoformat(),
        "name": event.name,
        "host": event.host,
        "mac": event.mac,
        "step": event.step,
        "data": dict(event.data),
    }


# Names, keys and reasons that earlier versions stored.
_RENAMED: Final = {"boot.shape_moved": "boot.variant_changed", "boot.shape_kept": "boot.variant_learned"}
_RENAMED_KEYS: Final = {"shape": "variant"}
_RENAMED_REASONS: Final = {
    "stranger": "unauthorised-address",
    "no-reply-shape": "no-reply-variant",
    "ledger-unreachable": "store-unreachable",
}


def _event(row: RowMapping) -> Event:
    data = {_RENAMED_KEYS.get(key, key): value for key, value in row["data"].items()}
    if data.get("reason") in _RENAMED_REASONS:
        data["reason"] = _RENAMED_REASONS[data["reason"]]
    return Event(
        id=row["id"],
        at=datetime.fromisoformat(row["at"]),
        name=_RENAMED.get(row["name"], row["name"]),
        host=HostName(row["host"]) if row["host"] else None,
        mac=Mac(row["mac"]) if row["mac"] else None,
        step=Step(row["step"]) if row["step"] else None,
        data=data,
    )
