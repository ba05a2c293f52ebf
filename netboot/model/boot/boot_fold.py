"""The one fold from the events of a machine, in their order, to its boots. Pure.

The duration of a step is the time from the step before it to its own event: `kernel` is the time from the script until
the kernel was sent. `ostree` has one event for each part of the pull; it is measured from the step before it to its
last event, once the next step follows. A step that comes late, out of the order of `Step`, has no duration.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from netboot.model.boot.boot_client import Stage
from netboot.model.boot.boot_record import (
    LONGEST_STEP,
    ORDER_OF_STEPS,
    BootEnd,
    BootFacts,
    BootPlan,
    BootRecord,
    BootStep,
    BrokenTransfer,
)
from netboot.model.boot.loader_names import LoaderKind, loader_kind
from netboot.model.boot.offer import OfferKind
from netboot.model.install.event import Event, Step
from netboot.model.install.install import STEP_OF_STATE, InstallEvent, Move
from netboot.model.words import first_line

_ENDS: Final = {Step.READY: BootEnd.READY, Step.FAILED: BootEnd.FAILED}
_FIRST: Final = frozenset({Step.OFFER, Step.LOADER, Step.SCRIPT, Step.KERNEL})  # again in a boot: another one began
_AFTER_LOCAL_DISK: Final = frozenset(
    {Step.PXE_REQUEST, Step.LOADER, Step.INSTALLED, Step.IGNITION, Step.READY, Step.FAILED}
)
_ONCE: Final = frozenset({BootPlan.INSPECT, BootPlan.RESCUE, BootPlan.WIPE})
_ENDS_OF_ONCE: Final = {
    "boot.machine_inspected": BootEnd.INSPECTED,
    "boot.machine_wiped": BootEnd.WIPED,
    "boot.wipe_refused": BootEnd.FAILED,
}
OFFERED: Final = frozenset({"boot.offered", "boot.offer_withheld"})  # the answer to its DISCOVER, or that none was sent
# Events that are no step and show something of a boot. Others may be caused by another machine.
_NOTED: Final = frozenset(
    {
        *OFFERED,
        "boot.script_served",
        "boot.document_held_back",
        "boot.ignition_embedded",
        "boot.transfer_failed",
        *_ENDS_OF_ONCE,
    }
)
_PLANS: Final = {plan.value: plan for plan in BootPlan}
_STEPS: Final = {step.value: step for step in Step}


@dataclass(frozen=True, slots=True)
class Folded:
    """A machine's boot after an event. `replaced`: the one before, if the event began another."""

    boot: BootRecord | None
    replaced: BootRecord | None = None
    measured: Sequence[BootStep] = ()  # whose duration is known now


def after_event(boot: BootRecord | None, event: Event) -> Folded:
    """Return a machine's boot after its next event, and the steps whose duration is known now."""
    if "count" in event.data:  # of events that were not recorded
        return Folded(boot)
    if event.name == "boot.step_overdue":
        return Folded(boot if boot is None else _overdue(boot, event))
    step, plan = event.step, _plan_of(event)
    if step is None and plan in _ONCE:
        step = Step.SCRIPT
    if step is not None and boot is not None and not _begins_boot(boot, event, step):
        return _reached(boot, event, step)
    if step is not None or (plan is BootPlan.WAIT and (boot is None or boot.end is not None)):
        return _begun(boot, event, step)
    is_noted = boot is not None and boot.end is None and event.name in _NOTED
    return Folded(_noted(boot, event) if boot is not None and is_noted else boot)


def with_moves(boot: BootRecord, moves: Iterable[Move]) -> BootRecord:
    """Return a boot with what the moves of its host's install show, and it lacks; they have no duration.

    A move is stored before it is acknowledged, its event after it: a daemon that was killed may not have stored that,
    nor the events before it.
    """
    for move in moves:
        for name, step, data in _shown_by(move):
            if boot.end is None and move.at >= boot.began_at and boot.step(step) is None:
                event = Event(name, max(move.at, boot.last_at), boot.host, boot.mac, step, data)
                boot = after_event(boot, event).boot or boot
                boot = _with_step(boot, _step(event, step))
    return boot


def _shown_by(move: Move) -> Iterator[tuple[str, Step, dict[str, str]]]:
    """Yield the events of a move that are steps of a boot."""
    if move.what == InstallEvent.SCRIPT_SENT:
        yield "boot.script_served", Step.SCRIPT, {"plan": BootPlan.INSTALL.value}
    if move.before is not move.after and (step := STEP_OF_STATE.get(move.after)) is not None:
        yield "install.moved", step, {"note": first_line(move.note)}
    if move.what == InstallEvent.IGNITION_SENT:
        yield "boot.ignition_served", Step.IGNITION, {}


def _overdue(boot: BootRecord, event: Event) -> BootRecord:
    step = _STEPS.get(str(event.data.get("waits_for")))
    return boot if step is None or boot.end is not None else replace(boot, overdue=boot.overdue | {step})


