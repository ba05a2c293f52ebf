"""The situation of a host, and the cause why it does not proceed. Pure values: what a rule may read, and its result."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from netboot.model.boot.boot_client import Machine
from netboot.model.boot.boot_record import BootRecord
from netboot.model.boot.expected_durations import Wait
from netboot.model.install.event import Event
from netboot.model.install.install import Install, Move

NEWEST_EVENTS: Final = 500  # of one host, in which its cause is searched


class CauseSeverity(StrEnum):
    """How urgent a cause is."""

    ERROR = "error"  # an operator must act: the machine does not proceed by itself
    WARNING = "warning"  # the machine or netboot tries again; act if it persists
    INFO = "info"  # as intended: nothing is due


RECENT: Final = timedelta(minutes=5)  # a machine that was refused repeats its request, or boots again, until then


@dataclass(frozen=True, slots=True)
class Shortage:
    """That this appliance had too few descriptors for machines: from when on and when last, and why, with the cure."""

    since: datetime  # of this shortage: pauses of up to `RECENT` are part of it
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of a host now. `events` and `history` are the newest of the host, oldest first."""

    now: datetime
    install: Install
    events: Sequence[Event]
    history: Sequence[Move]
    record: BootRecord | None = None  # of its running or last boot
    wait: Wait | None = None  # what the boot waits for
    machine: Machine | None = None  # the card that booted
    unserved: Sequence[str] = ()  # what this appliance does not serve now: interfaces, ports
    shortage: Shortage | None = None  # of its descriptors; None: there were enough since its start

    @property
    def host(self) -> str:
        """The name of the host."""
        return self.install.host


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found in a situation. `reason` is the word of docs/events.md, if it is not the name of the cause."""

    sentence: str
    cure: str = ""
    evidence: tuple[str, ...] = ()
    since: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a host does not proceed. `name` is a row of docs/causes.md; `reason` is the word of docs/events.md."""

    name: str
    sentence: str
    evidence: tuple[str, ...]
    cure: str
    severity: CauseSeverity
    since: datetime | None = None
    reason: str = ""
