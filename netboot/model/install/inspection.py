"""What one network card's machine boots once: requested by an operator, begun, and reported. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from netboot.model.host.hardware import Hardware
from netboot.model.host.mac import Mac
from netboot.model.install.wipe import Wipe, WipeState

INSPECTED_INSTEAD: Final = "its machine was inspected before it reported the end of the wipe"


class OneTimeBoot(StrEnum):
    """What an operator requests for one network boot of a machine."""

    INSPECT = "inspect"  # it reports its hardware and writes no disk
    RESCUE = "rescue"  # of a host: Anaconda's rescue mode
    WIPE = "wipe"  # of a retired host's machine: it erases one disk


@dataclass(frozen=True, slots=True)
class RequestedBoot:
    """A request that no boot has spent. `medium` is None for an inspection, whose medium is chosen at its boot."""

    kind: OneTimeBoot
    requested_at: datetime
    medium: str | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """Its last inspection, and what an operator requests for its next boot.

    `token` opens the running inspection or wipe; empty: none.
    """

    mac: Mac
    requested_at: datetime | None = None  # by an operator, and not begun since
    medium: str | None = None  # with which the last inspection or wipe began
    begun_at: datetime | None = None
    reported_at: datetime | None = None
    token: str = field(default="", repr=False)
    hardware: Hardware | None = None  # as it was reported last
    kind: OneTimeBoot = OneTimeBoot.INSPECT  # of the request
    requested_medium: str | None = None  # of the request
    wipe: Wipe | None = None  # the last one of this machine

    @property
    def request(self) -> RequestedBoot | None:
        if self.requested_at is None:
            return None
        return RequestedBoot(self.kind, self.requested_at, self.requested_medium)

    @property
    def is_requested(self) -> bool:
        return self.requested_at is not None

    @property
    def requested_wipe(self) -> Wipe | None:
        """The wipe that the next boot of this card begins; None: it begins none."""
        return self.wipe if self.is_requested and self.kind is OneTimeBoot.WIPE else None

    @property
    def running_wipe(self) -> Wipe | None:
        """The wipe that the boot with `token` began; None: that boot is an inspection, or its wipe has ended."""
        wipe = self.wipe
        return wipe if wipe is not None and wipe.is_open and self.token and wipe.token == self.token else None

    def requested(self, at: datetime) -> "Inspection":
        """Return it with a request for one more inspection."""
        return replace(self.withdrawn(), requested_at=at)

    def rescue_requested(self, medium: str, *, at: datetime) -> "Inspection":
        """Return it with a request for one boot of the rescue mode of `medium`."""
        return replace(self.withdrawn(), requested_at=at, kind=OneTimeBoot.RESCUE, requested_medium=medium)

    def wipe_requested(self, wipe: Wipe, medium: str) -> "Inspection":
        """Return it with a request for one boot of `medium` that wipes a disk."""
        wanted = replace(self, kind=OneTimeBoot.WIPE, requested_medium=medium)
        return replace(wanted, requested_at=wipe.at, token="", wipe=wipe)

    def withdrawn(self) -> "Inspection":
        """Return it without a request."""
        return replace(self, requested_at=None, kind=OneTimeBoot.INSPECT, requested_medium=None)

    def begun(self, medium: str, token: str, *, at: datetime) -> "Inspection":
        """Return it as it is when the machine boots `medium` for an inspection or wipe; an earlier token is spent.

        An inspection ends a wipe that has no result, because the new token must not lead to it.
        """
        if (requested := self.requested_wipe) is not None:
            wipe: Wipe | None = requested.begun(token, at=at)
        else:
            wipe = self.wipe_ended(WipeState.CANCELLED, INSPECTED_INSTEAD, at=at).wipe
        return replace(self.withdrawn(), medium=medium, begun_at=at, token=token, wipe=wipe)

    def reported(self, hardware: Hardware, *, at: datetime) -> "Inspection":
        """Return it with its report; its token is spent."""
        return replace(self, token="", reported_at=at, hardware=hardware)

    def wipe_allowed(self, hardware: Hardware, *, at: datetime) -> "Inspection":
        """Return it as it is when its machine may write to the disk; the token remains valid for the result."""
        if (running := self.running_wipe) is None:
            return self
        return replace(self, reported_at=at, hardware=hardware, wipe=running.moved(WipeState.ALLOWED, at=at))

    def wipe_ended(self, state: WipeState, note: str, *, at: datetime) -> "Inspection":
        """Return it with the end of its open wipe, whose request and token are spent."""
        if self.wipe is None or not self.wipe.is_open:
            return self
        return replace(self.withdrawn(), token="", wipe=self.wipe.moved(state, at=at, note=note))


def last_reported(inspections: Iterable[Inspection]) -> Hardware | None:
    """Return the hardware of the newest report among the cards of one machine; None if none is reported."""
    reported = ((each.reported_at, each.hardware) for each in inspections if each.reported_at is not None)
    return max(reported, key=lambda each: each[0], default=(None, None))[1]


def requested_boot(inspections: Iterable[Inspection]) -> RequestedBoot | None:
    """Return what is requested for the next boot of a machine with these cards; None: nothing."""
    return next((each.request for each in inspections if each.request is not None), None)
