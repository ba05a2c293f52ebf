"""The table of boots: the newest of each host, and few of machines that are not registered. Written later, in batches.

The running boots are in the caller's memory; this copy survives a restart, and is read for the boots that have ended.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, and_, bindparam, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.model.boot.boot_record import BootEnd, BootPlan, BootRecord
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.store import tables
from netboot.store.boots.boot_columns import boot_of, columns_of
from netboot.store.database import Database, burst_ended, upsert

KEPT_OF_HOST: Final = 20
KEPT_LOCAL_OF_HOST: Final = 5  # of its own disk, so that restarts of a cluster do not remove its install
KEPT_WITHOUT_SCRIPT_OF_HOST: Final = 10  # that led to no script: any machine can forge the DISCOVER of one
KEPT_OF_UNREGISTERED: Final = 3  # of one machine
KEPT_UNREGISTERED: Final = 500  # of all these machines together
WRITE_EVERY_S: Final = 0.5
RETRY_S: Final = 1.0
MOST_WAITING: Final = 10_000  # while the store fails; the oldest are lost
PER_TRANSACTION: Final = 100  # some milliseconds of the loop, in which no datagram is answered

log = structlog.get_logger()
_BOOTS: Final = tables.boots
_IS_LOCAL: Final = _BOOTS.c.plan == BootPlan.LOCAL_DISK.value
_IS_WITHOUT_SCRIPT: Final = and_(
    _BOOTS.c.plan == BootPlan.UNDECIDED.value,
    or_(_BOOTS.c.ended_with.is_(None), _BOOTS.c.ended_with == BootEnd.REPLACED.value),
)
_UNREGISTERED: Final = _BOOTS.c.host.is_(None)


class Boots:
    """The table of boots."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed: dict[tuple[Mac, datetime], BootRecord] = {}
        self._lost = 0
        self._is_delayed = False  # the store did not accept the last write
        self._has_work = asyncio.Event()
        self._writing = asyncio.Lock()

    @property
    def waiting_count(self) -> int:
        """How many boots wait to be written."""
        return len(self._changed)

    async def of_host(self, host: HostName) -> list[BootRecord]:
        """Read the boots of a host, the oldest first; raise StoreError."""
        return await self._read(_BOOTS.c.host == host)

    async def of_unregistered(self, mac: Mac) -> list[BootRecord]:
        """Read the boots of a machine that is not registered, the oldest first; raise StoreError."""
        return await self._read(and_(_UNREGISTERED, _BOOTS.c.mac == mac))

    async def running(self, since: datetime) -> list[BootRecord]:
        """Read the boots that have not ended and showed something since; raise StoreError."""
        return await self._read(_is_running(since))

    async def newest_running(self, since: datetime) -> list[BootRecord]:
        """Read these boots of hosts, without those whose host showed more in another boot; raise StoreError.

        It may boot from another appliance on the same store.
        """
        newer = _BOOTS.alias("newer")
        showed_more = and_(newer.c.last_at > _BOOTS.c.last_at, newer.c.began_at >= _BOOTS.c.began_at)
        has_newer = select(newer).where(newer.c.host == _BOOTS.c.host, showed_more).exists()
        return await self._read(and_(_is_running(since), _BOOTS.c.host.is_not(None), ~has_newer))

    async def newest_of_hosts(self, limit: int) -> list[BootRecord]:
        """Read the newest boots of all hosts, the newest first; raise StoreError."""
        newest = select(_BOOTS).where(_BOOTS.c.host.is_not(None)).order_by(_BOOTS.c.began_at.desc()).limit(limit)
        async with self._database.reading() as connection:
            return [boot_of(row) for row in (await connection.execute(newest)).mappings()]

    async def _read(self, wanted: ColumnElement[bool]) -> list[BootRecord]:
        query = select(_BOOTS).where(wanted).order_by(_BOOTS.c.began_at)
        async with self._database.reading() as connection:
            return [boot_of(row) for row in (await connection.execute(query)).mappings()]

    async def claim_overdue(self, boot: BootRecord, step: Step) -> bool:
        """Store that a step of a boot is overdue; False if another appliance stored it of the same boot.

        Each appliance that received the machine's packets has a record of its boot. Raises StoreError.
        """
        mine = select(_BOOTS).where(_BOOTS.c.host == boot.host).order_by(_BOOTS.c.mac, _BOOTS.c.began_at)
        async with self._writing, self._database.transaction() as connection:
            rows = (await connection.execute(mine.with_for_update())).mappings()
            same = [each for each in map(boot_of, rows) if each.mac == boot.mac and each.end is None]
            if any(step in each.overdue and each.is_same_boot(boot) for each in same):
                return False
            await upsert(connection, _BOOTS, [columns_of(replace(boot, overdue=boot.overdue | {step}))])
        return True

    async def replace_unchanged(self, changes: Mapping[HostName, tuple[BootRecord, BootRecord]]) -> list[BootRecord]:
        """Replace the first boot by the second one, now; return those that replaced one. Raises StoreError.

        A row that is not the first one any more is written by an appliance that runs, and is newer.
        """
        running = select(_BOOTS).where(_BOOTS.c.host.in_(changes), _BOOTS.c.ended_with.is_(None))
        async with self._writing, self._database.transaction() as connection:
            rows = await connection.execute(running.order_by(_BOOTS.c.mac, _BOOTS.c.began_at).with_for_update())
            stored = list(map(boot_of, rows.mappings()))
            replaced = [after for before, after in changes.values() if before in stored]
            if replaced:
                await upsert(connection, _BOOTS, [columns_of(boot) for boot in replaced])
        return replaced

    def keep(self, boot: BootRecord) -> None:
        """Store the current state of a boot; it is written shortly after."""
        self._changed[boot.mac, boot.began_at] = boot
        if len(self._changed) > MOST_WAITING:
            del self._changed[next(iter(self._changed))]
            self._lost += 1
        self._has_work.set()

    async def run(self) -> None:
        """Write stored states until cancelled; then write the rest once."""
        try:
            while True:
                await self._has_work.wait()
                await asyncio.sleep(WRITE_EVERY_S)
                await burst_ended(lambda: len(self._changed), most=MOST_WAITING // 2)
                await asyncio.shield(self.flush())  # a running write ends; the last flush waits for it
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write all states stored before this call, or keep them for later if the store does not accept them."""
        async with self._writing:
            self._has_work.clear()
            kept, self._changed = self._changed, {}
            unwritten = list(kept)
            try:
                while unwritten:
                    await self._write([kept[key] for key in unwritten[:PER_TRANSACTION]])
                    del unwritten[:PER_TRANSACTION]
            except StoreError as error:
                self._changed = {key: kept[key] for key in unwritten} | self._changed
                self._has_work.set()
                if not self._is_delayed:
                    log.warning("store.boots_delayed", waiting=len(self._changed), reason=str(error))
                self._is_delayed = True
            else:
                self._is_delayed = self._is_delayed and not kept

    async def close(self) -> None:
        """Write the rest; log how many are lost if the store does not accept them at the second attempt."""
        await self.flush()
        if self._changed:
            await asyncio.sleep(RETRY_S)
            await self.flush()
        if lost := len(self._changed) + self._lost:
            log.error("store.boots_lost", count=lost)

    async def _write(self, boots: Sequence[BootRecord]) -> None:
        async with self._database.transaction() as connection:
            # in this order, so that two appliances never wait for each other's rows
            ordered = sorted(boots, key=lambda boot: (boot.mac, boot.began_at))
            await upsert(connection, _BOOTS, [columns_of(boot) for boot in ordered])
            await _prune(connection, boots)


def _is_running(since: datetime) -> ColumnElement[bool]:
    return and_(_BOOTS.c.ended_with.is_(None), _BOOTS.c.last_at >= since.isoformat())


async def _prune(connection: AsyncConnection, boots: Sequence[BootRecord]) -> None:
    """Delete the oldest boots of the machines whose boots were written."""
    if hosts := [{"subject": host} for host in sorted({boot.host for boot in boots if boot.host})]:
        mine = _BOOTS.c.host == bindparam("subject")
        others = and_(mine, ~_IS_LOCAL, ~_IS_WITHOUT_SCRIPT)
        await connection.execute(_all_but_newest(KEPT_OF_HOST, others), hosts)
        await connection.execute(_all_but_newest(KEPT_LOCAL_OF_HOST, and_(mine, _IS_LOCAL)), hosts)
        await connection.execute(_all_but_newest(KEPT_WITHOUT_SCRIPT_OF_HOST, and_(mine, _IS_WITHOUT_SCRIPT)), hosts)
    if macs := [{"subject": mac} for mac in sorted({boot.mac for boot in boots if boot.host is None})]:
        mine = and_(_UNREGISTERED, _BOOTS.c.mac == bindparam("subject"))
        await connection.execute(_all_but_newest(KEPT_OF_UNREGISTERED, mine), macs)
        await connection.execute(_all_but_newest(KEPT_UNREGISTERED, _UNREGISTERED))


def _all_but_newest(count: int, wanted: ColumnElement[bool]) -> Any:
    oldest = select(_BOOTS.c.began_at).where(wanted).order_by(_BOOTS.c.began_at.desc()).offset(count).limit(1)
    return delete(_BOOTS).where(wanted, _BOOTS.c.began_at <= oldest.scalar_subquery())
