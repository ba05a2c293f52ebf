"""Whether each part of the running daemon works now.

Store, content directory, descriptors, the directories that commands write in and the commands of the cluster are
checked; the state of the others is in memory.

A check that hangs (a database server, a network file system) delays no answer beyond `ANSWER_S`. One runs at a time,
and its result is used for `FRESH_S`, however many clients request it.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

from netboot.app.health.written_directories import WrittenDirectories
from netboot.content.library.disk import cannot_read, full_disk, write_fault
from netboot.errors import NetbootError
from netboot.operate.rollout.ocne.command_programs import CommandPrograms
from netboot.serve.net.descriptors import cure, is_scarce, permitted
from netboot.store.database import Database
from netboot.telemetry.health import Health, HealthPart, PartState

ANSWER_S: Final = 2.0  # a check that takes longer has failed
FRESH_S: Final = 1.0
SLOW_CURE: Final = "check the load of its disk, or of its server and the network to it"
FREE_BYTES: Final = 16 << 20  # less than this is no place for a release, nor for the pieces of an upload


class ApplianceHealth:
    """Gathers the parts. `known` gives those whose state is in memory."""

    def __init__(
        self,
        database: Database,
        content: Path,
        *others: WrittenDirectories | CommandPrograms,
        known: Callable[[], Iterable[HealthPart]],
    ) -> None:
        self._checks = [
            _BoundedCheck("store", lambda: _store(database)),
            _BoundedCheck("content", partial(asyncio.to_thread, _content, content)),
            _BoundedCheck("descriptors", partial(asyncio.to_thread, _descriptors)),
        ]
        self._checks += [
            _BoundedCheck(each.part, partial(asyncio.to_thread, each.check), at_worst=PartState.DEGRADED)
            for each in others
        ]
        self._known = known

    async def check(self) -> Health:
        """Return the state of every part."""
        checked = await asyncio.gather(*(each.part() for each in self._checks))
        return Health([*checked, *self._known()])

    async def close(self) -> None:
        """End the checks that run."""
        await asyncio.gather(*(each.close() for each in self._checks))


class _BoundedCheck:
    """Runs one check of a part at a time; the part is `at_worst` if that does not end."""

    def __init__(
        self, part: str, check: Callable[[], Awaitable[HealthPart]], *, at_worst: PartState = PartState.FAILED
    ) -> None:
        self._part, self._check, self._at_worst = part, check, at_worst
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
            late = f"the check of the {self._part} did not end within {ANSWER_S:g} s"
            return HealthPart.of(self._part, f"{late}; {SLOW_CURE}", at_worst=self._at_worst)
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
        fault = await database.disk_fault() or database.write_fault
    except (NetbootError, OSError) as error:
        return HealthPart.of("store", str(error))
    if fault is not None:
        return HealthPart.of("store", fault)
    slow = f"{database.slowness}; {SLOW_CURE}" if database.slowness else None
    return HealthPart.of("store", database.sealing.problem(), slow, at_worst=PartState.DEGRADED)


def _content(directory: Path) -> HealthPart:
    """Return the state of the content directory; one that does not exist yet is empty."""
    try:
        with os.scandir(directory):
            pass
    except FileNotFoundError:
        pass
    except OSError as error:
        return HealthPart.of("content", str(cannot_read(directory, error)))
    fault = write_fault(directory) or full_disk(directory, FREE_BYTES)
    return HealthPart.of("content", fault, at_worst=PartState.DEGRADED)


def _descriptors() -> HealthPart:
    """Return whether this process can open more files and connections."""
    most = permitted()
    try:
        with os.scandir("/proc/self/fd") as opened:
            used = sum(1 for _ in opened)
    except OSError:  # for which it needs one
        used = most
    fault = f"the daemon uses {used} of its {most} descriptors; {cure(most)}" if is_scarce(used) else None
    return HealthPart.of("descriptors", fault, at_worst=PartState.DEGRADED)
