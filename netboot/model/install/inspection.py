"""The inspection of one network card's machine: requested, begun with a medium, and reported. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from netboot.model.host.hardware import Hardware
from netboot.model.host.mac import Mac


@dataclass(frozen=True, slots=True)
class Inspection:
    """Its last inspection, and whether an operator requests another. `token` opens the running one; empty: none."""

    mac: Mac
    requested_at: datetime | None = None  # by an operator, and not begun since
    medium: str | None = None  # with which the last one began
    begun_at: datetime | None = None
    reported_at: datetime | None = None
    token: str = field(default="", repr=False)
    hardware: Hardware | None = None  # as it was reported last

    @property
    def is_requested(self) -> bool:
        return self.requested_at is not None

    def requested(self, at: datetime) -> "Inspection":
        """Return it with a request for one more inspection."""
        return replace(self, requested_at=at)

    def withdrawn(self) -> "Inspection":
        """Return it without that request."""
        return replace(self, requested_at=None)

    def begun(self, medium: str, token: str, *, at: datetime) -> "Inspection":
        """Return it as it is when the machine boots `medium` for an inspection; an earlier token is spent."""
        return replace(self, requested_at=None, medium=medium, begun_at=at, token=token)

    def reported(self, hardware: Hardware, *, at: datetime) -> "Inspection":
        """Return it with its report; its token is spent."""
        return replace(self, token="", reported_at=at, hardware=hardware)


def last_reported(inspections: Iterable[Inspection]) -> Hardware | None:
    """Return the hardware of the newest report among the cards of one machine; None if none is reported."""
    reported = ((each.reported_at, each.hardware) for each in inspections if each.reported_at is not None)
    return max(reported, key=lambda each: each[0], default=(None, None))[1]
