"""The record of one boot of a machine: its steps, the client, what its script decided, and how it ended. Pure values.

`boot_fold` makes it from the events of the machine.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from netboot.model.boot.loader_names import LoaderKind
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step

LONGEST_STEP: Final = timedelta(hours=4)  # beyond it the machine was off, or the clock was set
APART: Final = timedelta(seconds=30)  # of the clocks and first packets of one boot, as two appliances received them
ORDER_OF_STEPS: Final = {step: number for number, step in enumerate(Step)}


class BootPlan(StrEnum):
    """What the script of a boot does; the `plan` of `boot.script_served`."""

    UNDECIDED = ""  # it got no script yet
    INSTALL = "install"
    LOCAL_DISK = "local-disk"
    WAIT = "wait"
    INSPECT = "inspect"
    RESCUE = "rescue"
    WIPE = "wipe"


class BootEnd(StrEnum):
    READY = "ready"
    FAILED = "failed"
    LOCAL_DISK = "local-disk"  # it boots its own disk, on which no install waits for its first boot
    INSPECTED = "inspected"
    WIPED = "wiped"
    REPLACED = "replaced"  # another boot of the machine began before


@dataclass(frozen=True, slots=True)
class BootFacts:
    """What the packets of a client showed; empty where no packet did."""

    arch: str = ""
    protocol: str = ""  # how its firmware loads the first file: pxe or http
    vendor_class: str = ""
    address: str = ""  # of its last request by HTTP


@dataclass(frozen=True, slots=True)
class BootStep:
    """One step of one boot. `took_s`: from the last event of the step before until `last_at`.

    `took_s` is None for the first step, for a step out of the order of `Step`, for a script that waited for an
    operator, and beyond `LONGEST_STEP`.
    """

    step: Step
    at: datetime
    last_at: datetime  # of its last event: a pull has many
    took_s: float | None = None
    bytes: int = 0  # sent in it
    sent_s: float | None = None  # how long these bytes took
    retries: int = 0  # repeated packets or requests
    percent: int | None = None  # of a pull
    detail: str = ""  # file, plan, release, address, reason: printable, no secrets

    @property
    def bytes_per_s(self) -> float | None:
        """The rate of its bytes; None if nothing was sent, or in no measurable time."""
        return self.bytes / self.sent_s if self.bytes and self.sent_s else None


@dataclass(frozen=True, slots=True)
class BrokenTransfer:
    """The last transfer that ended before the file was sent completely; `step` is the step that it delays."""

    step: Step
    name: str
    at: datetime
    bytes: int
    size_bytes: int
    reason: str
    times: int = 1


# Steps that machines do not always show, so that none is waited for: not every firmware requests on port 4011.
_NEVER_DUE: Final = frozenset({Step.PXE_REQUEST, Step.FAILED})
_TO_THE_SCRIPT: Final = (Step.OFFER, Step.LOADER, Step.SCRIPT)
_INSTALLER: Final = (*_TO_THE_SCRIPT, Step.KERNEL, Step.INITRD, Step.STAGE2)
_FIRST_BOOT: Final = (Step.LOCAL_BOOT, Step.IGNITION, Step.READY)
_STEPS_OF: Final = {
    BootPlan.UNDECIDED: _TO_THE_SCRIPT,
    BootPlan.INSTALL: tuple(step for step in Step if step not in _NEVER_DUE),
    BootPlan.LOCAL_DISK: (),
    BootPlan.WAIT: (),
    BootPlan.INSPECT: _INSTALLER,
    BootPlan.RESCUE: _INSTALLER,
    BootPlan.WIPE: _INSTALLER,
}


@dataclass(frozen=True, slots=True)
class BootRecord:
    """One boot. `steps` are in the order in which they were reached."""

    host: HostName | None
    mac: Mac  # the card that booted
    began_at: datetime
    last_at: datetime  # of the last event that changed it
    loader: LoaderKind = LoaderKind.UNKNOWN
    facts: BootFacts = BootFacts()
    plan: BootPlan = BootPlan.UNDECIDED
    reason: str = ""  # why it waits for an operator: its script, or a document that cannot be served
    steps: tuple[BootStep, ...] = ()
    skipped: frozenset[Step] = frozenset()  # steps that this boot does not show to this appliance
    is_installed: bool = False  # an install waits on its disk for its first boot
    overdue: frozenset[Step] = frozenset()  # steps that did not come in time
    broken: BrokenTransfer | None = None
    end: BootEnd | None = None
    ended_at: datetime | None = None

    def step(self, step: Step) -> BootStep | None:
        """Return a step that was reached; None if it was not."""
        return next((each for each in self.steps if each.step is step), None)

    @property
    def furthest(self) -> BootStep | None:
        """The step that is the last one in the order of `Step`."""
        return max(self.steps, key=lambda each: ORDER_OF_STEPS[each.step], default=None)

    @property
    def waits_for(self) -> Step | None:
        """The step that follows in this boot's plan; None if the boot has ended or nothing is due."""
        if self.end is not None:
            return None
        furthest = self.furthest
        reached = ORDER_OF_STEPS[furthest.step] if furthest is not None else -1
        return next((step for step in self.due_steps() if ORDER_OF_STEPS[step] > reached), None)

    def due_steps(self) -> list[Step]:
        """List the steps that its plan has, in their order."""
        is_first_boot = self.is_installed and self.plan is BootPlan.LOCAL_DISK
        skipped = self.skipped | ({Step.LOADER} if self.loader is LoaderKind.ROM_IPXE else set())
        return [step for step in (_FIRST_BOOT if is_first_boot else _STEPS_OF[self.plan]) if step not in skipped]

    @property
    def retries(self) -> int:
        """How many packets and requests were repeated, those of a transfer that ended early among them."""
        return sum(each.retries for each in self.steps) + (self.broken.times if self.broken is not None else 0)

    def is_same_boot(self, other: "BootRecord") -> bool:
        """Return whether two records of one card are of one boot, as two appliances received its packets."""
        return abs(self.began_at - other.began_at) <= APART

    def is_running(self, now: datetime) -> bool:
        """Return whether it goes on: it has not ended, and showed something within `LONGEST_STEP`."""
        return self.end is None and now - self.last_at <= LONGEST_STEP
