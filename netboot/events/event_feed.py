"""The stored events as they come, for programs that follow them. No follower has a queue that grows.

The newest events are held once for all followers. A follower that needs older events than these reads the store at its
own speed: it misses no event that is still stored, and delays nobody.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import takewhile
from typing import Final

from netboot.model.host.host import HostName
from netboot.model.install.event import Event

HELD: Final = 1_000  # the newest events
READ_AT_ONCE: Final = 1_000
BEAT_S: Final = 1.0  # how soon a follower finds that its reader has gone

ReadAfter = Callable[[int, HostName | None], Awaitable[Sequence[Event]]]


class EventFeed:
    """Follows what was written. `read_after` reads stored events after an id, of a host or all, `READ_AT_ONCE` at most.

    Every event after `_complete_after` is held, and ids only increase: what is published is what follows `newest_id`.
    """

    def __init__(self, read_after: ReadAfter) -> None:
        self._read_after = read_after
        self._held: deque[Event] = deque()
        self._complete_after = math.inf
        self.newest_id = 0  # published, or of the beginning
        self._grown = asyncio.Event()  # another one after each batch
        self._has_ended = False

    def begin_after(self, last_id: int) -> None:
        """Begin with the events after `last_id`; older ones are read from the store."""
        self.newest_id = last_id

    def publish(self, written: Sequence[Event]) -> None:
        """Take a batch that was just written, in the order of ids, and wake the followers."""
        if not self._held:
            self._complete_after = written[0].id - 1
        self._held.extend(written)
        while len(self._held) > HELD:
            self._complete_after = self._held.popleft().id
        self.newest_id = written[-1].id
        self._wake()

    async def follow(self, last_id: int, *, host: HostName | None = None) -> AsyncIterator[Event | None]:
        """Give the events that follow `last_id` until `end`; None if nothing came for `BEAT_S`."""
        while True:
            written_id, is_all = self.newest_id, True
            if last_id >= self._complete_after:
                found = self._held_after(last_id, host)
            else:
                found = await self._read_after(last_id, host)
                is_all = len(found) < READ_AT_ONCE
            for event in found:
                last_id = event.id
                yield event
            if is_all:
                last_id = max(last_id, written_id)
            while is_all and self.newest_id <= last_id:
                if self._has_ended:
                    return
                try:
                    async with asyncio.timeout(BEAT_S):
                        await self._grown.wait()
                except TimeoutError:
                    yield None

    def end(self) -> None:
        """End every `follow`, now and from now on."""
        self._has_ended = True
        self._wake()

    def _held_after(self, last_id: int, host: HostName | None) -> Sequence[Event]:
        newer = takewhile(lambda event: event.id > last_id, reversed(self._held))
        return [event for event in newer if host in (None, event.host)][::-1]

    def _wake(self) -> None:
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()
