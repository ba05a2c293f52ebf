"""Writes times and ages of the API."""

from datetime import UTC, datetime
from typing import Final

from netboot.model.words import shown_age

_IN_MINUTES_S: Final = 120


def shown_time(at: str) -> str:
    """Return a time in UTC of the API to the second, for a column `(UTC)`."""
    return at[:19].replace("T", " ")


def ago(moment: str | None) -> str:
    """Return the age of an ISO 8601 time, such as `5 min ago`."""
    if moment is None:
        return "never"
    return f"{shown_age((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())} ago"


def shown_due(seconds: float) -> str:
    """Write in how long something is expected, in minutes if they are some: `in 1 h 52 min`, `in 40 s`, `now`."""
    if seconds < 1:
        return "now"
    return f"in {shown_left(seconds // 60 * 60 if seconds >= _IN_MINUTES_S else seconds)}"


def shown_left(seconds: float) -> str:
    """Write how long something still lasts in two units: `1 h 52 min`, `12 min 30 s`; `over` once it has ended."""
    whole = int(seconds)
    for size, name, rest, rest_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            more = whole % size // rest
            return f"{whole // size} {name}" + (f" {more} {rest_name}" if more else "")
    return f"{whole} s" if seconds > 0 else "over"
