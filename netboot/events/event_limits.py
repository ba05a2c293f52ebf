"""Limits the events of one kind that a machine or an address causes in a minute; counts the others.

A window begins with the first event of its key. Events within the limit are recorded at once, the rest are counted,
and one event with `count` reports their number at the end of the window. Bounded in memory. No clock, no I/O: the
time is that of the events.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from netboot.model.install.event import Event

WINDOW: Final = timedelta(minutes=1)
PER_HOST: Final = 10  # events of one kind that a registered host causes in a window
PER_PULL: Final = 40  # of a pull: one for each five per cent, and a second pull
PER_UNREGISTERED: Final = 100  # all unregistered machines together
PER_LAN: Final = 10  # of other servers, which any machine can forge
ADDRESSES_PER_HOST: Final = 16  # that have a window of their own
HOSTS_PER_ADDRESS: Final = 16
ADDRESSES: Final = 512  # windows of one kind; all further keys share one window

# Refused requests: the first is recorded, then one count a minute while they continue.
BY_ADDRESS: Final = frozenset(
    {
        "access.login_failed",
        "access.token_refused",
        "boot.alarm_raised",
        "boot.document_held_back",
        "boot.request_refused",
        "boot.token_refused",
        "http.refused",
    }
)
# Actions of an operator or of a machine with a valid token, and events about the event log.
UNLIMITED: Final = frozenset(
    {
        "audit.recorded",
        "install.arming_ended",
        "install.moved",
        "power.ended",
        "power.failed",
        "power.refused",
        "power.requested",
        "power.sent",
        "store.events_lost",
    }
)


class _Key(NamedTuple):
    name: str
    subject: str  # a host or a MAC; empty: the shared window
    address: str = ""


@dataclass(slots=True)
class _Window:
    ends_at: datetime
    left: int  # events that may still be recorded
    last: Event
    level: int
    count: int = 0  # events that were not recorded

    def is_open(self, at: datetime) -> bool:
        """Return whether the window is open. One that begins in the future is not: the clock was set back."""
        return at < self.ends_at <= at + WINDOW


class EventLimits:
    """The windows that are open now. Its results are the events to record, each with its log level."""

    def __init__(self) -> None:
        self._windows: dict[_Key, _Window] = {}  # in the order of their ends
        self._held: Counter[tuple[str, ...]] = Counter()

    def admit(self, event: Event, level: int) -> list[tuple[Event, int]]:
        """Count an event; return it if it is within its limit, after the counts that are due."""
        admitted = self.close_ended(event.at)
        if event.name in UNLIMITED or self._is_within_limit(event, level):
            admitted.append((event, level))
        return admitted

    def _is_within_limit(self, event: Event, level: int) -> bool:
        """Count an event in its window; return whether it is within its limit."""
        key = self._key(event)
        window = self._windows.get(key)
        if window is None:
            window = _Window(event.at + WINDOW, _limit(key), event, level)
            self._open(key, window)
        if window.left > 0:
            window.left -= 1
            return True
        window.count += 1
        window.last, window.level = event, level
        return False

    def close_ended(self, now: datetime) -> list[tuple[Event, int]]:
        """Close the windows that have ended; return the counts of the events that were not recorded."""
        counts: list[tuple[Event, int]] = []
        while self._windows:
            key = next(iter(self._windows))
            window = self._windows[key]
            if window.is_open(now):
                break
            self._close(key)
            if window.count:
                counts.append((_count(window, now), window.level))
                if key.name in BY_ADDRESS:
                    self._open(key, _Window(now + WINDOW, 0, window.last, window.level))
        return counts

    def close_all(self, now: datetime) -> list[tuple[Event, int]]:
        """Close every window; return the counts of the events that were not recorded."""
        windows = list(self._windows.values())
        self._windows.clear()
        self._held.clear()
        return [(_count(window, now), window.level) for window in windows if window.count]

    def _key(self, event: Event) -> _Key:
        if event.name not in BY_ADDRESS:
            return _Key(event.name, event.host or "")
        subject, address = event.host or event.mac or "", str(event.data.get("address") or "")
        if event.name == "boot.alarm_raised":  # a second address for another document is another alarm
            address = f"{address} {event.data.get('document') or event.data.get('reason')}"
        key = _Key(event.name, subject, address)
        if key in self._windows:
            return key
        has_capacity = (
            self._held[event.name,] < ADDRESSES
            and self._held[event.name, "host", subject] < ADDRESSES_PER_HOST
            and self._held[event.name, "address", address] < HOSTS_PER_ADDRESS
        )
        return key if has_capacity else _Key(event.name, "")

    def _open(self, key: _Key, window: _Window) -> None:
        self._windows[key] = window
        if key.name in BY_ADDRESS:
            self._held.update(_held_by(key))

    def _close(self, key: _Key) -> None:
        del self._windows[key]
        if key.name not in BY_ADDRESS:
            return
        for held in _held_by(key):
            self._held[held] -= 1
            if not self._held[held]:
                del self._held[held]


def _held_by(key: _Key) -> tuple[tuple[str, ...], ...]:
    return ((key.name,), (key.name, "host", key.subject), (key.name, "address", key.address))


def _limit(key: _Key) -> int:
    if key.name in BY_ADDRESS:
        return 1
    if not key.subject:
        return PER_LAN if key.name == "lan.server_seen" else PER_UNREGISTERED
    return PER_PULL if key.name == "boot.content_pulled" else PER_HOST


def _count(window: _Window, now: datetime) -> Event:
    """Make the event that reports how many were not recorded: not a step of a boot, with the data of the last one."""
    return replace(window.last, at=now, step=None, data={**window.last.data, "count": window.count})
