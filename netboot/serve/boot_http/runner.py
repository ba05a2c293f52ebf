"""Runs aiohttp for every listener of netboot: data that is not HTTP is counted, and never logged as a fault.

Idle connections are closed, request bodies are not decompressed, and no response states a version.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web, web_protocol, web_response, web_server
from aiohttp.http_exceptions import HttpProcessingError

from netboot.serve.static_http.conditional import SERVER
from netboot.serve.static_http.refused import ANSWERS, RefusalReason
from netboot.telemetry.metrics import Metrics

KEEPALIVE_S: Final = 75.0  # on the administrators' listeners
LINGER_S: Final = 1.0  # what a client still sends of a body that is not read
RecordRefused = Callable[[str, RefusalReason], None]

_ABOVE_OURS: Final = 64 * 1024  # aiohttp's own limits of a line, wider than those of `static_http.head`


class _RequestHandler(web_protocol.RequestHandler):
    """aiohttp's protocol of one connection, with our text where no handler answers."""

    __slots__ = ()

    def eof_received(self) -> bool:  # type: ignore[override]  # aiohttp's returns None, which closes at once
        """Answer a whole request before the connection is closed, as `printf … | nc -N` needs it."""
        request = self._current_request
        if (self._waiter is not None and not self._waiter.done()) or (
            request is not None and (request.writer.output_size or not request.content.is_eof())
        ):
            return False  # it is idle, or its answer has begun, or its body will not come
        self.close()  # after this request
        # asyncio closes a connection with TLS here, which cannot be closed by half, and logs a warning for True
        return self.transport is not None and self.transport.get_extra_info("sslcontext") is None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that aiohttp's parser refuses, or whose handler raised."""
        response = super().handle_error(request, status, exc, message)
        assert isinstance(response, web.Response)
        is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        why = "the log of netboot has the reason" if is_ours else ANSWERS[RefusalReason.NOT_HTTP][1]
        response.text = f"{status} {HTTPStatus(status).phrase}: {why}\n"
        response.content_type = "text/plain"
        return response


# aiohttp has no parameter for these two: the Server field of answers without one, and the class of its connections.
web_response.SERVER_SOFTWARE = SERVER  # type: ignore[attr-defined]
web_server.RequestHandler = _RequestHandler  # type: ignore[attr-defined]


def quiet_runner(
    app: web.Application, counters: Metrics, *, drain_s: float, refused: RecordRefused | None = None
) -> web.AppRunner:
    """Make the runner of an application; at the end requests that run have `drain_s` seconds to finish.

    What aiohttp itself refuses is recorded in `refused`.
    """
    logger = logging.Logger("netboot.http", logging.DEBUG)  # at which aiohttp logs an unknown method
    logger.parent = logging.getLogger()
    logger.addFilter(_OnlyFaultsOfOurs(counters, refused))
    return web.AppRunner(
        app,
        access_log=None,
        logger=logger,
        keepalive_timeout=KEEPALIVE_S,
        auto_decompress=False,
        handle_signals=False,
        lingering_time=LINGER_S,
        max_line_size=_ABOVE_OURS,
        max_field_size=_ABOVE_OURS,
        shutdown_timeout=drain_s / 2,  # aiohttp waits this time twice: for the answer, then for its reader
    )


class _OnlyFaultsOfOurs(logging.Filter):
    """Drops aiohttp's log lines about clients that sent no HTTP or closed the connection."""

    def __init__(self, counters: Metrics, refused: RecordRefused | None) -> None:
        super().__init__()
        self._counters = counters
        self._refused = refused

    def filter(self, record: logging.LogRecord) -> bool:
        fault = record.exc_info[1] if record.exc_info else None
        if isinstance(fault, HttpProcessingError | web.RequestPayloadError):
            self._counters.count("http_malformed")
            if self._refused is not None:  # aiohttp's "Error handling request from %s"
                address = record.args[0] if isinstance(record.args, tuple) and record.args else ""
                self._refused(str(address or ""), RefusalReason.NOT_HTTP)
            return False
        return record.levelno >= logging.WARNING and not isinstance(fault, ConnectionError)
