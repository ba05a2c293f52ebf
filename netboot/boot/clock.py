"""Time and chance, handed in, so that a test can hold them still."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from netboot.boot.tokens import RandomBytes


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` is UTC, `monotonic` seconds."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    random_bytes: RandomBytes


def utc_now() -> datetime:
    """Give the time of day, for records."""
    return datetime.now(UTC)
