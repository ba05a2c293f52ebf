"""The erasure of a retired machine's disk by its next network boot: requested, begun, allowed, and its result. Pure."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac


class WipeState(StrEnum):
    REQUESTED = "requested"
    BEGUN = "begun"  # the machine was sent the script that leads to it; nothing is written
    ALLOWED = "allowed"  # the machine may write to the disk; it has not reported an end
    DONE = "done"
    REFUSED = "refused"  # by the machine's checks, or a step of it failed
    CANCELLED = "cancelled"  # by an operator, or because the machine was registered again or inspected


_OPEN = (WipeState.REQUESTED, WipeState.BEGUN, WipeState.ALLOWED)


@dataclass(frozen=True, slots=True)
class Wipe:
    """The wipe of one disk, that of the retired host `host` with the network cards `macs`. `note` is the result.

    `token` is that of the boot that began it: only this boot may come to it.
    """

    host: HostName
    macs: tuple[Mac, ...]
    disk: str | DiskRule
    state: WipeState
    at: datetime  # of `state`
    note: str = ""
    token: str = field(default="", repr=False)

    @property
    def is_open(self) -> bool:
        """Return whether its machine may still come to it, or to its end."""
        return self.state in _OPEN

    def begun(self, token: str, *, at: datetime) -> "Wipe":
        """Return it as it is when a boot with this token was sent the script that leads to it."""
        return replace(self, state=WipeState.BEGUN, at=at, token=token)

    def moved(self, state: WipeState, *, at: datetime, note: str = "") -> "Wipe":
        return replace(self, state=state, at=at, note=note)
