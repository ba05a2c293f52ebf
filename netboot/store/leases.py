"""The table of leases: one row per address, on disk before the client gets its reply.

Simultaneous requests share writes: leases that arrive during a write are written together in the next one.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address

from sqlalchemy import RowMapping, select

from netboot.errors import StoreError
from netboot.model.host.mac import Mac
from netboot.model.lease import Lease, LeaseState
from netboot.store import tables
from netboot.store.database import Database, upsert


@dataclass(slots=True)
class _Batch:
    leases: dict[IPv4Address, Lease] = field(default_factory=dict)
    is_written: bool = False
    error: StoreError | None = None


class LeaseStore:
    """The table of leases. Every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writing = asyncio.Lock()
        self._next = _Batch()

    async def all(self) -> list[Lease]:
        """Read every stored lease; the bound ones last, so that they take precedence if a client had several."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(tables.leases).order_by(tables.leases.c.ends_at))).mappings()
            leases = [_lease(row) for row in rows]
        return sorted(leases, key=lambda lease: lease.state is LeaseState.BOUND)

    async def keep(self, lease: Lease) -> None:
        """Write a lease; it is on disk when this returns."""
        batch = self._next
        batch.leases[lease.address] = lease
        async with self._writing:
            if batch is self._next:
                self._next = _Batch()
                try:
                    await self._database.finish(self._write(batch.leases))
                    batch.is_written = True
                except StoreError as error:
                    batch.error = error
        if not batch.is_written:
            raise batch.error or StoreError("the write of a lease was cancelled; the client requests again")

    async def _write(self, leases: dict[IPv4Address, Lease]) -> None:
        async with self._database.transaction() as connection:
            await upsert(connection, tables.leases, [_columns(lease) for lease in leases.values()])


def _columns(lease: Lease) -> dict[str, str | int | None]:
    return {
        "address": str(lease.address),
        "client": lease.client,
        "mac": lease.mac,
        "state": lease.state.value,
        "lease_s": lease.lease_s,
        "ends_at": lease.ends_at.isoformat(),
    }


def _lease(row: RowMapping) -> Lease:
    return Lease(
        address=IPv4Address(row["address"]),
        client=row["client"],
        mac=Mac(row["mac"]) if row["mac"] else None,
        state=LeaseState(row["state"]),
        lease_s=row["lease_s"],
        ends_at=datetime.fromisoformat(row["ends_at"]),
    )
