"""Distributes events: limits them for each machine, then gives each one to the log, the store and the other sinks.

A sink takes an event in memory and returns at once: no reply waits for a disk, a database or a client. The events of
one machine reach each sink in the order in which they were recorded.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog

from netboot.events.event_limits import EventLimits
from netboot.events.event_log import EventLog
from netboot.model.host.host import Host, HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step

BEAT_S: Final = 1.0  # how late a count of limited or lost events may be

Sink = Callable[[Event, int], None]  # an event and its log level


class EventBus:
    """The only way of an event. `sinks` follow the log and the store."""

    def __init__(self, event_log: EventLog, *, now: Callable[[], datetime], sinks: Sequence[Sink] = ()) -> None:
        self._event_log = event_log
        self._now = now
        self._limits = EventLimits()
        self._log = structlog.get_logger().bind()  # the lazy logger costs a microsecond per line
        self._sinks = (self._log_line, event_log.take, *sinks)

    def emit(
        self,
        name: str,
        data: Mapping[str, str | int | float | None],
        *,
        host: Host | HostName | None = None,
        mac: Mac | None = None,
        step: Step | None = None,
        level: int = logging.INFO,
    ) -> None:
        """Record what happens now. Of a host that no file declares any more only the name is known."""
        host_name = host.name if isinstance(host, Host) else host
        self.record(Event(name, self._now(), host_name, mac, step, data), level=level)

    def record(self, event: Event, *, level: int = logging.INFO) -> None:
        """Give an event to every sink, or count it if it is over its limit: the count is an event a minute later."""
        for admitted in self._limits.admit(event, level):
            self._publish(*admitted)

    async def run(self) -> None:
        """Publish the counts that become due, until cancelled."""
        while True:
            await asyncio.sleep(BEAT_S)
            self.publish_counts()

    def publish_counts(self) -> None:
        """Publish the counts that are due: of limited events, and of those that the store did not accept."""
        for admitted in self._limits.close_ended(self._now()):
            self._publish(*admitted)
        if count := self._event_log.take_lost_count():
            self.emit("store.events_lost", {"count": count}, level=logging.ERROR)

    async def close(self) -> None:
        """Publish every count and write what the store accepts; log how many events are lost."""
        for admitted in self._limits.close_all(self._now()):
            self._publish(*admitted)
        await self._event_log.close()

    def _publish(self, event: Event, level: int) -> None:
        for sink in self._sinks:
            sink(event, level)

    def _log_line(self, event: Event, level: int) -> None:
        self._log.log(level, event.name, host=event.host, mac=event.mac, step=event.step, **event.data)
