"""Runs a part of the daemon that works in the background: an unexpected fault of it ends neither it nor the daemon.

Such a fault may be one row of the store, as a newer version on another appliance wrote it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

AGAIN_S: Final = 5.0

log = structlog.get_logger()


async def lasting(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` until it returns or is cancelled; run it again `AGAIN_S` after an exception, which is logged."""
    while True:
        try:
            return await work()
        except Exception:  # in the daemon's TaskGroup, which a fault must not end
            log.exception("daemon.work_failed", work=getattr(work, "__qualname__", repr(work)))
        await asyncio.sleep(AGAIN_S)
