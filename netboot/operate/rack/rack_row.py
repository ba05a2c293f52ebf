"""One host among all: its install, its boot, its machine, and whether an operator needs to act. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address

from netboot.model.boot.boot_client import Machine
from netboot.model.boot.boot_record import ORDER_OF_STEPS
from netboot.model.boot.causes.cause import Cause, CauseSeverity
from netboot.model.boot.expected_durations import WAITED_FOR, ExpectedDurations
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.host import Host
from netboot.model.install.event import Event
from netboot.model.install.inspection import RequestedBoot
from netboot.model.install.install import Install
from netboot.operate.boots.boot_history import ShownBoot
from netboot.operate.boots.boot_waits import WaitStatus
from netboot.operate.power.power_request import ObservedPower

_MOST_OF_A_STEP = 0.95  # is shown of a step that has not come, however long it takes


class Attention(StrEnum):
    """Why a host needs an operator's attention."""

    FAULT = "fault"  # of its declaration
    CAUSE = "cause"  # it does not proceed
    OVERDUE = "overdue"  # a step does not come, and nothing shows why


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host. `boot` is the one that runs now, `machine` the card that was seen last, `request` what it boots once."""

    host: Host
    install: Install
    request: RequestedBoot | None = None
    boot: ShownBoot | None = None
    machine: Machine | None = None
    event: Event | None = None  # the newest
    cause: Cause | None = None  # why it does not proceed
    percent: int | None = None  # of its boot, by the expected durations; None: it does not boot
    power: ObservedPower | None = None  # as its BMC reported it last

    @property
    def wait(self) -> WaitStatus | None:
        """What its boot waits for."""
        return self.boot.wait if self.boot is not None else None

    @property
    def waited_for(self) -> str | None:
        """Return what its boot waits for, for a person."""
        return WAITED_FOR[self.wait.wait.step] if self.wait is not None else None

    @property
    def is_overdue(self) -> bool:
        return self.wait is not None and self.wait.is_overdue

    @property
    def since(self) -> datetime | None:
        """When it came into its state, or was armed since."""
        times = [self.install.changed_at, self.install.arming.at if self.install.arming else None]
        return max((at for at in times if at is not None), default=None)

    @property
    def attention(self) -> Attention | None:
        """Return why an operator needs to look at it; None: nothing is due."""
        if self.cause is not None and self.cause.severity is not CauseSeverity.INFO:
            return Attention.CAUSE
        if self.is_overdue:
            return Attention.OVERDUE
        return Attention.FAULT if self.host.faults else None

    @property
    def address(self) -> IPv4Address | None:
        """The address that its machine had last, else the declared one."""
        if self.machine is not None and self.machine.addresses:
            return self.machine.addresses[-1]
        return self.host.network.address.ip if self.host.network.address is not None else None

    @property
    def model(self) -> str:
        """Manufacturer and product, as its machine reported them; unverified."""
        return " ".join(text for fact in (MachineFact.MANUFACTURER, MachineFact.PRODUCT) if (text := self.fact(fact)))

    @property
    def serial(self) -> str:
        """Its serial number, as its machine reported it; unverified."""
        return self.fact(MachineFact.SERIAL)

    @property
    def switch_port(self) -> str:
        """The port of its switch: by LLDP as its machine reported it, else by option 82; unverified."""
        return self.machine.switch_port if self.machine is not None else ""

    def fact(self, fact: MachineFact) -> str:
        """Return what its machine reported; empty: nothing."""
        return self.machine.facts.get(fact, "") if self.machine is not None else ""


def boot_percent(boot: ShownBoot, expected: ExpectedDurations, now: datetime) -> int | None:
    """Return how much of a boot is done, by the expected duration of its steps; None: nothing is due."""
    record, wait = boot.record, boot.wait
    steps = record.due_steps()
    usual_s = {step: expected.of(step, record.loader).median_s for step in steps}
    if not usual_s or wait is None:
        return None
    order = ORDER_OF_STEPS[wait.wait.step]
    done_s = sum(usual_s[step] for step in steps if ORDER_OF_STEPS[step] < order)
    waited = (now - wait.wait.since).total_seconds() / wait.wait.expected.median_s
    share = boot.progress.percent / 100 if boot.progress is not None else min(max(waited, 0.0), _MOST_OF_A_STEP)
    return int(100 * (done_s + share * usual_s.get(wait.wait.step, 0.0)) / sum(usual_s.values()))
