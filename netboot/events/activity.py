"""What happened, newest first: stored events by host, MAC, name, actor and time, page by page.

A page continues before an event's id, so that later events change no page, and each query reads an index: a filter that
matches little reads little.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, select

from netboot.events.event_rows import current_name, event_of, stored_names
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event
from netboot.store import tables
from netboot.store.database import Database

MOST_ON_A_PAGE: Final = 1_000
EVENT_PATTERN: Final = r"[a-z]{1,32}\.(\*|[a-z_]{1,64})"


@dataclass(frozen=True, slots=True)
class ActivityFilter:
    """Which events are read; an empty field excludes none. `event` is a name or `AREA.*`, as hooks have it."""

    host: HostName | None = None
    mac: Mac | None = None
    event: str = ""
    actor: str = ""
    since: datetime | None = None
    until: datetime | None = None  # exclusive
    is_audit: bool = False  # what somebody requested: events with an actor
    before: int | None = None  # an id: older events only

    def __post_init__(self) -> None:
        """Raise ValueError if `event` is neither a name nor an area."""
        if self.event and not re.fullmatch(EVENT_PATTERN, self.event):
            raise ValueError("event is the name of an event, as boot.offered, or an area, as boot.*")


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """Events, newest first; `older_before` continues with the next page, None at the oldest event."""

    events: Sequence[Event]
    older_before: int | None = None


class ActivityLog:
    """Reads the table of events; every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: ActivityFilter, *, limit: int) -> ActivityPage:
        """Read the newest `limit` events that match, `MOST_ON_A_PAGE` at most."""
        limit = min(limit, MOST_ON_A_PAGE)
        names = await self._stored_names(wanted.event)
        query = _query(wanted, names).limit(limit + 1)
        async with self._database.reading() as connection:
            events = [event_of(row) for row in (await connection.execute(query)).mappings()]
        return ActivityPage(events[:limit], events[limit - 1].id if len(events) > limit else None)

    async def all(self, wanted: ActivityFilter, *, most: int) -> AsyncGenerator[Sequence[Event], None]:
        """Read the newest `most` events that match, in batches, each in a transaction of its own."""
        while most > 0:
            page = await self.page(wanted, limit=min(MOST_ON_A_PAGE, most))
            if page.events:
                yield page.events
            if page.older_before is None:
                return
            most -= len(page.events)
            wanted = replace(wanted, before=page.older_before)

    async def oldest_at(self) -> datetime | None:
        """Return the time of the oldest stored event; None: there is none."""
        events = tables.events.c
        async with self._database.reading() as connection:
            at = await connection.scalar(select(events.at).order_by(events.id).limit(1))
        return None if at is None else datetime.fromisoformat(at)

    async def names(self) -> list[str]:
        """List the names of the stored events."""
        return sorted({current_name(name) for name in await self._distinct_names()})

    async def _stored_names(self, pattern: str) -> list[str] | None:
        """Return the names that a pattern selects, as they are stored; None for all."""
        if not pattern:
            return None
        if not pattern.endswith(".*"):
            return stored_names({pattern})
        area = pattern.removesuffix("*")
        return [name for name in await self._distinct_names() if current_name(name).startswith(area)]

    async def _distinct_names(self) -> list[str]:
        """List the names in the table by one step of the index for each."""
        name = tables.events.c.name
        found = select(func.min(name).label("name")).cte("found", recursive=True)
        following = select(func.min(name)).where(name > found.c.name).scalar_subquery()
        found = found.union_all(select(following).where(found.c.name.is_not(None)))
        async with self._database.reading() as connection:
            return list(await connection.scalars(select(found.c.name).where(found.c.name.is_not(None))))


def _query(wanted: ActivityFilter, names: Sequence[str] | None) -> Select[Any]:
    return select(tables.events).where(*_conditions(wanted, names)).order_by(tables.events.c.id.desc())


def _conditions(wanted: ActivityFilter, names: Sequence[str] | None) -> list[ColumnElement[bool]]:
    """Return the conditions of a query; those of a time also bound the id, which is nearly in its order."""
    events = tables.events.c
    found: list[ColumnElement[bool]] = []
    if wanted.host is not None:
        found.append(events.host == wanted.host)
    if wanted.mac is not None:
        found.append(events.mac == wanted.mac)
    has_actor = wanted.is_audit or bool(wanted.actor)
    if names is not None:
        # without the index of names, which SQLite would prefer to the shorter one of the events with an actor
        name: ColumnElement[str] = events.name.concat("") if has_actor else events.name
        found.append(name.in_(names))
    if has_actor:
        found.append(events.actor.is_not(None))
    if wanted.actor:
        found.append(events.actor == wanted.actor)
    if wanted.before is not None:
        found.append(events.id < wanted.before)
    if wanted.since is not None:
        at = wanted.since.isoformat()
        first = select(func.min(events.id)).where(events.at >= at).scalar_subquery()
        found += [events.at >= at, events.id >= first]
    if wanted.until is not None:
        at = wanted.until.isoformat()
        last = select(func.max(events.id)).where(events.at < at).scalar_subquery()
        found += [events.at < at, events.id <= last]
    return found
