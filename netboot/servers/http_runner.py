"""aiohttp as every door of ours runs it: what is no HTTP is counted and never logged, for anybody may send anything.

Connections that nobody uses are let go, and no body is unpacked on the way in.
"""

import logging
from typing import Final, Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

KEEPALIVE_S: Final = 75.0  # iPXE keeps the connection of its script for kernel and initrd


class MalformedCounter(Protocol):
    """Who counts."""

    def request_malformed(self) -> None:
        """Count one request that is no HTTP."""


def quiet_runner(app: web.Application, counters: MalformedCounter, *, drain_s: float) -> web.AppRunner:
    """Make the runner of an application; at the end requests that run have `drain_s` seconds to finish."""
    logger = logging.Logger("netboot.http")
    logger.parent = logging.getLogger()
    logger.addFilter(_OnlyFaultsOfOurs(counters))
    return web.AppRunner(
        app,
        access_log=None,
        logger=logger,
        keepalive_timeout=KEEPALIVE_S,
        auto_decompress=False,
        handle_signals=False,
        shutdown_timeout=drain_s / 2,  # aiohttp waits this long twice: for the answer, then for its reader
    )


class _OnlyFaultsOfOurs(logging.Filter):
    """Holds back what aiohttp says of clients: they sent no HTTP, or went away."""

    def __init__(self, counters: MalformedCounter) -> None:
        super().__init__()
        self._counters = counters

    def filter(self, record: logging.LogRecord) -> bool:
        fault = record.exc_info[1] if record.exc_info else None
        if isinstance(fault, HttpProcessingError | web.RequestPayloadError):
            self._counters.request_malformed()
            return False
        return not isinstance(fault, ConnectionError)
