"""Time and random bytes as arguments, so that tests can fix them."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` is UTC, `monotonic` seconds."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    random_bytes: RandomBytes


utc_now: Final[Callable[[], datetime]] = partial(datetime.now, UTC)
SYSTEM_CLOCK: Final = Clock(now=utc_now, monotonic=time.monotonic, random_bytes=secrets.token_bytes)
