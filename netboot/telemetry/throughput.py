"""How fast this appliance served machines in the last hour, by protocol: a bounded list of samples of its counters.

One task reads the counters every few seconds; a request costs nothing more.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

SAMPLE_S: Final = 10
KEPT_FOR: Final = timedelta(hours=1)
MOST_SAMPLES: Final = int(KEPT_FOR.total_seconds()) // SAMPLE_S


class Traffic(StrEnum):
    """What is sent to machines, by protocol and tree."""

    TFTP = "tftp"
    HTTP = "http"  # scripts, documents, boot files
    CONTENT = "content"  # media and releases, by HTTP


@dataclass(frozen=True, slots=True)
class ThroughputSample:
    """The bytes that were sent in the `seconds` before `at`."""

    at: datetime
    seconds: float
    sent: Mapping[Traffic, int]

    def rate(self, traffic: Traffic) -> float:
        """Return bytes per second."""
        return self.sent[traffic] / self.seconds


@dataclass(slots=True, eq=False)
class Throughput:
    """Samples `totals`, the bytes that were sent since the start; a total that falls counts as one that stays."""

    totals: Callable[[], Mapping[Traffic, int]]
    _: KW_ONLY
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    _samples: deque[ThroughputSample] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES), init=False)
    _last: dict[Traffic, int] = field(init=False)
    _last_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._last, self._last_s = dict(self.totals()), self.monotonic()

    async def run(self) -> None:
        """Take a sample every `SAMPLE_S` until cancelled."""
        while True:
            await asyncio.sleep(SAMPLE_S)
            self.sample()

    def sample(self) -> None:
        """Record what was sent since the last sample."""
        now_s = self.monotonic()
        if (seconds := now_s - self._last_s) <= 0:
            return
        totals = self.totals()
        sent = {traffic: max(0, total - self._last[traffic]) for traffic, total in totals.items()}
        self._last = {traffic: max(total, self._last[traffic]) for traffic, total in totals.items()}
        self._last_s = now_s
        self._samples.append(ThroughputSample(self.now(), seconds, sent))

    def recent(self) -> Sequence[ThroughputSample]:
        """Return the samples of the last hour, oldest first."""
        since = self.now() - KEPT_FOR
        return [each for each in self._samples if each.at >= since]
