"""Shows when the secrets in an Ignition file end."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any


def deadline_texts(deadlines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Describe each deadline as the API shows it: `bootstrap token until 2026-11-30 08:20 UTC (in 23 h 59 min)`."""
    return [_text(each, datetime.now(UTC)) for each in deadlines]


def _text(deadline: Mapping[str, Any], now: datetime) -> str:
    at = datetime.fromisoformat(deadline["at"])
    minutes = int((at - now).total_seconds()) // 60
    estimate = ", counted from the file's modification time" if deadline["is_estimate"] else ""
    if at <= now:
        return f"{deadline['secret']} ended at {at:%Y-%m-%d %H:%M} UTC{estimate}"
    left = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    return f"{deadline['secret']} until {at:%Y-%m-%d %H:%M} UTC (in {left}){estimate}"
