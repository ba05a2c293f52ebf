"""Sends server-sent events to a client: a heartbeat without news, an end for a client that does not read."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any, Final

from aiohttp import web
from typing_extensions import TypedDict

from netboot.admin.json_views import error_view
from netboot.errors import NetbootError
from netboot.telemetry.metrics import Metrics

EVENT_HEARTBEAT: Final = b": \n\n"
HEARTBEAT_S: Final = 15.0
STALLED_S: Final = 30.0  # a client of events that reads nothing for so long is disconnected


class StreamFault(TypedDict):
    """The data of the event `error`, with which a stream ends if what it shows can no longer be read."""

    error: str
    code: str


async def send_events(
    request: web.Request, found: AsyncGenerator[Any, None], written: Callable[[Any], bytes], metrics: Metrics
) -> web.StreamResponse:
    """Send what is found, as `written` has it, until it ends or the client disconnects; None is no event."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await answer.prepare(request)
    stream = _EventStream(request, answer, metrics)
    with suppress(ConnectionError):  # the client closed the connection
        await answer.write(EVENT_HEARTBEAT)
        try:
            async with aclosing(found) as events:
                async for event in events:
                    if request.transport is None or request.transport.is_closing():
                        return answer
                    await stream.send(None if event is None else written(event))
        except NetbootError as error:  # too late for a status
            await answer.write(f"event: error\ndata: {json.dumps(error_view(error))}\n\n".encode())
    return answer


class _EventStream:
    def __init__(self, request: web.Request, answer: web.StreamResponse, metrics: Metrics) -> None:
        self._request, self._answer, self._metrics = request, answer, metrics
        self._last_sent_s = time.monotonic()

    async def send(self, event: bytes | None) -> None:
        """Send an event, or a heartbeat if it is time for one."""
        if event is None and time.monotonic() - self._last_sent_s < HEARTBEAT_S:
            return
        await self._write(EVENT_HEARTBEAT if event is None else event)
        self._last_sent_s = time.monotonic()

    async def _write(self, data: bytes) -> None:
        """Send to the client; disconnect one that reads nothing for `STALLED_S`, and count it."""
        try:
            async with asyncio.timeout(STALLED_S):
                await self._answer.write(data)
        except TimeoutError:
            self._metrics.count("event_clients_dropped")
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("the client does not read") from None
