"""Describes a boot: its steps, what it waits for, how far that is, and how long it took."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from netboot.admin.texts.wait_text import expected_text
from netboot.model.words import printable, shown_size

View = Mapping[str, Any]

NO_SIGN: Final = "no further sign of it for 4 hours"


def duration_text(boot: View) -> str:
    """Write how long a boot took until it ended, or until it last showed something."""
    return _minutes_text(seconds_between(boot["began_at"], _last_sign_at(boot)))


def _last_sign_at(boot: View) -> str:
    """Return when a boot ended; of one that another boot replaced, when it last showed something."""
    has_end = boot["end"] not in (None, "replaced")
    return str(boot["ended_at"] if has_end else boot["last_at"])


def step_text(step: View) -> str:
    """Describe what a step was about: detail, percent, bytes with their rate, retries."""
    parts = [step["detail"]] if step["detail"] else []
    if step["percent"] is not None:
        parts.append(f"{step['percent']} %")
    if step["bytes"]:
        rate = f" at {shown_size(step['bytes_per_s'])}/s" if step["bytes_per_s"] else ""
        parts.append(f"{shown_size(step['bytes'])}{rate}")
    if step["retries"]:
        parts.append(f"{step['retries']} {'retry' if step['retries'] == 1 else 'retries'}")
    return ", ".join(parts)


def broken_text(broken: View) -> str:
    """Describe the last transfer that was sent in part."""
    size = f"{shown_size(broken['bytes'])} of {shown_size(broken['size_bytes'])}"
    times = f", {broken['times']} times" if broken["times"] > 1 else ""
    return printable(f"{broken['step']}: {broken['name']} was sent in part ({broken['reason']}): {size}{times}")


def status_text(boot: View) -> str:
    """Describe what a running boot waits for, how far that is, and its retries; empty if nothing is due."""
    if boot.get("inactive"):
        return ""
    parts = [_waits_text(boot)] if boot["waits_for"] or boot["reason"] else []
    if boot["progress"] is not None:
        parts.append(progress_text(boot["progress"]))
    if boot["retries"]:
        parts.append(f"{boot['retries']} {'retry' if boot['retries'] == 1 else 'retries'}")
    return printable("; ".join(parts))


def _waits_text(boot: View) -> str:
    if (wait := boot.get("wait")) is not None:
        return f"waits for {expected_text(wait)}"
    if not boot["waits_for"]:
        return f"its script waits: {boot['reason']}"
    held_back = f", which is held back: {boot['reason']}" if boot["reason"] else ""
    return f"waits for {boot['waits_for']}{held_back}"


def progress_text(progress: View) -> str:
    """Describe how far a file or a pull is: percent, bytes, rate, time left."""
    size = f" of {shown_size(progress['size_bytes'])}" if progress["size_bytes"] is not None else ""
    parts = [f"{progress['name']} {progress['percent']} %", f"{shown_size(progress['bytes'])}{size}"]
    if progress["bytes_per_s"] is not None:
        parts.append(f"{shown_size(progress['bytes_per_s'])}/s")
    if progress["seconds_left"] is not None:
        parts.append(f"{_minutes_text(progress['seconds_left'])} left")
    return ", ".join(parts)


def seconds_between(since: str, until: str) -> float:
    """Return the seconds between two times of the API."""
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()


def _minutes_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
