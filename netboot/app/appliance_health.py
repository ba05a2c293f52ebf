"""Whether each part of the running daemon works now. Store and content directory are checked; the others are known.

A check that hangs (a database server, a network file system) delays no answer beyond `ANSWER_S`. One runs at a time,
and its result is used for `FRESH_S`, however many clients request it.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from netboot.content.library.disk import cannot_read, write_fault
from netboot.errors import NetbootError
from netboot.store.database import Database
from netboot.telemetry.health import Health, HealthPart, PartState

ANSWER_S: Final = 2.0  # a check that takes longer has failed
FRESH_S: Final = 1.0


class ApplianceHealth:
    """Gathers the parts. `known` gives those whose state is in memory."""

    def __init__(self, database: Database, content: Path, *, known: Callable[[], Iterable[HealthPart]]) -> None:
        self._store = _BoundedCheck("store", lambda: _store(database))
        self._content = _BoundedCheck("content", lambda: asyncio.to_thread(_content, content))
        self._known = known

    async def check(self) -> Health:
        """Return the state of every part."""
        checked = await asyncio.gather(self._store.part(), self._content.part())
        return Health([*checked, *self._known()])

    async def close(self) -> None:
        """End the checks that run."""
        await asyncio.gather(self._store.close(), self._content.close())


class _BoundedCheck:
    """Runs one check of a part at a time."""

    def __init__(self, part: str, check: Callable[[], Awaitable[HealthPart]]) -> None:
        self._part = part
        self._check = check
        self._running: asyncio.Task[HealthPart] | None = None
        self._began_s = 0.0  # on the clock of the loop, as the next
        self._last: tuple[float, HealthPart] | None = None

    async def part(self) -> HealthPart:
        """Return the state that was found within `FRESH_S`, or by a check within `ANSWER_S`."""
        now_s = asyncio.get_running_loop().time()
        if self._running is None:
            if self._last is not None and now_s - self._last[0] < FRESH_S:
                return self._last[1]
            self._running, self._began_s = asyncio.ensure_future(self._run()), now_s
        running = self._running
        await asyncio.wait([running], timeout=max(0.0, self._began_s + ANSWER_S - now_s))
        if not running.done():
            return HealthPart.of(self._part, f"the check of the {self._part} did not end within {ANSWER_S:g} s")
        return running.result()

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> HealthPart:
        try:
            found = await self._check()
        finally:
            self._running = None
        self._last = asyncio.get_running_loop().time(), found
        return found


async def _store(database: Database) -> HealthPart:
    try:
        await database.ping()
    except NetbootError as error:
        return HealthPart.of("store", str(error))
    if database.write_fault is None:  # machines that do not install are served
        return HealthPart.of("store", database.sealing.problem(), at_worst=PartState.DEGRADED)
    return HealthPart.of("store", database.write_fault)


def _content(directory: Path) -> HealthPart:
    """Return the state of the content directory; one that does not exist yet is empty."""
    try:
        with os.scandir(directory):
            pass
    except FileNotFoundError:
        pass
    except OSError as error:
        return HealthPart.of("content", str(cannot_read(directory, error)))
    return HealthPart.of("content", write_fault(directory), at_worst=PartState.DEGRADED)
