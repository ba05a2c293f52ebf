"""Decides which large body is sent now, which waits, and the rate of one machine. Pure: time is an argument.

A large body holds a slot from its head to its last byte. If every slot is in use, the reply depends on the client.
iPXE and Ignition repeat a refused request without limit, so they get 503 with `Retry-After`. Other clients fail when
they are refused (curl after three refusals, libostree after one), so they wait in a queue. A freed slot goes to the
waiting machine that holds the fewest slots. A client that has waited as long as it can is served beyond the limit: a
boot storm delays machines, but none fails. Times are seconds of the caller's monotonic clock.
"""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Final

_KEPT_FOR_COMEBACKS: Final = 4  # one slot of four is for clients that cannot wait in the queue
_BURST_S: Final = 1.0  # a machine may use the bytes of this time at once
_MOST_MACHINES: Final = 4096


class RetryBehaviour(Enum):
    """How a kind of client waits if every slot is in use: seconds in the queue, or None for `Retry-After`."""

    COMES_BACK = None
    WAITS = 60.0
    WAITS_BRIEFLY = 15.0  # libostree drops a transfer that stood still for 30 s

    @classmethod
    def of(cls, user_agent: str) -> "RetryBehaviour":
        """Choose by the User-Agent; an unknown client waits, because every client can."""
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
    """A large body for one address (`machine`): it is sent, or it waits in the queue until `waits_until`."""

    machine: str
    number: int
    waits_until: float


@dataclass(frozen=True, slots=True)
class ComeBack:
    """Not now: retry after so many seconds."""

    retry_after_s: int


class Shares:
    """The slots, the queue and each machine's rate."""

    def __init__(self, limits: ShareLimits) -> None:
        self.limits = limits
        kept = limits.max_streams // _KEPT_FOR_COMEBACKS
        self._places_of_line = max(1, limits.max_streams - kept)
        self._running: set[Stream] = set()
        self._held = Counter[str]()  # slots by machine
        self._line: list[Stream] = []
        self._free_at: dict[str, float] = {}  # when the bytes sent to a machine are within its rate again
        self._numbers = count()

    def is_running(self, stream: Stream) -> bool:
        return stream in self._running

    def enter(self, machine: str, retry_behaviour: RetryBehaviour, now: float) -> Stream | ComeBack:
        """Request a slot; return a stream that runs or waits, or the time after which to retry."""
        timeout_s = retry_behaviour.value
        places = self.limits.max_streams if timeout_s is None else self._places_of_line
        has_place = len(self._running) < places and (timeout_s is None or not self._line)
        if timeout_s is None and not has_place:
            spread_s = next(self._numbers) % 5  # so that clients do not all retry in the same second
            return ComeBack(min(30, 2 + len(self._line) // 8 + spread_s))
        stream = Stream(machine, next(self._numbers), now + (timeout_s or 0.0))
        self._start(stream) if has_place else self._line.append(stream)
        return stream

    def leave(self, stream: Stream) -> list[Stream]:
        """Return a slot, or leave the queue; return the streams that run from now on."""
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
        """Let a stream run that has waited as long as it can."""
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
