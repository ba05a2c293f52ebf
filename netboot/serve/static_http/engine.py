"""The HTTP engine of the boot LAN: makes the protocol of each connection, closes what is overdue, stops.

A machine's pull is tens of thousands of small GETs, and aiohttp needs three times as long for each as
`static_http.connection` (docs/decisions/0004). `Upgrade: h2c`, which libostree sends, is ignored.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from netboot.serve.net.descriptors import are_scarce
from netboot.serve.static_http.conditional import NOT_FOUND, head_of
from netboot.serve.static_http.connection import BootConnection, OpenConnections
from netboot.serve.static_http.connection_state import IDLE_TIMEOUT_S, SCARCE_IDLE_TIMEOUT_S
from netboot.serve.static_http.machine_limit import MOST_OF_MACHINE, MachineLimit
from netboot.serve.static_http.static_files import StaticFiles

_SWEEP_S: Final = 1.0


class _NoDocuments(asyncio.Protocol):
    """Answers the request that it gets a connection with: there is no such path here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what `data_received` answers on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - asyncio's signature
        """Answer, and close behind it; what else the client sends is not answered."""
        if not self._transport.is_closing():
            self._transport.write(head_of(NOT_FOUND, int(time.time()), is_last=True) + NOT_FOUND.text)
            self._transport.close()


class HttpEngine:
    """Holds every connection until it closes or goes to aiohttp."""

    def __init__(
        self,
        files: StaticFiles,
        documents: Callable[[], asyncio.Protocol] | None,
        *,
        most_of_machine: int = MOST_OF_MACHINE,
    ) -> None:
        """Begin, on the running loop. `documents` makes aiohttp's protocol: `web.AppRunner(app).server`.

        None: this engine serves the registry, and nothing else.
        """
        is_registry_only, limit = documents is None, MachineLimit(most_of_machine)
        self.open = OpenConnections(files, documents or _NoDocuments, limit, is_registry_only)
        self._sweeper: asyncio.TimerHandle
        self.protocol = partial(BootConnection, self.open)  # the factory for `loop.create_server`
        self._sweep()

    async def stop(self, timeout_s: float) -> None:
        """Let running answers end within `timeout_s`, then close every connection. Close the listener before."""
        self._sweeper.cancel()
        for connection in tuple(self.open.connections):
            connection.close_when_idle()
        if self.open.tasks:
            await asyncio.wait(tuple(self.open.tasks), timeout=timeout_s)
        for task in tuple(self.open.tasks):
            task.cancel()
        for connection in tuple(self.open.connections):
            connection.abort()

    def _sweep(self) -> None:
        now, idle_s = time.monotonic(), SCARCE_IDLE_TIMEOUT_S if are_scarce() else IDLE_TIMEOUT_S
        for connection in tuple(self.open.connections):
            connection.close_if_overdue(now, idle_s=idle_s)
        self.open.limit.forget_closed()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
