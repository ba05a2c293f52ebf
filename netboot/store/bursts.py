"""Delays writes until a burst of changes ends: a rack that powers on at once gets its replies first."""

import asyncio
from collections.abc import Callable
from typing import Final

STEP_S: Final = 0.05
CHANGES_PER_STEP: Final = 32  # fewer in a step end the burst
LONGEST_S: Final = 1.0


async def burst_ended(waiting: Callable[[], int], *, most: int) -> None:
    """Wait `STEP_S`, and `LONGEST_S` at most while changes keep arriving and fewer than `most` wait to be written."""
    loop = asyncio.get_running_loop()
    latest_s = loop.time() + LONGEST_S
    while True:
        before = waiting()
        await asyncio.sleep(STEP_S)
        if waiting() - before < CHANGES_PER_STEP or waiting() >= most or loop.time() >= latest_s:
            return
