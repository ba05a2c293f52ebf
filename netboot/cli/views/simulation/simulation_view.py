"""Describes a simulation: what the machine did while it runs, then both timelines beside each other; and its JSON."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from textwrap import wrap
from typing import Any, Final

from netboot.cli.views.output import counted
from netboot.model.words import printable, shown_size
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.comparison import ComparedStep, Comparison, MachineStep, ServerStep
from netboot.probe.machine_timeline import ClientEvent

_STEP_WIDTH: Final = 12
_NARROWEST: Final = 100
_WIDTH_OF_FILES: Final = 160  # without a terminal


def event_line(event: ClientEvent) -> str:
    """Describe one thing that the machine sent or received."""
    size = f", {shown_size(event.size_bytes)}" if event.size_bytes is not None else ""
    took = f" in {event.took_s:.1f} s" if event.took_s is not None and event.took_s >= 0.1 else ""
    return printable(f"{event.at_s:8.1f} s  {event.step:<{_STEP_WIDTH}}{event.text}{size}{took}")


def failure_lines(failure: BootFailedError) -> Iterator[str]:
    """Describe why the machine cannot go on: the sentence, what was seen, the cure."""
    yield printable(f"failed at {failure.step}: {failure.sentence}")
    for line in failure.evidence:
        yield printable(f"  seen: {line}")
    yield printable(f"  cure: {failure.cure}")


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """Put both timelines beside each other, each difference marked with ! and explained below its step."""
    width = _column_width()
    yield f"  {'step':<{_STEP_WIDTH}}{'machine':<{width}}server"
    for each in comparison.steps:
        yield from _step_lines(each, width)
    for event in comparison.troubles:
        yield printable(f"! {event['event']}: {event['text']}")


def _step_lines(compared: ComparedStep, width: int) -> Iterator[str]:
    left = wrap(_of_machine(compared.machine), width - 2) or [""]
    right = wrap(_of_server(compared.server), width - 2) or [""]
    for number in range(max(len(left), len(right))):
        mark = "!" if compared.differences and number == 0 else " "
        step = compared.step if number == 0 else ""
        ours = left[number] if number < len(left) else ""
        theirs = right[number] if number < len(right) else ""
        yield printable(f"{mark} {step:<{_STEP_WIDTH}}{ours:<{width}}{theirs}").rstrip()
    for difference in compared.differences:
        yield printable(f"  {'':<{_STEP_WIDTH}}└ {difference}")


def _of_machine(step: MachineStep | None) -> str:
    if step is None:
        return "–"
    size = f", {shown_size(step.sizes[-1])}" if step.sizes else ""
    return f"{step.at_s:.1f} s  {step.text}{size}"


def _of_server(step: ServerStep | None) -> str:
    if step is None:
        return "–"
    size = f", {shown_size(step.size_bytes)}" if step.size_bytes else ""
    retries = f", {counted(step.retries, 'repeated request')}" if step.retries else ""
    return f"{step.at_s:.1f} s  {step.detail}{size}{retries}".rstrip()


def _column_width() -> int:
    is_terminal = sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))
    whole = max(shutil.get_terminal_size().columns, _NARROWEST) if is_terminal else _WIDTH_OF_FILES
    return (whole - _STEP_WIDTH - 2) // 2


def summary_line(differences: Sequence[str], troubles: int) -> str:
    """Describe in one line whether both sides agree."""
    found = [counted(len(differences), "difference")] if differences else []
    found += [counted(troubles, "event") + " of the server about what went wrong"] if troubles else []
    return " and ".join(found) or "the server's record agrees with the machine's"


def failure_view(failure: BootFailedError | None) -> Mapping[str, Any] | None:
    """Convert a failure to JSON."""
    if failure is None:
        return None
    about = {"step": failure.step, "sentence": failure.sentence, "cure": failure.cure}
    return {**about, "evidence": [*failure.evidence]}


def event_view(event: ClientEvent) -> Mapping[str, Any]:
    """Convert an event of the machine to JSON."""
    times = {"at_s": round(event.at_s, 3), "took_s": None if event.took_s is None else round(event.took_s, 3)}
    return {**times, "step": event.step, "text": event.text, "size_bytes": event.size_bytes}


def comparison_view(comparison: Comparison | None) -> Mapping[str, Any] | None:
    """Convert a comparison to JSON."""
    if comparison is None:
        return None
    troubles = [{"event": event["event"], "text": event["text"]} for event in comparison.troubles]
    return {"steps": [*map(_step_view, comparison.steps)], "troubles": troubles}


def _step_view(compared: ComparedStep) -> Mapping[str, Any]:
    machine, server = compared.machine, compared.server
    ours = machine and {"at_s": round(machine.at_s, 3), "text": machine.text, "sizes_bytes": [*machine.sizes]}
    theirs = server and {**asdict(server), "at_s": round(server.at_s, 3)}
    return {"step": compared.step, "machine": ours, "server": theirs, "differences": [*compared.differences]}
