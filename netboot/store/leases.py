"""The table of leases; leases that arrive during a write are written together in the next one."""

import asyncio
from dataclasses import asdict
from datetime import datetime
from ipaddress import IPv4Address

from sqlalchemy import RowMapping, select

from netboot.model.host.mac import Mac
from netboot.model.lease import Lease, LeaseState
from netboot.store import tables
from netboot.store.database import Database, upsert


class LeaseStore:
    """The table of leases. Every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writing = asyncio.Lock()
        self._waiting: dict[IPv4Address, Lease] = {}
        self._next_write: asyncio.Future[None] | None = None  # of the waiting ones

    async def all(self) -> list[Lease]:
        """Read every stored lease; the bound ones last, so that they take precedence if a client had several."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(tables.leases).order_by(tables.leases.c.ends_at))).mappings()
            leases = [_lease(row) for row in rows]
        return sorted(leases, key=lambda lease: lease.state is LeaseState.BOUND)

    async def keep(self, lease: Lease) -> None:
        """Write a lease; it is on disk when this returns."""
        self._waiting[lease.address] = lease
        if self._next_write is None:
            self._next_write = asyncio.ensure_future(self._database.finish(self._write_waiting()))
        await asyncio.shield(self._next_write)

    async def _write_waiting(self) -> None:
        async with self._writing:
            leases, self._waiting, self._next_write = self._waiting, {}, None
            async with self._database.transaction() as connection:
                await upsert(connection, tables.leases, [_columns(lease) for lease in leases.values()])


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
