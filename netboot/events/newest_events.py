"""The newest event of each host: a sink of the event bus, in memory, so that a list of all hosts reads no event."""

from collections import OrderedDict
from typing import Final

from netboot.events.event_log import EventLog
from netboot.model.host.host import HostName
from netboot.model.install.event import Event

HOSTS_KEPT: Final = 10_000  # the host whose newest event is the oldest is forgotten first


class NewestEvents:
    """What was recorded last of each host, since the store was read once."""

    def __init__(self, event_log: EventLog) -> None:
        self._event_log = event_log
        self._of_hosts: OrderedDict[HostName, Event] = OrderedDict()
        self._is_loaded = False

    def event_happened(self, event: Event, _level: int) -> None:
        """Take an event of a host."""
        if event.host is not None:
            self._of_hosts[event.host] = event
            self._of_hosts.move_to_end(event.host)
            if len(self._of_hosts) > HOSTS_KEPT:
                self._of_hosts.popitem(last=False)

    def event_of_others(self, event: Event) -> None:
        """Take an event that another appliance recorded, unless a later one is known."""
        known = self._of_hosts.get(event.host) if event.host is not None else None
        if known is None or known.at <= event.at:
            self.event_happened(event, 0)

    async def load_once(self) -> None:
        """Read those that are stored, at the first call; raise StoreError."""
        if self._is_loaded:
            return
        for event in await self._event_log.newest_of_each_host():
            if event.host is not None and event.host not in self._of_hosts:
                self._of_hosts[event.host] = event
        self._is_loaded = True

    def of(self, host: HostName) -> Event | None:
        """Return the newest event of a host; None if none is stored or was recorded."""
        return self._of_hosts.get(host)