def replaced_by_another(boot: BootRecord, at: datetime) -> BootRecord:
    """Return a boot that has ended because another one of its machine began."""
    return replace(boot, end=BootEnd.REPLACED, ended_at=at)


def with_retry(boot: BootRecord, step: Step, at: datetime) -> BootRecord:
    """Return a boot in which a request or packet of one of its steps was repeated."""
    repeated = boot.step(step)
    if repeated is None or boot.end is not None:
        return boot
    return replace(_with_step(boot, replace(repeated, retries=repeated.retries + 1)), last_at=at)


def _begins_boot(boot: BootRecord, event: Event, step: Step) -> bool:
    """Return whether an event is the first of another boot; the boot of an installed disk continues its install."""
    if boot.end is BootEnd.LOCAL_DISK:
        return step not in _AFTER_LOCAL_DISK
    if boot.end is not None:  # a failure is followed by the checks that failed, or by the script that leads to the disk
        return step is not Step.CHECKS and (step is not Step.LOCAL_BOOT or event.name in OFFERED)
    if step is Step.OFFER:
        return True
    if event.name in OFFERED:
        furthest = boot.furthest
        return furthest is None or furthest.step is not Step.INSTALLED
    return step in _FIRST and boot.step(step) is not None


def _begun(boot: BootRecord | None, event: Event, step: Step | None) -> Folded:
    """Begin another boot with an event."""
    if event.mac is None or step in _ENDS:
        return Folded(boot)
    replaced = None
    if boot is not None and boot.end is None:
        replaced = replaced_by_another(boot, event.at)
    steps = () if step is None else (_step(event, step),)
    begun = BootRecord(event.host, event.mac, event.at, event.at, _loader_of(event), steps=steps)
    if boot is not None and _is_in_first_boot(boot, event.at):
        begun = replace(begun, is_installed=True, skipped=boot.skipped)
    return Folded(_noted(begun, event), replaced)


def _is_in_first_boot(boot: BootRecord, now: datetime) -> bool:
    """Return whether an install waits on the disk for its first boot, or is in it; one long ago has gone on unseen."""
    return boot.end is not BootEnd.READY and _has_install(boot) and now - boot.last_at <= LONGEST_STEP


def _has_install(boot: BootRecord) -> bool:
    return boot.is_installed or boot.step(Step.INSTALLED) is not None


def _reached(boot: BootRecord, event: Event, step: Step) -> Folded:
    """Add a step, or another event of a step that this boot has."""
    known, furthest, reached = boot.step(step), boot.furthest, _step(event, step)
    if known is not None:
        again = _again(known, reached, is_furthest=known is furthest)
        return Folded(_noted(_with_step(boot, again), event))
    is_next = furthest is not None and ORDER_OF_STEPS[step] > ORDER_OF_STEPS[furthest.step]
    if furthest is not None and is_next and not (step is Step.SCRIPT and boot.plan is BootPlan.WAIT):
        reached = replace(reached, took_s=_seconds(furthest.last_at, event.at))
    broken = boot.broken
    if broken is not None and broken.step is step:
        reached, broken = replace(reached, retries=reached.retries + broken.times), None
    pull = [furthest] if furthest is not None and furthest.step is Step.OSTREE and is_next else []
    measured = [*pull, *([reached] if step is not Step.OSTREE else [])]
    boot = _noted(replace(boot, steps=(*boot.steps, reached), broken=broken), event)
    return Folded(boot, measured=[each for each in measured if each.took_s is not None])


def _again(known: BootStep, event: BootStep, *, is_furthest: bool) -> BootStep:
    """Add another event to a step. What it sent until now is in the event; a restarted daemon may count less."""
    took_s = known.took_s
    if took_s is not None and is_furthest:
        went_on = _seconds(known.last_at, event.at)
        took_s = None if went_on is None or took_s + went_on > LONGEST_STEP.total_seconds() else took_s + went_on
    return replace(
        known,
        last_at=event.at,
        took_s=took_s,
        bytes=max(known.bytes, event.bytes),
        sent_s=max(known.sent_s or 0.0, event.sent_s or 0.0) or None,
        percent=event.percent if known.percent is None else max(known.percent, event.percent or 0),
        detail=event.detail or known.detail,
    )


def _with_step(boot: BootRecord, changed: BootStep) -> BootRecord:
    return replace(boot, steps=tuple(changed if each.step is changed.step else each for each in boot.steps))


