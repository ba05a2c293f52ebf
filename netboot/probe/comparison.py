"""Compares the timeline of a simulated machine with the server's record of the same boot. Pure.

The server records a step when it sent the last byte or received the report, so a machine's step is compared at its last
event. Steps in which both wait for each other (offers, a pull) have no comparable time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from netboot.model.boot.boot_record import BootPlan
from netboot.model.install.event import Step
from netboot.model.words import shown_size
from netboot.probe.machine_timeline import ClientEvent

View = Mapping[str, Any]

LATE_S: Final = 5.0  # between the two times of a step, which a busy computer does not reach
_UNTIMED: Final = frozenset({Step.OFFER, Step.PXE_REQUEST, Step.OSTREE, Step.LOCAL_BOOT})
_ORDER: Final = tuple(Step)
_OF_FILES: Final = frozenset({Step.LOADER, Step.KERNEL, Step.INITRD, Step.STAGE2})
# What the server records if something did not go as it should.
_TROUBLES: Final = frozenset(
    {
        *("boot.offers_unanswered", "boot.other_file_requested", "boot.transfer_failed", "boot.request_refused"),
        *("boot.alarm_raised", "boot.document_held_back", "boot.script_held_back", "boot.offered_elsewhere"),
        *("boot.variant_changed", "boot.dead_end_met", "boot.step_overdue", "boot.ignition_repeated"),
        *("dhcp.boot_refused", "dhcp.architecture_refused", "http.refused"),
    }
)


@dataclass(frozen=True, slots=True)
class MachineStep:
    """A step as the machine has it: its last event, and every size in it."""

    at_s: float
    text: str
    sizes: Sequence[int] = ()
    texts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ServerStep:
    """A step as the server recorded it. `at_s` counts from the first step of the same boot."""

    at_s: float
    detail: str
    size_bytes: int
    retries: int


@dataclass(frozen=True, slots=True)
class ComparedStep:
    """One step on both sides, and each difference as a sentence."""

    step: Step
    machine: MachineStep | None
    server: ServerStep | None
    differences: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole boot on both sides; `troubles` are the server's events of what did not go as it should."""

    steps: Sequence[ComparedStep]
    troubles: Sequence[View] = ()

    @property
    def differences(self) -> Sequence[str]:
        return [difference for each in self.steps for difference in each.differences]


def compare(
    events: Sequence[ClientEvent], boots: Sequence[View], server_events: Sequence[View], *, failed_at: Step | None
) -> Comparison:
    """Compare a machine's events with the boots and events that the server recorded meanwhile.

    `failed_at` is the step that the machine did not end, as by a failure: either side may lack it.
    """
    ours, theirs = _machine_steps(events), _server_steps(boots)
    skipped = {Step(name) for boot in boots for name in boot["skipped"]}
    shift_s = _shift(ours, theirs)
    leads_to_disk = bool(boots) and boots[0]["plan"] == BootPlan.LOCAL_DISK  # recorded as this one step
    unrecorded = {Step.OFFER, Step.SCRIPT} if leads_to_disk else {Step.OFFER}
    steps = []
    for step in Step:
        machine, server = ours.get(step), theirs.get(step)
        if machine is None and server is None:
            continue
        excused = step is failed_at or step in skipped or (step in unrecorded and Step.LOCAL_BOOT in theirs)
        differences = tuple(_differences(step, machine, server, shift_s=shift_s, is_excused=excused))
        steps.append(ComparedStep(step, machine, server, differences))
    troubles = [event for event in server_events if event["event"] in _TROUBLES]
    return Comparison(steps, troubles)


