"""Emits an event when the store, a disk or the process's descriptors fail, and another when they work again.

The reason of each has its cure. A part that works for `SOUND_CHECKS` checks in a row has recovered: a fault that comes
and goes is one fault. One that becomes worse, as a slow store that fails, is another event, once. Other parts, such as
listeners, and the damaged entries of the content, have events of their own.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from netboot.app.health.written_directories import HOSTS, IGNITION
from netboot.events.event_bus import EventBus
from netboot.operate.rollout.ocne.command_programs import PART as CLUSTER_COMMANDS
from netboot.telemetry.health import Health, HealthPart, PartState

WATCH_S: Final = 2.0
SOUND_CHECKS: Final = 2
WATCHED: Final = frozenset({"store", "content", "records", "descriptors", HOSTS, IGNITION, CLUSTER_COMMANDS})

log = structlog.get_logger()


@dataclass(slots=True)
class _Fault:
    since_s: float
    reason: str
    worst: PartState
    sound_checks: int = 0


class FaultWatch:
    """`check` gives the state of every part."""

    def __init__(
        self,
        check: Callable[[], Awaitable[Health]],
        events: EventBus,
        *,
        on_change: Callable[[], object] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check, self._events, self._on_change, self._monotonic = check, events, on_change, monotonic
        self._faults: dict[str, _Fault] = {}

    def problems(self) -> list[str]:
        """List the reasons of the parts that do not work now."""
        return [fault.reason for fault in self._faults.values()]

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                self.compare(await self._check())
            except Exception:  # in the daemon's TaskGroup, which a fault must not end
                log.exception("appliance.watch_failed")

    def compare(self, health: Health) -> None:
        """Emit what has changed since the last call."""
        for part in health.parts:
            if part.part in WATCHED and not part.name:
                self._compare(part)
        self._on_change()

    def _compare(self, part: HealthPart) -> None:
        fault = self._faults.get(part.part)
        if part.state is not PartState.OK:
            reason = "; ".join(part.reasons)
            if fault is None or (fault.worst, part.state) == (PartState.DEGRADED, PartState.FAILED):
                since_s = self._monotonic() if fault is None else fault.since_s
                self._faults[part.part] = _Fault(since_s, reason, part.state)
                data = {"part": part.part, "reason": reason}
                self._events.emit("appliance.fault_found", data, level=logging.ERROR)
            else:
                fault.reason, fault.sound_checks = reason, 0
        elif fault is not None:
            fault.sound_checks += 1
            if fault.sound_checks >= SOUND_CHECKS:
                del self._faults[part.part]
                seconds = round(self._monotonic() - fault.since_s)
                self._events.emit("appliance.fault_ended", {"part": part.part, "seconds": seconds})
