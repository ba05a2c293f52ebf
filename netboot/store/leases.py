"""The table of leases; leases that arrive during a write are written together in the next one.

A lease is written by compare-and-set: another appliance on the store may have leased the address meanwhile.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from ipaddress import IPv4Address

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.model.host.mac import Mac
from netboot.model.lease import Lease, LeaseState
from netboot.store import tables
from netboot.store.changes.notification import Changed, notify
from netboot.store.database import Database, OvertakenError
from netboot.store.shared.shared_rows import ATTEMPTS, PER_QUERY, read_locked, write_read


@dataclass(frozen=True, slots=True)
class WrittenLease:
    """What is stored now, and what it replaced; `is_kept`: it is the lease that was to be written."""

    stored: Lease
    replaced: Lease | None
    is_kept: bool


@dataclass(frozen=True, slots=True)
class _Wanted:
    lease: Lease
    known: Lease | None
    written: asyncio.Future[WrittenLease]


class LeaseStore:
    """The table of leases. Every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writing = asyncio.Lock()
        self._waiting: list[_Wanted] = []
        self._next_write: asyncio.Task[None] | None = None  # of the waiting ones

    async def all(self) -> list[Lease]:
        """Read every stored lease; the bound ones last, so that they take precedence if a client had several."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(tables.leases).order_by(tables.leases.c.ends_at))).mappings()
            leases = [_lease(row) for row in rows]
        return sorted(leases, key=lambda lease: lease.state is LeaseState.BOUND)

    async def read(self, addresses: Collection[str] | None) -> list[Lease]:
        """Read the leases of these addresses, None: of all, while none is written here."""
        async with self._writing:
            if addresses is None or len(addresses) > PER_QUERY:
                return await self.all()
            mine = tables.leases.c.address.in_(sorted(addresses))
            async with self._database.reading() as connection:
                return [_lease(row) for row in (await connection.execute(select(tables.leases).where(mine))).mappings()]

    async def keep(self, lease: Lease, *, known: Lease | None) -> WrittenLease:
        """Write a lease where it may replace what is stored; it is on disk when this returns.

        `known` was stored when the lease was decided.
        """
        wanted = _Wanted(lease, known, asyncio.get_running_loop().create_future())
        self._waiting.append(wanted)
        if len(self._waiting) == 1:
            self._next_write = self._database.begin(self._write_waiting())
        return await wanted.written

    async def _write_waiting(self) -> None:
        async with self._writing:
            wanted, self._waiting = self._waiting, []
            outcomes: Sequence[WrittenLease | Exception]
            try:
                outcomes = await self._write(wanted)
            except Exception as error:  # also a fault of ours: no request waits for ever
                outcomes = [error] * len(wanted)
            for each, outcome in zip(wanted, outcomes, strict=True):
                if each.written.done():  # its caller was cancelled
                    continue
                if isinstance(outcome, WrittenLease):
                    each.written.set_result(outcome)
                else:
                    each.written.set_exception(outcome)

    async def _write(self, wanted: Sequence[_Wanted]) -> Sequence[WrittenLease]:
        for _attempt in range(ATTEMPTS):
            with suppress(OvertakenError):
                async with self._database.transaction() as connection:
                    return await _compare_and_set(connection, wanted)
        raise StoreError(f"cannot store {len(wanted)} leases: other appliances stored leases meanwhile; try again")


async def _compare_and_set(connection: AsyncConnection, wanted: Sequence[_Wanted]) -> list[WrittenLease]:
    """Write what may replace the stored leases, in the order of `wanted`; raise OvertakenError."""
    addresses = {str(each.lease.address) for each in wanted}
    found = await read_locked(connection, tables.leases.c.address, addresses)
    before = {address: _lease(row) for address, row in found.items()}
    after, written = dict(before), []
    for each in wanted:
        address, lease = str(each.lease.address), each.lease
        replaced = after.get(address)
        is_kept = lease.may_replace(replaced, known=each.known)
        stored = after[address] = lease if is_kept or replaced is None else replaced
        written.append(WrittenLease(stored, replaced, is_kept))
    changed = {address: _columns(lease) for address, lease in after.items() if before.get(address) != lease}
    if changed:
        await write_read(connection, tables.leases, changed, read=before)
        await notify(connection, Changed.LEASE, changed)
    return written


def _columns(lease: Lease) -> dict[str, str | int | None]:
    return {**asdict(lease), "address": str(lease.address), "ends_at": lease.ends_at.isoformat()}


def _lease(row: RowMapping) -> Lease:
    return Lease(
        address=IPv4Address(row["address"]),
        client=row["client"],
        mac=Mac(row["mac"]) if row["mac"] else None,
        state=LeaseState(row["state"]),
        lease_s=row["lease_s"],
        ends_at=datetime.fromisoformat(row["ends_at"]),
    )
