"""The table of the addresses that hosts have from pools. An address is a key: two daemons cannot give it twice."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import delete, insert, inspect, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.model.host.address_pool import Allocation, IpAddress, RecordedAddress
from netboot.model.host.host import HostName
from netboot.store import tables
from netboot.store.database import Database, OvertakenError


class Allocations:
    """The table of recorded addresses. Every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Mapping[IpAddress, RecordedAddress]:
        """Read every recorded address, also those of hosts that no longer use them."""
        async with self._database.reading() as connection:
            rows = await connection.execute(select(tables.allocations))
            found = [RecordedAddress.parse(row.address, row.host, row.at) for row in rows]
        return {record.address: record for record in found}

    async def all_if_made(self) -> Mapping[IpAddress, RecordedAddress]:
        """As `all`; none if an earlier version made the store, which has no table of them."""
        async with self._database.reading() as connection:
            is_made = await connection.run_sync(lambda reader: inspect(reader).has_table(tables.allocations.name))
        return await self.all() if is_made else {}

    async def record(self, allocations: Sequence[Allocation], *, at: datetime) -> bool:
        """Record each address for its host, all of them or none.

        Returns False if another writer changed what is recorded about one of them since it was read.
        """
        new = [allocation for allocation in allocations if not allocation.is_recorded]
        if not new:
            return True
        with suppress(OvertakenError):
            async with self._database.transaction() as connection:
                await _write(connection, new, at.isoformat())
            return True
        return False

    async def release(self, host: HostName) -> list[IpAddress]:
        """Delete what is recorded for a host, so that others can be given it; return its addresses."""
        table = tables.allocations
        async with self._database.transaction() as connection:
            rows = await connection.execute(select(table).where(table.c.host == host).with_for_update())
            found = [RecordedAddress.parse(row.address, row.host, row.at).address for row in rows]
            if found:
                await connection.execute(delete(table).where(table.c.host == host))
        return sorted(found, key=lambda address: (address.version, int(address)))


async def _write(connection: AsyncConnection, new: Sequence[Allocation], at: str) -> None:
    table = tables.allocations
    rows = [{"address": str(each.address), "host": each.host, "at": at} for each in new if each.recorded is None]
    if rows:
        try:
            await connection.execute(insert(table), rows)
        except IntegrityError as error:
            raise OvertakenError from error
    for each in new:
        if each.recorded is not None:
            is_unchanged = (table.c.address == str(each.address)) & (table.c.host == each.recorded.host)
            changed = await connection.execute(update(table).where(is_unchanged).values(host=each.host, at=at))
            if changed.rowcount != 1:
                raise OvertakenError
