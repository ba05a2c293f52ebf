"""Describes boots: each step with its duration, bytes, rate and retries; what a boot waits for, and how far that is."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import click

from netboot.admin.texts.ages import shown_time
from netboot.admin.texts.boot_text import (
    NO_SIGN,
    broken_text,
    duration_text,
    progress_text,
    seconds_between,
    status_text,
    step_text,
)
from netboot.model.words import printable

View = Mapping[str, Any]

HISTORY_COLUMNS: Final = ("BOOT", "BEGAN (UTC)", "PLAN", "END", "TOOK", "RETRIES", "STEPS")
RUNNING_COLUMNS: Final = ("HOST", "PLAN", "STEP", "BEGAN", "WAITS FOR", "PROGRESS", "RETRIES")


def history_rows(boots: Iterable[View]) -> Iterator[Sequence[str]]:
    """Return a row of `HISTORY_COLUMNS` for each boot."""
    for boot in boots:
        took = ", ".join(
            f"{step['step']} {step['took_s']:.1f} s" for step in boot["steps"] if step["took_s"] is not None
        )
        yield (
            str(boot["number"]),
            shown_time(boot["began_at"]),
            boot["plan"],
            boot["end"] or ("inactive" if boot.get("inactive") else ""),
            duration_text(boot),
            str(boot["retries"] or ""),
            took or ", ".join(step["step"] for step in boot["steps"]),
        )


def timeline_lines(boot: View) -> Iterator[str]:
    """Describe one boot: its client, then a line for each step, then its end or what it waits for."""
    facts = [boot["facts"][name] for name in ("arch", "protocol", "vendor_class", "address") if boot["facts"][name]]
    number = f", boot {boot['number']} of {boot['boots']}" if boot["number"] else ""
    began_at = shown_time(boot["began_at"])
    client = printable(", ".join(facts)) or "no client"
    yield f"{boot['host'] or boot['mac']}{number}, began {began_at} UTC by {boot['mac']}: {client}"
    for step in boot["steps"]:
        at_s = seconds_between(boot["began_at"], step["at"])
        took = f"{step['took_s']:.1f} s" if step["took_s"] is not None else ""
        yield printable(f"{at_s:9.1f} s  {step['step']:<12}{took:>10}  {step_text(step)}").rstrip()
    if (broken := boot["broken"]) is not None:
        yield f"{'':13}{broken_text(broken)}"
    if boot["end"] is not None:
        yield f"{seconds_between(boot['began_at'], boot['ended_at']):9.1f} s  {boot['end']}"
    elif boot.get("inactive"):
        yield f"{'':13}{NO_SIGN}"
    elif status := status_text(boot):
        yield f"{'':13}{status}"


def running_row(boot: View) -> Sequence[str]:
    """Return the row of `RUNNING_COLUMNS` of a boot."""
    last = boot["steps"][-1]["step"] if boot["steps"] else ""
    began_at = datetime.fromisoformat(boot["began_at"]).strftime("%H:%M:%S")
    waits = _waits(boot) or boot["reason"]
    progress = progress_text(boot["progress"]) if boot["progress"] is not None else ""
    return boot["host"] or boot["mac"], boot["plan"], last, began_at, waits, progress, str(boot["retries"] or "")


def _waits(boot: View) -> str:
    """Name the step that a boot waits for, and whether it is overdue; empty if nothing is due."""
    is_overdue = boot.get("wait") is not None and boot["wait"]["overdue"]
    return f"{boot['waits_for'] or ''}{', overdue' * is_overdue}"


def running_line(boot: View) -> str:
    """Describe a boot that runs or has just ended in one line."""
    last = boot["steps"][-1]["step"] if boot["steps"] else "–"
    at = datetime.fromisoformat(boot["last_at"]).strftime("%H:%M:%S")
    text = f"ended: {boot['end']}" if boot["end"] else status_text(boot) or NO_SIGN * bool(boot.get("inactive"))
    return printable(f"{at}  {boot['host'] or boot['mac']:<18}  {last:<12}  {text}").rstrip()


def change_of(boot: View) -> tuple[object, ...]:
    """Return what differs when a boot is worth another line: a step, a tenth of its progress, a retry, an alarm."""
    progress = boot["progress"]
    tenth = (progress["name"], progress["percent"] // 10) if progress is not None else None
    return len(boot["steps"]), _waits(boot), boot["plan"], boot["reason"], boot["retries"], boot["end"], tenth


class StatusLine:
    """The state of the boot that is watched: on a terminal one line that is replaced, else a line for each change."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._shown: tuple[object, ...] | None = None
        self._is_open = False

    def show(self, boot: View | None) -> None:
        """Show the boot as it is now; None: none runs."""
        text = status_text(boot) if boot is not None and boot["end"] is None else ""
        if self._is_terminal:
            self.clear()
            if text:
                width = shutil.get_terminal_size().columns
                click.echo(text[: width - 1], nl=False)
                self._is_open = True
        elif boot is not None and text and change_of(boot) != self._shown:
            self._shown = change_of(boot)
            click.echo(f"{'':11}{text}")

    def clear(self) -> None:
        """Remove the line from the terminal, for another one."""
        if self._is_open:
            click.echo("\r\x1b[2K", nl=False)
            self._is_open = False
