"""The types of what `json_views` writes, from the types of the results that it converts.

A dataclass is written as its fields. Each type that is written otherwise has its fields here, as `json_views` has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Any, Final, Literal, NotRequired, Union, get_args, get_origin

from typing_extensions import TypedDict, get_type_hints, is_typeddict

from netboot.content.library.uploads import Upload
from netboot.model.access.accounts import LoginSession
from netboot.model.actor import Source
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.boot_progress import BootProgress
from netboot.model.boot.boot_record import BootRecord, BootStep
from netboot.model.boot.causes.cause import Cause
from netboot.model.boot.expected_durations import Wait
from netboot.model.boot.other_server import OtherServer
from netboot.model.host.firmware import LocalBoot
from netboot.model.host.hardware import Hardware, InspectedCard, InspectedDisk
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.host.role_ignition import Deadline
from netboot.model.install.checks import InstallCheck
from netboot.model.install.event import Event, Step
from netboot.model.install.inspection import Inspection, RequestedBoot
from netboot.model.install.install import InstallState, Move
from netboot.model.install.machine_identity import HoldReason, Identity, RecordedIdentity
from netboot.model.power.power import PowerIntent
from netboot.operate.actions.host_verbs import HostAction
from netboot.operate.boots.boot_history import ShownBoot
from netboot.operate.boots.boot_waits import WaitStatus
from netboot.operate.content_uses import ContentUse
from netboot.operate.host_status import (
    ArmedHost,
    Blocked,
    CancelledInstall,
    ConfirmedInstall,
    DiscoveredMachine,
    HostReport,
    HostStatus,
    InstallReport,
    InstallStatus,
)
from netboot.operate.planning.explanation import HostExplanation, SourcedValue, ValueOrigin, WrittenValues
from netboot.operate.planning.next_boot import NextBoot
from netboot.operate.running_daemon import ApplianceStatus, DaemonStatus

Fields = Mapping[str, Any]


class ShownArming(TypedDict):
    """The permission to install a host once, what it is bound to, and why it no longer fits the host."""

    at: datetime
    reason: str
    attempts: int
    spent: int
    left: int
    macs: Sequence[Mac]
    disk: str | None
    release: str | None
    commit: str | None
    changes: Sequence[str]


class ShownHold(TypedDict):
    """Why an armed install waits for a person, and what its machine showed. `id` is what a person confirms."""

    id: str
    reason: HoldReason
    since: datetime
    shown: Identity
    expected: Identity | None
    sentence: str
    cure: str


class ShownReason(TypedDict):
    """Why the machine of a host did not proceed."""

    at: datetime
    reason: str


def _fields(found: type, *without: str) -> dict[str, Any]:
    """Return the types of the fields of a dataclass, without those that are never shown."""
    hints = get_type_hints(found)
    return {each.name: hints[each.name] for each in fields(found) if each.repr and each.name not in without}


def _known(found: type, *always: str) -> dict[str, Any]:
    """Return the types of the fields of which only what is known is written."""
    hints = {name: _without_none(hint) for name, hint in get_type_hints(found).items()}
    return {name: hint if name in always else NotRequired[hint] for name, hint in hints.items()}


def _without_none(hint: Any) -> Any:
    return (
        next((each for each in get_args(hint) if each is not type(None)), hint)
        if type(None) in get_args(hint)
        else hint
    )


_INSTALL: Final[Fields] = {
    "host": str,
    "state": InstallState,
    "changed_at": datetime | None,
    "armed": bool,
    "arming": ShownArming | None,
    "declared": bool,
    "hold": ShownHold | None,
    "machine": RecordedIdentity | None,
}
_PROGRESS: Final[Fields] = {
    "reason": str | None,
    "blocked": Blocked | None,
    "cause": Cause | None,
    "wait": WaitStatus | None,
    "checks": Sequence[InstallCheck],
    "deadlines": Sequence[Deadline],
    "next_boot": RequestedBoot | None,
}
_HEARD: Final[Fields] = {
    "last_heard": datetime | None,
    "last_offer": dict[str, Any] | None,
    "last_reason": ShownReason | None,
    "disks": Sequence[str],
}
_HOST: Final[Fields] = _fields(Host, "faults")
_WRITTEN: Final[Mapping[type, Fields]] = {
    HostStatus: {**_HOST, "install": InstallStatus, "next_boot": RequestedBoot | None, "wait": WaitStatus | None},
    HostReport: {
        **_HOST,
        "install": InstallReport,
        **_PROGRESS,
        **_HEARD,
        "machines": Sequence[Machine],
        "inspections": Sequence[Inspection],
    },
    InstallStatus: _INSTALL,
    InstallReport: {**_INSTALL, **_PROGRESS, "local_boots": Mapping[str, LocalBoot]},
    DiscoveredMachine: {**_fields(Machine), "inspection": Inspection | None},
    ArmedHost: {
        **_INSTALL,
        "boot_media": str | None,
        "reasons": Sequence[str],
        "warnings": Sequence[str],
        "deadlines": Sequence[Deadline],
    },
    CancelledInstall: {**_INSTALL, "notes": Sequence[str]},
    ConfirmedInstall: {**_INSTALL, "confirmed": ShownHold},
    ApplianceStatus: {
        **_fields(DaemonStatus, "records"),
        "records": NotRequired[get_type_hints(DaemonStatus)["records"]],
        "last_event_id": NotRequired[int],
        "store": NotRequired[str],
    },
    ShownBoot: {
        **_fields(BootRecord),
        "waits_for": Step | None,
        "inactive": bool,
        "wait": WaitStatus | None,
        "retries": int,
        "number": int | None,
        "boots": int | None,
        "progress": BootProgress | None,
    },
    BootStep: {**_fields(BootStep), "bytes_per_s": float | None},
    Cause: _fields(Cause, "reason"),
    WaitStatus: {**_fields(Wait), "overdue": bool},
    Move: {
        "at": datetime,
        "what": str,
        "from": InstallState,
        "to": InstallState,
        "reason": str | None,
        "note": str,
        "disks": Sequence[str],
        "actor": str | None,
        "source": Source | None,
    },
    Event: {"id": int, "at": datetime, "event": str, **_fields(Event, "name", "at", "id")},
    ContentUse: {**_fields(ContentUse), "host": str | None},
    OtherServer: {**_fields(OtherServer), "takes_boots": bool, "sentence": str, "cure": str},
    Hardware: {**_known(Hardware), "disks": Sequence[InspectedDisk], "cards": Sequence[InspectedCard]},
    InspectedDisk: _known(InspectedDisk, "name"),
    InspectedCard: _known(InspectedCard, "name"),
    SourcedValue: {
        "key": str,
        "value": Any,
        "from": Sequence[ValueOrigin],
        "overrides": Sequence[ValueOrigin],
        "recorded_at": NotRequired[datetime | None],
    },
    HostExplanation: {"host": str, **_fields(WrittenValues), "install": InstallReport | None, **_fields(NextBoot)},
    Upload: _fields(Upload, "metadata"),
    HostAction: {**_fields(HostAction), "refusal": str | None},
    PowerIntent: {**_fields(PowerIntent, "actor", "owner"), "actor": str, "source": Source},
    LoginSession: {"id": str, **_fields(LoginSession), "ends_at": datetime},
}


def written_as(found: Any) -> Any:
    """Return the type of what is written for a value of this type."""
    if isinstance(found, type) and (found in _WRITTEN or is_dataclass(found) or is_typeddict(found)):
        return _table(found)
    if isinstance(found, type) and issubclass(found, str) and not issubclass(found, Enum):
        return str
    if hasattr(found, "__supertype__"):  # a NewType
        return written_as(found.__supertype__)
    origin = get_origin(found)
    if origin is None or origin is Literal:
        return found
    arguments = tuple(map(written_as, get_args(found)))
    if origin in (Union, UnionType):
        return reduce(or_, arguments)
    return origin[arguments if len(arguments) > 1 else arguments[0]]


@cache
def _table(found: type) -> Any:
    hints = _WRITTEN.get(found) or (
        _fields(found) if is_dataclass(found) else get_type_hints(found, include_extras=True)
    )
    make: Any = TypedDict
    table = make(found.__name__, {name: written_as(hint) for name, hint in hints.items()})
    is_written = not str(found.__doc__).startswith(f"{found.__name__}(")  # by a person, not by `dataclass`
    table.__doc__ = found.__doc__ if is_written else None
    return table
