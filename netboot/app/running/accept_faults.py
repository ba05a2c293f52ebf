"""Limits what is logged when no descriptor is left for a new connection.

asyncio of Python 3.11 calls its handler for each place of the backlog, a thousand times in a second.
"""

import asyncio
from typing import Any, Final

import structlog

from netboot.serve.net.descriptors import cure, permitted
from netboot.telemetry.logs import LineLimit

_NO_DESCRIPTOR: Final = "socket.accept() out of system resource"

log = structlog.get_logger()


def limit_accept_faults(loop: asyncio.AbstractEventLoop) -> None:
    """Log connections that cannot be accepted once a minute; asyncio tries again after a second."""
    limit = LineLimit()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("message") != _NO_DESCRIPTOR:
            loop.default_exception_handler(context)
        elif limit.note(_NO_DESCRIPTOR):
            log.error("daemon.accept_failed", reason=f"{context.get('exception')}; {cure(permitted())}")

    loop.set_exception_handler(handle)
