"""The rows of the table of events, and the names that earlier versions stored."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping

from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step, actor_in

# Names, keys and reasons that earlier versions stored.
_RENAMED: Final = {"boot.shape_moved": "boot.variant_changed", "boot.shape_kept": "boot.variant_learned"}
_STEPS: Final = frozenset(Step)
_RENAMED_KEYS: Final = {"shape": "variant"}
_RENAMED_REASONS: Final = {
    "stranger": "unauthorised-address",
    "no-reply-shape": "no-reply-variant",
    "ledger-unreachable": "store-unreachable",
}


def columns_of(event: Event) -> dict[str, Any]:
    """Return the row of an event; `actor` is apart from the other data, so that it has an index."""
    return {
        "at": event.at.isoformat(),
        "name": event.name,
        "host": event.host,
        "mac": event.mac,
        "step": event.step,
        "data": dict(event.data),
        "actor": actor_in(event.data),
    }


def event_of(row: RowMapping) -> Event:
    """Return the event of a row."""
    data = {_RENAMED_KEYS.get(key, key): value for key, value in row["data"].items()}
    if data.get("reason") in _RENAMED_REASONS:
        data["reason"] = _RENAMED_REASONS[data["reason"]]
    return Event(
        id=row["id"],
        at=datetime.fromisoformat(row["at"]),
        name=current_name(row["name"]),
        host=HostName(row["host"]) if row["host"] else None,
        mac=Mac(row["mac"]) if row["mac"] else None,
        step=Step(row["step"]) if row["step"] in _STEPS else None,  # a newer version may have others
        data=data,
    )


def current_name(stored: str) -> str:
    """Return the name that a stored one has today."""
    return _RENAMED.get(stored, stored)


def stored_names(names: Collection[str]) -> list[str]:
    """Return the names under which events of these names may be stored."""
    return sorted({*names, *(old for old, new in _RENAMED.items() if new in names)})
