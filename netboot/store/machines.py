"""The table of machines that sent requests, registered or not, with their addresses. Written later, in batches.

What several appliances on one store see of a machine is merged.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from ipaddress import IPv4Address
from itertools import chain, islice
from typing import Any

import structlog
from sqlalchemy import RowMapping, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.errors import StoreError
from netboot.model.boot.boot_client import Machine, RelayPath
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.firmware import LocalBoot
from netboot.model.host.mac import Mac
from netboot.store import tables
from netboot.store.changes.notification import Changed, notify
from netboot.store.database import Database, OvertakenError, burst_ended
from netboot.store.shared.merged_machine import merged
from netboot.store.shared.shared_rows import ATTEMPTS, read_locked, write_read

WRITE_EVERY_S = 0.5
RETRY_S = 1.0
MOST_WAITING = 10_000  # then a burst is written before its end
MOST_GONE = 100_000  # while the store fails; stored machines are forgotten first, those of a flood later
_FACTS = frozenset(MachineFact)  # a newer version may store others
MACS_PER_TRANSACTION = 200  # two milliseconds of the loop, in which no datagram is answered

log = structlog.get_logger()


class Machines:
    """The table of machines. The current state is in the caller's memory; this copy survives a restart."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed: dict[Mac, Machine] = {}
        self._before: dict[Mac, Machine | None] = {}  # as those were before their changes that wait
        self._gone: set[Mac] = set()
        self._is_delayed = False  # the store did not accept the last write
        self._has_work = asyncio.Event()
        self._writing = asyncio.Lock()

    @property
    def waiting_count(self) -> int:
        """How many changes wait to be written."""
        return len(self._changed) + len(self._gone)

    async def all(self) -> Mapping[Mac, Machine]:
        """Read every stored machine, the longest unseen first."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(tables.machines).order_by(tables.machines.c.last_seen))).mappings()
            return {Mac(row["mac"]): _machine(row) for row in rows}

    async def of(self, macs: Iterable[Mac]) -> list[Machine]:
        """Read the machines with these network cards that are stored, the longest unseen first."""
        mine = tables.machines.c.mac.in_(list(macs))
        query = select(tables.machines).where(mine).order_by(tables.machines.c.last_seen)
        async with self._database.reading() as connection:
            return [_machine(row) for row in (await connection.execute(query)).mappings()]

    async def changed(self, macs: Collection[str] | None) -> list[Machine]:
        """Read the machines with these cards, None: all, with the changes that wait to be written; raise StoreError."""
        async with self._writing:
            stored = await self.of(map(Mac, macs)) if macs is not None else (await self.all()).values()
            waiting = self._changed
            return [
                merged(each, self._before.get(each.mac), waiting[each.mac]) if each.mac in waiting else each
                for each in stored
                if each.mac not in self._gone
            ]

    def keep(self, machine: Machine, before: Machine | None = None) -> None:
        """Store the current state of a machine, which was `before`; it is written shortly after."""
        self._before.setdefault(machine.mac, before)
        self._changed[machine.mac] = machine
        self._gone.discard(machine.mac)
        self._has_work.set()

    def forget(self, mac: Mac) -> None:
        """Delete a machine; it is deleted shortly after."""
        self._changed.pop(mac, None)
        self._before.pop(mac, None)
        if len(self._gone) < MOST_GONE:
            self._gone.add(mac)
        self._has_work.set()

    async def run(self) -> None:
        """Write stored states until cancelled; then write the rest once."""
        try:
            while True:
                await self._has_work.wait()
                await asyncio.sleep(WRITE_EVERY_S)
                await burst_ended(lambda: len(self._changed), most=MOST_WAITING)
                await asyncio.shield(self.flush())  # a running write ends; the last flush waits for it
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write all states stored before this call, or keep them for later if the store does not accept them."""
        async with self._writing:  # another call's write has also ended when this one returns
            self._has_work.clear()
            kept, self._changed = self._changed, {}
            before, self._before = self._before, {}
            gone, self._gone = self._gone, set()
            unwritten = [*kept, *gone]
            try:
                while unwritten:
                    await self._write(unwritten[:MACS_PER_TRANSACTION], kept, before)
                    del unwritten[:MACS_PER_TRANSACTION]
            except StoreError as error:
                left = {mac: kept[mac] for mac in unwritten if mac in kept and mac not in self._gone}
                self._changed = left | self._changed
                self._before |= {mac: before.get(mac) for mac in left}
                left_gone = (mac for mac in unwritten if mac not in self._changed)
                self._gone = set(islice(chain(left_gone, self._gone), MOST_GONE))
                self._has_work.set()
                if not self._is_delayed:
                    log.warning("store.machines_delayed", waiting=len(self._changed), reason=str(error))
                self._is_delayed = True
            else:
                self._is_delayed = self._is_delayed and not kept and not gone

    async def close(self) -> None:
        """Write the rest; log how many are lost if the store does not accept them at the second attempt."""
        await self.flush()
        if self._changed or self._gone:
            await asyncio.sleep(RETRY_S)
            await self.flush()
        if lost := len(self._changed) + len(self._gone):
            log.error("store.machines_lost", count=lost)

    async def _write(
        self, macs: Sequence[Mac], kept: Mapping[Mac, Machine], before: Mapping[Mac, Machine | None]
    ) -> None:
        for _attempt in range(ATTEMPTS):
            with suppress(OvertakenError):
                async with self._database.transaction() as connection:
                    return await _write(connection, macs, kept, before)
        raise StoreError(f"cannot store {len(macs)} machines: other appliances stored them meanwhile")


