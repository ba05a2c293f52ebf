"""Writes times and ages of the API."""

from datetime import UTC, datetime

from netboot.model.words import shown_age


def shown_time(at: str) -> str:
    """Return a time in UTC of the API to the second, for a column `(UTC)`."""
    return at[:19].replace("T", " ")


def ago(moment: str | None) -> str:
    """Return the age of an ISO 8601 time, such as `5 min ago`."""
    if moment is None:
        return "never"
    return f"{shown_age((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())} ago"