def _noted(boot: BootRecord, event: Event) -> BootRecord:
    """Note what an event shows beside its step: the client, the plan, and whether the boot ends."""
    step = event.step
    boot = replace(boot, host=boot.host or event.host, last_at=event.at, facts=_facts(boot.facts, event))
    match event.name:
        case "boot.script_served":
            boot = _with_plan(boot, event)
        case "boot.ignition_embedded":
            boot = replace(boot, skipped=boot.skipped | {Step.IGNITION})
        case "boot.document_held_back":
            boot = replace(boot, reason=str(event.data.get("reason") or ""))
        case "boot.transfer_failed":
            boot = replace(boot, broken=_broken(boot.broken, event))
        case _:
            pass
    if step is not None and boot.plan is not BootPlan.WAIT:
        boot = replace(boot, reason="")  # what was held back before is served now
    if boot.end not in (None, BootEnd.LOCAL_DISK):
        return boot
    if step is Step.LOCAL_BOOT and boot.step(Step.INSTALLED) is None:
        boot = replace(boot, plan=BootPlan.LOCAL_DISK)
    end = _end(boot, event)
    if end is not None:
        return replace(boot, end=end, ended_at=event.at)
    if boot.end is BootEnd.LOCAL_DISK and step in (Step.INSTALLED, Step.IGNITION):  # that disk has an install
        return replace(boot, end=None, ended_at=None, is_installed=True)
    return boot


def _end(boot: BootRecord, event: Event) -> BootEnd | None:
    """Return how an event ends a boot; None if it does not."""
    if event.step is Step.LOCAL_BOOT:
        return None if _has_install(boot) else BootEnd.LOCAL_DISK
    return _ENDS.get(event.step) if event.step is not None else _ENDS_OF_ONCE.get(event.name)


def _with_plan(boot: BootRecord, event: Event) -> BootRecord:
    plan = _plan_of(event)
    if plan is None or plan is BootPlan.LOCAL_DISK:  # its step LOCAL_BOOT decides
        return boot
    boot = replace(boot, plan=plan, reason=str(event.data.get("reason") or "") if plan is BootPlan.WAIT else "")
    if plan is not BootPlan.INSTALL:
        return boot
    elsewhere = str(event.data.get("elsewhere") or "").split()
    return replace(boot, is_installed=False, skipped=frozenset(_STEPS[name] for name in elsewhere if name in _STEPS))


def _facts(facts: BootFacts, event: Event) -> BootFacts:
    data = event.data
    if event.name in OFFERED and "arch" in data:
        arch, protocol, vendor_class = (str(data.get(key) or "") for key in ("arch", "protocol", "vendor_class"))
        is_first = not facts.arch or data.get("stage") == Stage.FIRMWARE
        return replace(facts, arch=arch, protocol=protocol, vendor_class=vendor_class) if is_first else facts
    is_served = event.name in ("boot.script_served", "boot.kickstart_served", "boot.ignition_served")
    return replace(facts, address=str(data["address"])) if is_served and data.get("address") else facts


def _broken(before: BrokenTransfer | None, event: Event) -> BrokenTransfer | None:
    data, step = event.data, _STEPS.get(str(event.data.get("content")))
    if step is None:  # another version recorded it
        return before
    times = before.times + 1 if before is not None and before.step is step else 1
    sent, size = _number(data.get("bytes")), _number(data.get("size_bytes"))
    return BrokenTransfer(
        step, str(data.get("name") or ""), event.at, sent, size, str(data.get("outcome") or ""), times=times
    )


def _plan_of(event: Event) -> BootPlan | None:
    return _PLANS.get(str(event.data.get("plan"))) if event.name == "boot.script_served" else None


def _step(event: Event, step: Step) -> BootStep:
    data = event.data
    seconds, percent = data.get("seconds"), data.get("percent")
    return BootStep(
        step,
        event.at,
        event.at,
        bytes=_number(data.get("bytes")),
        sent_s=float(seconds) if isinstance(seconds, int | float) else None,
        retries=_number(data.get("retransmissions")),
        percent=percent if isinstance(percent, int) else None,
        detail=_detail(data, step),
    )


def _detail(data: Mapping[str, object], step: Step) -> str:
    match step:
        case Step.OFFER | Step.PXE_REQUEST:
            return str(data.get("boot_file") or data.get("kind") or "")
        case Step.SCRIPT:
            return " ".join(str(data[key]) for key in ("plan", "medium") if data.get(key))
        case Step.CHECKS:
            word = "fail" if data.get("failed") else "pass"
            return f"{word}ed: {data.get(word) or 'a missing check'}"
        case Step.OSTREE:
            return str(data.get("release") or "")
        case Step.FAILED:
            return str(data.get("note") or "")
        case Step.LOCAL_BOOT:
            return str(data.get("method") or "")
        case Step.KICKSTART | Step.IGNITION:
            return str(data.get("address") or "")
        case _:
            return str(data.get("name") or "")


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _seconds(since: datetime, until: datetime) -> float | None:
    """Return the seconds between two steps; None if the machine was off between them, or the clock was set."""
    return (until - since).total_seconds() if timedelta(0) <= until - since <= LONGEST_STEP else None


def _loader_of(event: Event) -> LoaderKind:
    """Return the kind of the loader that a boot's first event names."""
    if event.name != "boot.offered" or event.data.get("kind") == OfferKind.LOCAL_DISK:
        return LoaderKind.UNKNOWN
    if event.data.get("kind") == OfferKind.SCRIPT:
        return LoaderKind.ROM_IPXE
    return loader_kind(str(event.data.get("boot_file") or ""))
