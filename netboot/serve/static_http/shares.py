"""Who may send a large body now, who waits, and how fast one machine is served. Pure: time is an argument.

A large body holds a place from its head to its last byte. When every place is taken, the reply depends on the client.
iPXE and Ignition repeat a refused request without limit, so they get 503 with `Retry-After`. Other clients fail when
they are refused (curl after three refusals, libostree after one), so they wait in line. A freed place goes to the
waiting machine that holds the fewest places. A client that has waited as long as it can is served beyond the limit: a
boot storm delays machines, but none fails. Times are seconds of the caller's monotonic clock.
"""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Final

_KEPT_FOR_COMEBACKS: Final = 4  # one place in so many: whoever stands in line cannot starve those who cannot
_BURST_S: Final = 1.0  # a machine may use at once what it was given for this long
_MOST_MACHINES: Final = 4096


class RetryBehaviour(Enum):
    """How a kind of client waits when every place is taken: seconds in line, or None for `Retry-After`."""

    COMES_BACK = None
    WAITS = 60.0
    WAITS_BRIEFLY = 15.0  # libostree drops a transfer that stood still for 30 s

    @classmethod
    def of(cls, user_agent: str) -> "RetryBehaviour":
        """Choose by the User-Agent; an unknown client waits: every client can."""
        if user_agent.startswith(("iPXE/", "Ignition/")):
            return cls.COMES_BACK
        return cls.WAITS_BRIEFLY if user_agent.startswith("libostree/") else cls.WAITS


@dataclass(frozen=True, slots=True)
class ShareLimits:
    """Large bodies at one time; bytes per second for one machine, 0 for no limit."""

    max_streams: int
    client_rate: int


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A large body of one machine: it runs, or it stands in line until `waits_until`."""

    machine: str
    number: int
    waits_until: float


@dataclass(frozen=True, slots=True)
class ComeBack:
    """Not now: retry after so many seconds."""

    retry_after_s: int


class Shares:
    """Keeps the places, the line and each machine's rate."""

    def __init__(self, limits: ShareLimits) -> None:
        self.limits = limits
        kept = limits.max_streams // _KEPT_FOR_COMEBACKS
        self._places_of_line = max(1, limits.max_streams - kept)
        self._running: set[Stream] = set()
        self._held = Counter[str]()  # places by machine
        self._line: list[Stream] = []
        self._free_at: dict[str, float] = {}  # when a machine has paid for what it was sent
        self._numbers = count()

    def is_running(self, stream: Stream) -> bool:
        """Return whether a stream may send."""
        return stream in self._running

    def enter(self, machine: str, retry_behaviour: RetryBehaviour, now: float) -> Stream | ComeBack:
        """Request a place: a stream that runs or waits in line, or the time to retry after."""
        timeout_s = retry_behaviour.value
        places = self.limits.max_streams if timeout_s is None else self._places_of_line
        has_place = len(self._running) < places and (timeout_s is None or not self._line)
        if timeout_s is None and not has_place:
            return ComeBack(min(30, 2 + len(self._line) // 8 + next(self._numbers) % 5))  # not all in the same second
        stream = Stream(machine, next(self._numbers), now + (timeout_s or 0.0))
        self._start(stream) if has_place else self._line.append(stream)
        return stream

    def leave(self, stream: Stream) -> list[Stream]:
        """Give a place back, or step out of the line; the streams that run from now on are returned."""
        if stream in self._running:
            self._running.remove(stream)
            self._held[stream.machine] -= 1
            if not self._held[stream.machine]:
                del self._held[stream.machine]
        elif stream in self._line:
            self._line.remove(stream)
        started = []
        while self._line and len(self._running) < self._places_of_line:
            first = min(self._line, key=lambda each: (self._held[each.machine], each.number))
            self._line.remove(first)
            self._start(first)
            started.append(first)
        return started

    def time_out(self, stream: Stream) -> None:
        """Let a stream run that stood in line for as long as it can."""
        if stream in self._line:
            self._line.remove(stream)
            self._start(stream)

    def charge(self, machine: str, size_bytes: int, now: float) -> float:
        """Charge a machine for bytes; return the seconds to wait before the next ones."""
        rate = self.limits.client_rate
        if not rate:
            return 0.0
        if len(self._free_at) >= _MOST_MACHINES:
            self._free_at = {name: at for name, at in self._free_at.items() if at > now - _BURST_S}
        free_at = max(self._free_at.get(machine, 0.0), now - _BURST_S) + size_bytes / rate
        self._free_at[machine] = free_at
        return max(0.0, free_at - now)

    def _start(self, stream: Stream) -> None:
        self._running.add(stream)
        self._held[stream.machine] += 1
