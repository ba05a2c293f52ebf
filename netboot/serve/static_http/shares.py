"""Limits the large bodies that are sent at one time, and the rate of one machine.

A large body holds a slot from its head to its last byte. If every slot is in use, the reply depends on the client.
iPXE and Ignition repeat a refused request without limit, so they get 503 with `Retry-After`. Other clients fail when
they are refused (curl after three refusals, libostree after one), so they wait in a queue. A freed slot goes to the
waiting machine that holds the fewest slots. A client that has waited as long as it can is served beyond the limit: a
boot storm delays machines, but none fails.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from itertools import count
from typing import Final

from netboot.serve.static_http.conditional import FileAnswer, refusal

PACED_SLICE_S: Final = 0.25  # with a rate, a slice is the bytes of this time
_SMALLEST_SLICE: Final = 64 * 1024
_KEPT_FOR_COMEBACKS: Final = 4  # one slot of four is for clients that cannot wait in the queue
_BURST_S: Final = 1.0  # a machine may use the bytes of this time at once
_MOST_MACHINES: Final = 4096


def longest_wait_s(user_agent: str) -> float | None:
    """Return how long a kind of client can wait in the queue, None for `Retry-After`; an unknown client waits."""
    if user_agent.startswith(("iPXE/", "Ignition/")):
        return None
    return 15.0 if user_agent.startswith("libostree/") else 60.0  # libostree drops a transfer that stood still for 30 s


def no_slot(retry_after_s: int) -> FileAnswer:
    """Answer a client that cannot wait in the queue."""
    why = "as many machines as may be served at once are served now; retry"
    return refusal(HTTPStatus.SERVICE_UNAVAILABLE, why, ("Retry-After", str(retry_after_s)))


class Shares:
    """The slots, the queue and each machine's rate, of one process; a machine is its address."""

    def __init__(self, max_streams: int, client_rate: int) -> None:
        """Allow so many large bodies at one time; bytes per second for one machine, 0 for no limit."""
        self._max_streams, self._rate = max_streams, client_rate
        self._slots_of_queue = max(1, max_streams - max_streams // _KEPT_FOR_COMEBACKS)
        self._held = Counter[str]()  # slots by machine
        self._queue: dict[asyncio.Future[None], str] = {}  # machines that wait, the longest wait first
        self._free_at: dict[str, float] = {}  # when the bytes sent to a machine are within its rate again
        self._comebacks = count()

    @property
    def waiting_count(self) -> int:
        """How many machines wait for a slot."""
        return len(self._queue)

    @asynccontextmanager
    async def slot(self, machine: str, user_agent: str) -> AsyncIterator[int | None]:
        """Hold a slot for a large body; yield None while it is held.

        Without a free slot a client waits; for one that cannot wait, yield the seconds after which to retry.
        """
        timeout_s = longest_wait_s(user_agent)
        if timeout_s is None:  # a machine that holds every slot must not keep all others from their first
            has_first = not self._held[machine] and len(self._held) < self._max_streams
            is_free = has_first or self._held.total() < self._max_streams
        else:
            is_free = self._held.total() < self._slots_of_queue and not self._queue
        if timeout_s is None and not is_free:
            spread_s = next(self._comebacks) % 5  # so that clients do not all retry in the same second
            yield min(30, 2 + len(self._queue) // 8 + spread_s)
            return
        given = asyncio.get_running_loop().create_future()
        self._queue[given] = machine
        if is_free:
            self._give_slot(given)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await given
            if given in self._queue:  # it has waited as long as it can
                self._give_slot(given)
            yield None
        finally:
            if self._queue.pop(given, None) is None:
                self._held -= Counter((machine,))
            while self._queue and self._held.total() < self._slots_of_queue:
                self._give_slot(min(self._queue, key=lambda each: self._held[self._queue[each]]))

    def _give_slot(self, given: asyncio.Future[None]) -> None:
        self._held[self._queue.pop(given)] += 1
        if not given.done():
            given.set_result(None)

    def slice_bytes(self, most: int) -> int:
        """Return how much may be sent before the rate is checked again."""
        return min(most, max(_SMALLEST_SLICE, int(self._rate * PACED_SLICE_S))) if self._rate else most

    def charge(self, machine: str, size_bytes: int, now: float) -> float:
        """Charge a machine for bytes sent at `now`, monotonic; return the seconds to wait before the next ones."""
        if not self._rate:
            return 0.0
        if len(self._free_at) >= _MOST_MACHINES:
            self._free_at = {name: at for name, at in self._free_at.items() if at > now - _BURST_S}
        free_at = max(self._free_at.get(machine, 0.0), now - _BURST_S) + size_bytes / self._rate
        self._free_at[machine] = free_at
        return max(0.0, free_at - now)
