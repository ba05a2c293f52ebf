"""Lets the start wait while no file descriptor is left: a problem of this computer does not end it.

Nothing is served meanwhile, because files that cannot be opened are not missing, and what they have is not known.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from netboot.app.running.process import notify_systemd
from netboot.errors import DescriptorsError

AGAIN_S: Final = 1.0

T = TypeVar("T")

log = structlog.get_logger()


async def read_with_descriptors(read: Callable[[], Awaitable[T]]) -> T:
    """Return what `read` returns; while it raises DescriptorsError, call it again each `AGAIN_S`."""
    is_waiting = False
    while True:
        try:
            return await read()
        except DescriptorsError as error:
            if not is_waiting:
                log.error("daemon.start_waits", reason=str(error))
                notify_systemd(f"STATUS=waiting to start: {error}")
            is_waiting = True
        await asyncio.sleep(AGAIN_S)
