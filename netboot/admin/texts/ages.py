"""Writes times and ages of the API."""

from datetime import UTC, datetime
from typing import Final

from netboot.model.words import shown_age, shown_left

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
