"""How long each step of a boot normally takes: learned from the boots of this rack, else a documented default. Pure.

A limit is generous, because an operator who gets false alarms reads no alarm. docs/events.md explains each default.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from netboot.model.boot.boot_record import BootRecord, BootStep
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.install.event import Step
from netboot.model.words import shown_seconds

FEWEST_BOOTS: Final = 5  # below, the default is expected
NEWEST_BOOTS: Final = 20  # of one step and loader, from which its duration is learned
LONGEST_LEARNED: Final = 4  # times the default limit; a person intervened in a step that took longer
PER_MACHINE: Final = 3  # times p95, because machines differ
BLOCKED_PORT_S: Final = 60.0  # longest time for which STP or LACP blocks the port of a link that just came up


@dataclass(frozen=True, slots=True)
class Expected:
    """The duration of one step of boots with one kind of loader. `boots`: those that it is learned from; 0: default."""

    median_s: float
    p95_s: float
    limit_s: float  # beyond it the step is overdue
    boots: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """What a boot waits for now."""

    step: Step
    since: datetime
    expected: Expected

    @property
    def overdue_at(self) -> datetime:
        return self.since + timedelta(seconds=self.expected.limit_s)

    def is_overdue(self, now: datetime) -> bool:
        return now > self.overdue_at


# What each step is waited for as, for a person.
WAITED_FOR: Final[Mapping[Step, str]] = {
    Step.OFFER: "the boot request",
    Step.PXE_REQUEST: "the request on port 4011",
    Step.LOADER: "the transfer of the loader",
    Step.SCRIPT: "the request for the script",
    Step.KERNEL: "the transfer of the kernel",
    Step.INITRD: "the transfer of the initrd",
    Step.KICKSTART: "the request for the Kickstart",
    Step.STAGE2: "the transfer of stage 2",
    Step.CHECKS: "the report of the checks",
    Step.INSTALLING: "the report that the install began",
    Step.OSTREE: "the pull of the release",
    Step.POST: "the report that %post began",
    Step.INSTALLED: "the report that the install is done",
    Step.LOCAL_BOOT: "the boot of the own disk",
    Step.IGNITION: "the request for the Ignition",
    Step.READY: "the report that the system is ready",
}


def usual_text(median_s: float, limit_s: float, boots: int) -> str:
    """Describe what is expected of a step: `usually 12 s, at most 40 s; from 17 boots here`."""
    known = f"from {boots} boots here" if boots else "the default"
    return f"usually {shown_seconds(median_s)}, at most {shown_seconds(limit_s)}; {known}"


# Every step but FAILED; docs/events.md has their sources.
_DEFAULTS: Final[Mapping[Step, Expected]] = {
    Step.OFFER: Expected(180, 600, 1200),
    Step.PXE_REQUEST: Expected(2, 6, 60),
    Step.LOADER: Expected(5, 20, 120),
    Step.SCRIPT: Expected(10, 45, 180),
    Step.KERNEL: Expected(2, 15, 120),
    Step.INITRD: Expected(5, 30, 180),
    Step.KICKSTART: Expected(30, 90, 300),
    Step.STAGE2: Expected(15, 90, 300),
    Step.CHECKS: Expected(20, 90, 300),
    Step.INSTALLING: Expected(5, 60, 300),
    Step.OSTREE: Expected(240, 1200, 2400),
    Step.POST: Expected(60, 300, 900),
    Step.INSTALLED: Expected(30, 180, 900),
    Step.LOCAL_BOOT: Expected(180, 600, 1200),
    Step.IGNITION: Expected(60, 180, 600),
    Step.READY: Expected(90, 300, 900),
}
_SLOWER: Final[Mapping[tuple[Step, LoaderKind], Expected]] = {
    (Step.SCRIPT, LoaderKind.GRUB): Expected(10, 60, 240),
    (Step.KERNEL, LoaderKind.GRUB): Expected(5, 30, 180),
    (Step.INITRD, LoaderKind.GRUB): Expected(20, 90, 400),
    (Step.INITRD, LoaderKind.IPXE_BIOS): Expected(10, 60, 300),
}

# Their duration depends on how many machines boot at once, since these share the appliance's link.
_TRANSFERS: Final = frozenset({Step.KERNEL, Step.INITRD, Step.STAGE2, Step.OSTREE})
# Their duration is that of a reset: half a minute or 15 minutes, by the model of the server. A rack has several.
_RESETS: Final = frozenset({Step.OFFER, Step.LOCAL_BOOT})


def default_of(step: Step, loader: LoaderKind) -> Expected:
    """Return what is expected of a step until enough boots of this rack are known. No boot waits for FAILED."""
    return _SLOWER.get((step, loader)) or _DEFAULTS[step]


_Key = tuple[Step, LoaderKind]


@dataclass(frozen=True, slots=True)
class ExpectedDurations:
    """The expected duration of each step by each kind of loader, from the boots that were given, the oldest first."""

    _seconds: Mapping[_Key, tuple[float, ...]] = field(default_factory=dict)
    _learned: Mapping[_Key, Expected] = field(default_factory=dict)

    def of(self, step: Step, loader: LoaderKind) -> Expected:
        """Return what is expected of a step, other than FAILED."""
        return self._learned.get((step, loader)) or default_of(step, loader)

    def after(self, boots: Iterable[BootRecord]) -> "ExpectedDurations":
        """Learn from boots, the oldest first; from a boot of an unregistered machine nothing is learned."""
        return self._with((boot, step) for boot in boots for step in _finished_steps(boot))

    def after_step(self, boot: BootRecord, step: BootStep) -> "ExpectedDurations":
        """Learn from one step of a boot whose duration is known now."""
        return self._with([(boot, step)])

    def _with(self, measured: Iterable[tuple[BootRecord, BootStep]]) -> "ExpectedDurations":
        changed: dict[_Key, tuple[float, ...]] = {}
        for boot, step in measured:
            key = step.step, boot.loader
            if (took_s := _usual_s(boot, step)) is not None:
                changed[key] = (*(changed.get(key) or self._seconds.get(key, ())), took_s)[-NEWEST_BOOTS:]
        learned = {key: _learned(*key, took) for key, took in changed.items() if len(took) >= FEWEST_BOOTS}
        return ExpectedDurations({**self._seconds, **changed}, {**self._learned, **learned})

    def wait_of(self, boot: BootRecord) -> Wait | None:
        """Return what a boot waits for; None if it has ended, or waits for an operator (`reason`)."""
        last, step = boot.furthest, boot.waits_for
        if step is None or boot.reason:
            return None
        if last is not None and last.step is Step.OSTREE and last.percent is not None and last.percent < 100:
            return Wait(Step.OSTREE, _began(last), self.of(Step.OSTREE, boot.loader))
        return Wait(step, last.last_at if last is not None else boot.began_at, self.of(step, boot.loader))


def _finished_steps(boot: BootRecord) -> list[BootStep]:
    """List the steps of a boot without a pull of which no next step shows that it is complete."""
    last = boot.furthest
    return [each for each in boot.steps if not (each is last and each.step is Step.OSTREE)]


def _usual_s(boot: BootRecord, step: BootStep) -> float | None:
    """Return the seconds of a step; None if they say nothing of other boots."""
    if boot.host is None or step.took_s is None or step.step not in _DEFAULTS:
        return None
    longest_s = LONGEST_LEARNED * default_of(step.step, boot.loader).limit_s
    return step.took_s if step.took_s <= longest_s else None


def _began(pull: BootStep) -> datetime:
    return pull.last_at - timedelta(seconds=pull.took_s) if pull.took_s is not None else pull.at


def _learned(step: Step, loader: LoaderKind, took_s: tuple[float, ...]) -> Expected:
    """Return the quantiles of durations. The longest one is left out: it may be the only one of its kind."""
    ordered = sorted(took_s)
    usual = ordered[:-1]
    median_s, p95_s = _quantile(ordered, 0.5), _quantile(usual, 0.95)
    slack_s = p95_s + max(10.0, p95_s / 2)
    default_s = default_of(step, loader).limit_s
    if step not in _TRANSFERS | _RESETS:
        default_s = min(default_s, PER_MACHINE * p95_s + BLOCKED_PORT_S)
    return Expected(median_s, p95_s, max(default_s, slack_s), len(took_s))


def _quantile(ordered: list[float], share: float) -> float:
    """Return the value at or below which this share of the values is (nearest rank)."""
    return ordered[ceil(share * len(ordered)) - 1]
