"""The columns of a boot's record in the table of boots. Fields that have their default are left out of `record`."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping

from netboot.model.boot.boot_record import BootEnd, BootFacts, BootPlan, BootRecord, BootStep, BrokenTransfer
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step

_COLUMNS: Final = frozenset({"host", "mac", "began_at", "last_at", "plan", "end", "ended_at"})


def columns_of(boot: BootRecord) -> dict[str, Any]:
    """Return the row of a boot."""
    return {
        "mac": boot.mac,
        "began_at": boot.began_at.isoformat(),
        "host": boot.host,
        "last_at": boot.last_at.isoformat(),
        "plan": boot.plan.value,
        "ended_with": boot.end.value if boot.end is not None else None,
        "ended_at": boot.ended_at.isoformat() if boot.ended_at is not None else None,
        "record": {name: value for name, value in _set_fields(boot).items() if name not in _COLUMNS},
    }


def boot_of(row: RowMapping) -> BootRecord:
    """Return the boot of a row."""
    record = row["record"]
    return BootRecord(
        host=HostName(row["host"]) if row["host"] else None,
        mac=Mac(row["mac"]),
        began_at=datetime.fromisoformat(row["began_at"]),
        last_at=datetime.fromisoformat(row["last_at"]),
        loader=LoaderKind(record.get("loader", LoaderKind.UNKNOWN)),
        facts=BootFacts(**record.get("facts", {})),
        plan=BootPlan(row["plan"]),
        reason=record.get("reason", ""),
        steps=tuple(map(_step, record.get("steps", ()))),
        skipped=frozenset(map(Step, record.get("skipped", ()))),
        is_installed=record.get("is_installed", False),
        overdue=frozenset(map(Step, record.get("overdue", ()))),
        broken=_broken(record["broken"]) if "broken" in record else None,
        end=BootEnd(row["ended_with"]) if row["ended_with"] else None,
        ended_at=datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else None,
    )


def _set_fields(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that have not their default, as values of JSON."""
    found = {each.name: (getattr(value, each.name), each.default) for each in fields(value)}
    return {name: _plain(field) for name, (field, default) in found.items() if default is MISSING or field != default}


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case tuple():
            return [_set_fields(each) for each in value]
        case frozenset():
            return sorted(value)
        case BootFacts() | BrokenTransfer():
            return _set_fields(value)
        case _:
            return value


def _step(stored: Mapping[str, Any]) -> BootStep:
    times = {name: datetime.fromisoformat(stored[name]) for name in ("at", "last_at")}
    return BootStep(**{**stored, **times, "step": Step(stored["step"])})


def _broken(stored: Mapping[str, Any]) -> BrokenTransfer:
    return BrokenTransfer(**{**stored, "step": Step(stored["step"]), "at": datetime.fromisoformat(stored["at"])})
