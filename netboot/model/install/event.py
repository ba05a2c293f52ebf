"""An event: emitted once to the log, the store and the clients that follow a boot."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac


class Step(StrEnum):
    """The steps of one boot in the order of its timeline."""

    OFFER = "offer"
    PXE_REQUEST = "pxe-request"  # on port 4011; not every firmware sends it
    LOADER = "loader"
    SCRIPT = "script"
    KERNEL = "kernel"
    INITRD = "initrd"
    KICKSTART = "kickstart"
    STAGE2 = "stage2"
    CHECKS = "checks"  # of the machine, before the disk is written
    INSTALLING = "installing"
    OSTREE = "ostree"  # data: percent
    POST = "post"  # the Kickstart's %post began
    INSTALLED = "installed"
    LOCAL_BOOT = "local-boot"
    IGNITION = "ignition"
    READY = "ready"
    FAILED = "failed"


@dataclass(slots=True)  # made for most offers; a frozen one takes twice as long
class Event:
    """One fact with its time. `name` is `area.past_participle`, as in the log and in docs/events.md."""

    name: str
    at: datetime
    host: HostName | None = None
    mac: Mac | None = None
    step: Step | None = None
    data: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    id: int = 0  # given by the store, increasing; 0 before


def data_text(data: Mapping[str, object]) -> str:
    """Write the data of an event in one line, without what it does not have."""
    return ", ".join(f"{key} {value}" for key, value in data.items() if value is not None)


def actor_in(data: Mapping[str, object]) -> str | None:
    """Return who caused an event: the actor of a request, or the user of a login; None if it was a machine."""
    actor = data.get("actor") or data.get("user")
    return None if actor is None else str(actor)


def event_fields(event: Event) -> dict[str, Any]:
    """Return an event as the API and the hooks show it, in values of JSON."""
    return {
        "id": event.id,
        "at": event.at.isoformat(),
        "event": event.name,
        "host": event.host,
        "mac": event.mac,
        "step": event.step,
        "data": dict(event.data),
    }
