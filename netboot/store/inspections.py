"""The table of inspections, one row for each network card. A change reads, locks and writes its rows."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, delete, select

from netboot.errors import StoreKeyError
from netboot.model.host.disk_rule import DiskChoice, DiskRule
from netboot.model.host.hardware import as_columns, from_columns
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection, OneTimeBoot
from netboot.model.install.wipe import Wipe, WipeState
from netboot.store import tables
from netboot.store.changes.notification import Changed, notify
from netboot.store.database import Database, upsert
from netboot.store.sealing.sealing import requested_digest, token_digest

_TABLE = tables.inspections


class Inspections:
    """The table of inspections. Every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Inspection]:
        """Read every inspection, the one that began longest ago first."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(_TABLE).order_by(_TABLE.c.begun_at))).mappings().all()
        return [self._inspection(row) for row in rows]

    async def of(self, macs: Collection[Mac]) -> list[Inspection]:
        """Read the inspections of these network cards."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(_TABLE).where(_TABLE.c.mac.in_(macs)))).mappings().all()
        return [self._inspection(row) for row in rows]

    async def by_token(self, token: str) -> Inspection | None:
        """Find the inspection that a token opens. StoreError also: it cannot be opened."""
        async with self._database.reading() as connection:
            mine = select(_TABLE).where(_TABLE.c.token_sha256 == requested_digest(token))
            row = (await connection.execute(mine)).mappings().first()
        found = self._inspection(row) if row else None
        if row and row["tokens"] and not (found and found.token):
            raise StoreKeyError(
                self._database.sealing.problem() or "the token of an inspection is not what netboot sealed"
            )
        return found if found and found.token == token else None

    async def change(
        self, macs: Collection[Mac], move: Callable[[Inspection], Inspection], *, creates: bool
    ) -> Sequence[Inspection]:
        """Apply `move` to the rows of these cards in one transaction; `creates`: also to cards without a row.

        Returns them as they are then. What `move` raises undoes the change.
        """
        return await self._database.finish(self._change(macs, move, creates=creates))

    async def _change(
        self, macs: Collection[Mac], move: Callable[[Inspection], Inspection], *, creates: bool
    ) -> Sequence[Inspection]:
        mine = select(_TABLE).where(_TABLE.c.mac.in_(macs)).order_by(_TABLE.c.mac).with_for_update()
        async with self._database.transaction() as connection:
            stored = [self._inspection(row) for row in (await connection.execute(mine)).mappings()]
            missing = sorted(set(macs) - {each.mac for each in stored}) if creates else []
            changed = [move(each) for each in [*stored, *(Inspection(mac) for mac in missing)]]
            if changed:
                await upsert(connection, _TABLE, [self._columns(each) for each in changed])
                await notify(connection, Changed.INSPECTION, [each.mac for each in changed])
        return changed

    async def forget(self, macs: Collection[Mac]) -> None:
        """Delete the inspections of these network cards."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(_TABLE).where(_TABLE.c.mac.in_(macs)))
            await notify(connection, Changed.INSPECTION, macs)

    def _inspection(self, row: RowMapping) -> Inspection:
        text = self._database.sealing.open(row["tokens"], _TABLE.c.tokens, row) if row["tokens"] else None
        tokens = json.loads(text) if text else {}
        return Inspection(
            mac=Mac(row["mac"]),
            requested_at=_time(row["requested_at"]),
            medium=row["medium"],
            begun_at=_time(row["begun_at"]),
            reported_at=_time(row["reported_at"]),
            token=tokens.get("token", ""),
            hardware=from_columns(row["hardware"]) if row["hardware"] is not None else None,
            kind=OneTimeBoot(row["kind"] or OneTimeBoot.INSPECT),
            requested_medium=row["requested_medium"],
            wipe=_wipe(row["wipe"], tokens.get("wipe", "")) if row["wipe"] is not None else None,
        )

    def _columns(self, inspection: Inspection) -> dict[str, Any]:
        wipe = inspection.wipe
        tokens = {"token": inspection.token, "wipe": wipe.token if wipe is not None else ""}
        sealing, row = self._database.sealing, {"mac": inspection.mac}
        return {
            "mac": inspection.mac,
            "requested_at": _text(inspection.requested_at),
            "medium": inspection.medium,
            "begun_at": _text(inspection.begun_at),
            "reported_at": _text(inspection.reported_at),
            "token_sha256": token_digest(inspection.token),
            "tokens": sealing.seal(json.dumps(tokens), _TABLE.c.tokens, row) if any(tokens.values()) else None,
            "hardware": as_columns(inspection.hardware) if inspection.hardware is not None else None,
            "kind": None if inspection.kind is OneTimeBoot.INSPECT else inspection.kind.value,
            "requested_medium": inspection.requested_medium,
            "wipe": _wipe_columns(wipe) if wipe is not None else None,
        }


def _wipe(stored: Mapping[str, Any], token: str) -> Wipe:
    return Wipe(
        host=HostName(stored["host"]),
        macs=tuple(map(Mac, stored["macs"])),
        disk=_disk(stored["disk"]),
        state=WipeState(stored["state"]),
        at=datetime.fromisoformat(stored["at"]),
        note=stored["note"],
        token=token,  # an earlier version did not write it: what it began is not continued
    )


def _disk(stored: str | Mapping[str, Any]) -> str | DiskRule:
    if isinstance(stored, str):
        return stored
    choose = stored["choose"]
    return DiskRule(**{**stored, "choose": DiskChoice(choose) if choose else None})


def _wipe_columns(wipe: Wipe) -> dict[str, Any]:
    return {
        "host": wipe.host,
        "macs": list(wipe.macs),
        "disk": asdict(wipe.disk) if isinstance(wipe.disk, DiskRule) else wipe.disk,
        "state": wipe.state.value,
        "at": wipe.at.isoformat(),
        "note": wipe.note,
    }


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
