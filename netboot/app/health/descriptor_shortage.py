"""Notes when this appliance had too few descriptors for machines, because connections held them.

Machines that were refused then have this cause, and none of their own. `/readyz` has the state of now.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from netboot.model.boot.causes.cause import RECENT, Shortage
from netboot.serve.net.descriptors import cure, permitted
from netboot.telemetry.health import Health, PartState
from netboot.telemetry.metrics import Metrics

_COUNTERS: Final = ("http_refused", "tftp_refused")


class DescriptorShortage:
    """`check` gives the state of every part; `metrics` count what was refused."""

    def __init__(
        self, check: Callable[[], Awaitable[Health]], metrics: Metrics, *, now: Callable[[], datetime]
    ) -> None:
        self._check, self._metrics, self._now = check, metrics, now
        self._refused = 0
        self._last: Shortage | None = None

    async def check(self) -> Health:
        """Return the state of every part, and note whether descriptors are scarce, or a machine was refused for them.

        To be called every few seconds: that is how exactly the times are known.
        """
        refused = sum(self._metrics.total(each, reason="no-descriptor") for each in _COUNTERS)
        if refused > self._refused:
            self._refused = refused
            self._note(f"{refused} requests of machines were refused for that since its start; {cure(permitted())}")
        health = await self._check()
        for part in health.parts:
            if part.part == "descriptors" and part.state is not PartState.OK:
                self._note("; ".join(part.reasons))
        return health

    def last(self) -> Shortage | None:
        """Return the last shortage since the start, as the last check found it."""
        return self._last

    def _note(self, reason: str) -> None:
        at, last = self._now(), self._last
        since = last.since if last is not None and at - last.at <= RECENT else at
        self._last = Shortage(since, at, reason)
