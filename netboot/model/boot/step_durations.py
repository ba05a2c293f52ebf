"""How long the steps of a boot take: from one event of a machine's boot to the next. Pure.

The duration of a step is the time from the step before it to its own event: `kernel` is the time from the script until
the kernel was sent. `ostree` has one event for each part of the pull; it is measured from the step before it to its
last event, once the next step follows. A step that comes late, out of the order of `Step`, has no duration.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from netboot.model.boot.loader_names import LoaderKind, loader_kind
from netboot.model.boot.offer import OfferKind
from netboot.model.install.event import Event, Step

LONGEST_STEP: Final = timedelta(hours=4)  # beyond it the machine was off, or the clock was set
_ORDER: Final = {step: number for number, step in enumerate(Step)}
_ENDS: Final = frozenset({Step.READY, Step.FAILED})


@dataclass(frozen=True, slots=True)
class StepDuration:
    """How long one step took, and by which kind of loader the machine booted."""

    step: Step
    loader: LoaderKind
    seconds: float


@dataclass(frozen=True, slots=True)
class StepTimes:
    """The steps of one machine's boot so far. `at`: the last event of `step`; `before`: of the step before it."""

    step: Step
    at: datetime
    before: datetime | None = None
    loader: LoaderKind = LoaderKind.UNKNOWN

    def duration(self) -> StepDuration | None:
        """Return the duration of `step`; None if it is the first one, or nothing that a boot takes."""
        if self.before is None or not timedelta(0) <= self.at - self.before <= LONGEST_STEP:
            return None
        return StepDuration(self.step, self.loader, (self.at - self.before).total_seconds())


def after_event(boot: StepTimes | None, event: Event) -> tuple[StepTimes | None, Sequence[StepDuration]]:
    """Return a machine's boot after its next event, None if it has ended, and the durations that are known now."""
    step = event.step
    if step is None:
        return boot, ()
    if boot is None or _begins_boot(boot, event, step):
        begun = StepTimes(step, event.at, loader=_loader_of(event))
        return (None if step in _ENDS else begun), ()
    if step is boot.step:  # another part of the pull
        return replace(boot, at=event.at), ()
    if _ORDER[step] < _ORDER[boot.step]:
        return boot, ()
    reached = StepTimes(step, event.at, boot.at, boot.loader)
    measured = [boot.duration() if boot.step is Step.OSTREE else None]
    measured.append(reached.duration() if step is not Step.OSTREE else None)
    return (None if step in _ENDS else reached), [each for each in measured if each is not None]


def _begins_boot(boot: StepTimes, event: Event, step: Step) -> bool:
    """Return whether an event is the first of another boot; the boot of an installed disk continues its install."""
    if step is Step.OFFER or (step is boot.step and step is not Step.OSTREE):
        return True
    return event.name == "boot.offered" and boot.step is not Step.INSTALLED


def _loader_of(event: Event) -> LoaderKind:
    """Return the kind of the loader that a boot's first event names."""
    if event.name != "boot.offered" or event.data.get("kind") == OfferKind.LOCAL_DISK:
        return LoaderKind.UNKNOWN
    if event.data.get("kind") == OfferKind.SCRIPT:
        return LoaderKind.ROM_IPXE
    return loader_kind(str(event.data.get("boot_file") or ""))
