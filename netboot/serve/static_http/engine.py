"""Serves `/content/` and `/ostree/` without aiohttp, and passes connections with other requests to aiohttp.

A machine's pull is tens of thousands of small GETs, and aiohttp needs three times as long for each as
`static_http.connection` (docs/decisions/0004). `Upgrade: h2c`, which libostree sends, is ignored.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from netboot.serve.static_http.connection import ContentConnection
from netboot.serve.static_http.content_handler import ContentHandler

MOST_OF_MACHINE: Final = 4096  # connections: a rack behind one router's address, and never every descriptor
_SWEEP_S: Final = 1.0


class ContentEngine:
    """Makes the protocol of each connection, and knows them all until they close or go to aiohttp."""

    def __init__(
        self, handler: ContentHandler, others: Callable[[], asyncio.Protocol], *, most_of_machine: int = MOST_OF_MACHINE
    ) -> None:
        """`others` makes the protocol for connections with any other request: `web.AppRunner(app).server`."""
        self.handler = handler
        self._most_of_machine = most_of_machine
        self._others = others
        self.connections: set[ContentConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._open: defaultdict[str, set[asyncio.Transport]] = defaultdict(set)  # by machine, aiohttp's too
        self._sweeper: asyncio.TimerHandle | None = None

    def protocol(self) -> asyncio.Protocol:
        """Make the protocol of one new connection: the factory for `loop.create_server`."""
        return ContentConnection(self)

    def admits(self, machine: str, transport: asyncio.Transport) -> bool:
        """Return whether a machine may have one more connection."""
        theirs = self._open[machine]
        if len(theirs) >= self._most_of_machine:
            theirs.difference_update([each for each in theirs if each.is_closing()])
        if len(theirs) >= self._most_of_machine:
            return False
        theirs.add(transport)
        return True

    def opened(self, connection: ContentConnection) -> None:
        """Take a connection in."""
        self.connections.add(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def closed(self, connection: ContentConnection) -> None:
        """Forget a connection: it ended, or went to aiohttp."""
        self.connections.discard(connection)

    def other_protocol(self) -> asyncio.Protocol:
        """Make the protocol that takes over connections with any other request."""
        return self._others()

    def start(self, task: asyncio.Task[None]) -> None:
        """Hold an answer that takes its time."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def stop(self, timeout_s: float) -> None:
        """Let what is being sent end within `timeout_s`, then close every connection. Close the listener before."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in tuple(self.connections):
            connection.close_when_idle()
        if self.tasks:
            await asyncio.wait(tuple(self.tasks), timeout=timeout_s)
        for task in tuple(self.tasks):
            task.cancel()
        for connection in tuple(self.connections):
            connection.abort()

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in tuple(self.connections):
            connection.close_if_overdue(now)
        for machine, theirs in tuple(self._open.items()):
            theirs.difference_update([each for each in theirs if each.is_closing()])
            if not theirs:
                del self._open[machine]
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(_SWEEP_S, self._sweep) if self._open else None
