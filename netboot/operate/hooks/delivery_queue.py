"""The table of events that wait for a hook, and the results of each hook.

An attempt begins by compare-and-set: of several daemons on one store one delivers. The claim ends by itself, so that
another attempt is made if the daemon is killed before it records the outcome: an event may be delivered twice.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import RowMapping, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.store import tables
from netboot.store.database import Database

LONGEST_CLAIM: Final = timedelta(hours=1)  # an attempt that is due later was planned by a clock that was set back

_waiting: Final = tables.hook_deliveries.c
_results: Final = tables.hook_results.c


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event that waits for one hook. Those of one subject, a host or a machine, are delivered in their order."""

    hook: str
    event_id: int
    subject: str
    at: datetime
    body: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class DueDeliveries:
    """The deliveries of a hook that are due, when the next one will be, and how many wait in all."""

    deliveries: Sequence[Delivery]
    next_at: datetime | None
    waiting: int


@dataclass(frozen=True, slots=True)
class SettledAttempt:
    """The outcome of an attempt: delivered, or the reason why not; without `next_at` no other attempt is made."""

    delivery: Delivery
    reason: str | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HookResult:
    """What waits for a hook, when it got its last event, and why an attempt failed last."""

    waiting: int = 0
    oldest_at: datetime | None = None
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    error: str | None = None

    @property
    def is_failing(self) -> bool:
        return self.failed_at is not None and (self.delivered_at is None or self.failed_at > self.delivered_at)


async def add_deliveries(connection: AsyncConnection, deliveries: Sequence[Delivery]) -> None:
    """Add deliveries in the transaction of their events."""
    await connection.execute(insert(tables.hook_deliveries), [_columns(each) for each in deliveries])


class DeliveryQueue:
    """The deliveries of all hooks; methods raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, hook: str, now: datetime, *, limit: int) -> DueDeliveries:
        """Read the oldest delivery of each subject that is due, `limit` at most."""
        mine = _waiting.hook == hook
        first_ids = select(func.min(_waiting.event_id)).where(mine).group_by(_waiting.subject)
        first = select(tables.hook_deliveries).where(mine, _waiting.event_id.in_(first_ids))
        is_due = or_(_waiting.next_at <= _text(now), _waiting.next_at > _text(now + LONGEST_CLAIM))
        async with self._database.reading() as connection:
            waiting = await connection.scalar(select(func.count()).select_from(tables.hook_deliveries).where(mine))
            rows = await connection.execute(first.where(is_due).order_by(_waiting.event_id).limit(limit))
            found = [_delivery(row) for row in rows.mappings()]
            next_at = await connection.scalar(first.where(~is_due).with_only_columns(func.min(_waiting.next_at)))
        return DueDeliveries(found, _moment(next_at), waiting or 0)

    async def claim(self, deliveries: Sequence[Delivery], *, until: datetime) -> list[Delivery]:
        """Count an attempt of each delivery that nobody else has begun meanwhile; return those."""
        claimed = []
        async with self._database.transaction() as connection:
            for each in deliveries:
                unchanged = _row_of(each) & (_waiting.attempts == each.attempts)
                values = {"attempts": each.attempts + 1, "next_at": _text(until)}
                done = await connection.execute(update(tables.hook_deliveries).where(unchanged).values(values))
                if done.rowcount == 1:
                    claimed.append(replace(each, attempts=each.attempts + 1))
        return claimed

    async def settle(self, settled: Sequence[SettledAttempt], *, at: datetime) -> None:
        """Record the outcomes of attempts that ended, all of them or none."""
        async with self._database.transaction() as connection:
            for each in settled:
                mine = _row_of(each.delivery)
                if each.next_at is None:
                    await connection.execute(delete(tables.hook_deliveries).where(mine))
                else:
                    plan = update(tables.hook_deliveries).where(mine)
                    await connection.execute(plan.values(next_at=_text(each.next_at)))
                is_delivered = each.reason is None
                values = {"delivered_at": _text(at)} if is_delivered else {"failed_at": _text(at), "error": each.reason}
                result = update(tables.hook_results).where(_results.hook == each.delivery.hook)
                await connection.execute(result.values(values))

    async def trim(self, hook: str, *, kept: int) -> int:
        """Remove the oldest deliveries of a hook but `kept`; return how many."""
        mine = _waiting.hook == hook
        newest_first = select(_waiting.event_id).where(mine).order_by(_waiting.event_id.desc())
        last_removed = newest_first.offset(kept).limit(1).scalar_subquery()
        oldest = delete(tables.hook_deliveries).where(mine, _waiting.event_id <= last_removed)
        async with self._database.transaction() as connection:
            return (await connection.execute(oldest)).rowcount

    async def keep_only(self, hooks: Collection[str]) -> Mapping[str, int]:
        """Remove what waits for other hooks; return how many deliveries each of those had."""
        async with self._database.transaction() as connection:
            count = select(_waiting.hook, func.count()).where(_waiting.hook.not_in(hooks)).group_by(_waiting.hook)
            removed = {row[0]: row[1] for row in await connection.execute(count)}
            await connection.execute(delete(tables.hook_deliveries).where(_waiting.hook.not_in(hooks)))
            await connection.execute(delete(tables.hook_results).where(_results.hook.not_in(hooks)))
            known = set(await connection.scalars(select(_results.hook)))
            if new := [{"hook": hook} for hook in sorted(set(hooks) - known)]:
                await connection.execute(insert(tables.hook_results), new)
        return removed

    async def results(self) -> Mapping[str, HookResult]:
        """Read the state of each hook that the daemon has had."""
        queued = select(_waiting.hook, func.count(), func.min(_waiting.at)).group_by(_waiting.hook)
        async with self._database.reading() as connection:
            waiting = {hook: (number, oldest) for hook, number, oldest in await connection.execute(queued)}
            rows = {row["hook"]: row for row in (await connection.execute(select(tables.hook_results))).mappings()}
        return {hook: _result(rows.get(hook, {}), *waiting.get(hook, (0, None))) for hook in {*waiting, *rows}}


def _row_of(delivery: Delivery) -> Any:
    return (_waiting.hook == delivery.hook) & (_waiting.event_id == delivery.event_id)


def _text(moment: datetime) -> str:
    """Write a time with a fixed number of digits, by which databases compare it in any collation."""
    return moment.isoformat(timespec="microseconds")


def _columns(delivery: Delivery) -> dict[str, Any]:
    return {
        "hook": delivery.hook,
        "event_id": delivery.event_id,
        "subject": delivery.subject,
        "at": _text(delivery.at),
        "body": delivery.body,
        "attempts": delivery.attempts,
        "next_at": _text(delivery.at),
    }


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        row["hook"], row["event_id"], row["subject"], datetime.fromisoformat(row["at"]), row["body"], row["attempts"]
    )


def _result(row: RowMapping | Mapping[str, Any], waiting: int, oldest: str | None) -> HookResult:
    return HookResult(
        waiting, _moment(oldest), _moment(row.get("delivered_at")), _moment(row.get("failed_at")), row.get("error")
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