def _differences(
    step: Step, machine: MachineStep | None, server: ServerStep | None, *, shift_s: float, is_excused: bool
) -> Iterator[str]:
    if server is None:
        if not is_excused:
            yield f"{step}: the server recorded no such step"
        return
    if is_excused:
        return
    if machine is None:
        yield f"{step}: the server recorded it, and the machine did not do it"
        return
    if step in _OF_FILES and server.size_bytes and machine.sizes and server.size_bytes not in machine.sizes:
        received = " and ".join(map(shown_size_exactly, machine.sizes))
        sent = shown_size_exactly(server.size_bytes)
        yield f"{step}: the server recorded {sent} sent, the machine received {received}"
    if step is Step.LOADER and server.detail and not any(server.detail in text for text in machine.texts):
        yield f"{step}: the server recorded {server.detail}, which the machine did not request"
    apart_s = machine.at_s - server.at_s - shift_s
    if step not in _UNTIMED and abs(apart_s) > LATE_S:
        yield f"{step}: the machine has it {abs(apart_s):.1f} s {'later' if apart_s > 0 else 'earlier'} than the server"


def shown_size_exactly(size_bytes: int) -> str:
    """Write a number of bytes so that one byte more or less shows."""
    return f"{size_bytes:,} bytes ({shown_size(size_bytes)})" if size_bytes >= 1000 else f"{size_bytes} bytes"


def _machine_steps(events: Sequence[ClientEvent]) -> dict[Step, MachineStep]:
    """Return each step by its last event with a size, else by its last one; DHCP by its first exchange.

    Of the boot after the restart only its end counts, as of the server's: what leads it to the disk is read again.
    """
    found: dict[Step, MachineStep] = {}
    events = _without_second_boot(events)
    for step in dict.fromkeys(event.step for event in events):
        of_step = [event for event in (_first_exchange(events) if step is Step.OFFER else events) if event.step is step]
        sized = [event for event in of_step if event.size_bytes]
        shown = sized[-1] if sized and step is not Step.OFFER else of_step[-1]
        sizes = () if step is Step.OFFER else tuple(event.size_bytes or 0 for event in sized)
        found[step] = MachineStep(shown.at_s, shown.text, sizes, tuple(event.text for event in of_step))
    return found


def _without_second_boot(events: Sequence[ClientEvent]) -> Sequence[ClientEvent]:
    """Leave out the steps up to the restart that follow it."""
    restart = next((number for number, event in enumerate(events) if event.step is Step.INSTALLED), len(events))
    before = {*_ORDER[: _ORDER.index(Step.INSTALLED)]}
    return [event for number, event in enumerate(events) if number < restart or event.step not in before]


def _first_exchange(events: Sequence[ClientEvent]) -> Sequence[ClientEvent]:
    """Return the events before the first one that is no DHCP; all if the boot began with none."""
    others = (number for number, event in enumerate(events) if event.step not in (Step.OFFER, Step.PXE_REQUEST))
    return events[: next(others, len(events))] or events


def _server_steps(boots: Sequence[View]) -> dict[Step, ServerStep]:
    """Return the steps of all boots of one simulation; of a step in two of them, the first."""
    found: dict[Step, ServerStep] = {}
    for boot in boots:
        began = datetime.fromisoformat(boots[0]["began_at"])
        for step in boot["steps"]:
            at_s = (datetime.fromisoformat(step["at"]) - began).total_seconds()
            detail = step["detail"] if step["percent"] is None else f"{step['detail']} {step['percent']} %"
            found.setdefault(Step(step["step"]), ServerStep(at_s, detail, step["bytes"], step["retries"]))
        if boot["plan"] == BootPlan.WAIT:  # a script that waits is no step
            at_s = (datetime.fromisoformat(boot["last_at"]) - began).total_seconds()
            found.setdefault(Step.SCRIPT, ServerStep(at_s, f"waits: {boot['reason']}", 0, 0))
    return found


def _shift(ours: Mapping[Step, MachineStep], theirs: Mapping[Step, ServerStep]) -> float:
    """Return what is added to the server's times: the two clocks agree at the first step that both have a time for."""
    for step in Step:
        if step in ours and step in theirs and step not in _UNTIMED:
            return ours[step].at_s - theirs[step].at_s
    return 0.0
