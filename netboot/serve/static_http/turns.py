"""Lets large bodies wait on the event loop: takes a slot, returns it, and limits a machine to its rate.

`static_http.shares` decides which body may be sent; this module only waits. The engine uses it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from netboot.serve.static_http.shares import ComeBack, RetryBehaviour, ShareLimits, Shares, Stream

PACED_SLICE_S: Final = 0.25  # with a rate, a slice is the bytes of this time
_SMALLEST_SLICE: Final = 64 * 1024


class Turns:
    """The queue of one process."""

    def __init__(self, limits: ShareLimits) -> None:
        self._shares = Shares(limits)
        self._rate = limits.client_rate  # bytes per second, 0 for no limit
        self._woken: dict[Stream, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def turn(self, machine: str, user_agent: str) -> AsyncIterator[ComeBack | None]:
        """Hold a slot for a large body, after a wait if this kind of client can wait; otherwise yield when to retry."""
        stream = self._shares.enter(machine, RetryBehaviour.of(user_agent), time.monotonic())
        if isinstance(stream, ComeBack):
            yield stream
            return
        try:
            if not self._shares.is_running(stream):
                await self._wait(stream)
            yield None
        finally:
            for started in self._shares.leave(stream):
                woken = self._woken.get(started)
                if woken is not None and not woken.done():
                    woken.set_result(None)

    async def _wait(self, stream: Stream) -> None:
        self._woken[stream] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(stream.waits_until - time.monotonic()):
                await self._woken[stream]
        except TimeoutError:
            self._shares.time_out(stream)
        finally:
            del self._woken[stream]

    def slice_bytes(self, most: int) -> int:
        """Return how much may be sent before the rate is checked again."""
        return min(most, max(_SMALLEST_SLICE, int(self._rate * PACED_SLICE_S))) if self._rate else most

    def charge(self, machine: str, size_bytes: int) -> float:
        """Charge a machine for bytes; return the seconds to wait before the next ones."""
        return self._shares.charge(machine, size_bytes, time.monotonic())