async def _write(
    connection: AsyncConnection, macs: Sequence[Mac], kept: Mapping[Mac, Machine], before: Mapping[Mac, Machine | None]
) -> None:
    """Write what changed of machines to what other appliances have stored of them; delete the others."""
    table = tables.machines
    found = await read_locked(connection, table.c.mac, macs)
    if gone := [mac for mac in macs if mac not in kept]:
        await connection.execute(delete(table).where(table.c.mac.in_(gone)))
    rows = dict[str, Mapping[str, Any]]()
    for mac in macs:
        if (machine := kept.get(mac)) is not None:
            stored = merged(_machine(found[mac]), before.get(mac), machine) if mac in found else machine
            rows[mac] = _columns(stored)
    await write_read(connection, table, rows, read=found)
    await notify(connection, Changed.MACHINE, macs)


def _machine(row: RowMapping) -> Machine:
    return Machine(
        mac=Mac(row["mac"]),
        first_seen=datetime.fromisoformat(row["first_seen"]),
        last_seen=datetime.fromisoformat(row["last_seen"]),
        arch=row["arch"],
        vendor_class=row["vendor_class"],
        uuid=row["uuid"],
        addresses=tuple(IPv4Address(address) for address in row["addresses"]),
        variants=row["shapes"] or {},
        facts={MachineFact(name): text for name, text in (row["facts"] or {}).items() if name in _FACTS},
        first_path=_path(row["first_path"]),
        last_path=_path(row["last_path"]),
        local_boots={
            firmware: known
            for firmware, stored in (row["local_boots"] or {}).items()
            if (known := LocalBoot.from_json(stored)) is not None
        },
    )


def _path(stored: Mapping[str, str] | None) -> RelayPath | None:
    if not stored:
        return None
    relay = stored["relay"]
    return RelayPath(IPv4Address(relay) if relay else None, stored["circuit_id"], stored["remote_id"])


def _path_columns(path: RelayPath | None) -> dict[str, str] | None:
    if path is None:
        return None
    return {"relay": str(path.relay or ""), "circuit_id": path.circuit_id, "remote_id": path.remote_id}


def _columns(machine: Machine) -> dict[str, Any]:
    return {
        "mac": machine.mac,
        "first_seen": machine.first_seen.isoformat(),
        "last_seen": machine.last_seen.isoformat(),
        "arch": machine.arch,
        "vendor_class": machine.vendor_class,
        "uuid": machine.uuid,
        "addresses": [str(address) for address in machine.addresses],
        "shapes": dict(machine.variants),
        "facts": dict(machine.facts),
        "first_path": _path_columns(machine.first_path),
        "last_path": _path_columns(machine.last_path),
        "local_boots": {name: known.as_json() for name, known in machine.local_boots.items()} or None,
    }
