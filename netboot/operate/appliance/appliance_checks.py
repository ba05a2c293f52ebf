"""Runs `netboot check` for operators of the daemon: in a process of its own, at low priority, one at a time.

So the checks are those of the command, word for word, and delay no machine.
"""

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from netboot.errors import Problem
from netboot.model.words import first_line

FRESH_FOR: Final = timedelta(seconds=10)
LONGEST_S: Final = 120.0
_FINISHED: Final = frozenset({0, 1, 2})  # exit codes of a check that came to its end

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CheckedAppliance:
    """What the check found at `at`; `failure` is why there is no result."""

    at: datetime
    faults: Sequence[str] = ()  # of the files
    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    failure: str | None = None

    @property
    def is_sound(self) -> bool:
        return not (self.faults or self.problems or self.failure)


class ApplianceChecks:
    """The last result, and the check that runs now. `command` prints the result as JSON."""

    def __init__(self, command: Sequence[str], *, now: Callable[[], datetime]) -> None:
        self._command, self._now = command, now
        self._running: asyncio.Task[CheckedAppliance] | None = None
        self.last: CheckedAppliance | None = None

    @property
    def is_running(self) -> bool:
        return self._running is not None

    def begin(self) -> None:
        """Start a check, unless one runs."""
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    async def result(self) -> CheckedAppliance:
        """Return the result of the check that runs, else one of the last seconds, else a new one."""
        if self._running is None and self.last is not None and self._now() - self.last.at < FRESH_FOR:
            return self.last
        self.begin()
        assert self._running is not None
        return await asyncio.shield(self._running)

    async def close(self) -> None:
        """End the check that runs."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> CheckedAppliance:
        try:
            self.last = await self._checked()
        finally:
            self._running = None
        if self.last.failure is not None:
            log.error("appliance.check_failed", reason=self.last.failure)
        return self.last

    async def _checked(self) -> CheckedAppliance:
        try:
            process = await asyncio.create_subprocess_exec(*self._command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        except OSError as error:
            return CheckedAppliance(self._now(), failure=f"the check cannot be started: {error.strerror}")
        try:
            async with asyncio.timeout(LONGEST_S):
                printed, complaint = await process.communicate()
        except TimeoutError:
            return CheckedAppliance(self._now(), failure=f"the check did not end within {LONGEST_S:g} s")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode not in _FINISHED:
            why = first_line(complaint.decode("utf-8", "replace")) or f"it ended with {process.returncode}"
            return CheckedAppliance(self._now(), failure=f"the check failed: {why}")
        try:
            return _result(json.loads(printed), self._now())
        except (ValueError, KeyError, TypeError):
            return CheckedAppliance(self._now(), failure="the check printed nothing that can be read")


def _result(found: Any, at: datetime) -> CheckedAppliance:
    faults = [str(Problem(**each)) for each in found["faults"]]
    return CheckedAppliance(at, faults, found["problems"], found["warnings"], found["notes"])
