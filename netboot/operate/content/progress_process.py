"""Runs a command of netboot in a process of low priority, and receives its progress from its standard error.

Long work on content runs so: in the daemon's process it would delay offers and transfers.
"""

import asyncio
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from netboot.content.library.progress import ProgressReport

_LONGEST_LINE_BYTES: Final = 1 << 20
_KEPT_LINES: Final = 50
_STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class ProcessOutcome:
    """Exit code, standard output, and the last lines of standard error without progress."""

    status: int
    printed: bytes
    complaints: Sequence[str]

    def sentence(self, what: str) -> str:
        """Return the error of a failed command, before which there may be notes."""
        refusals = [line.removeprefix("netboot: ") for line in self.complaints if line.startswith("netboot: ")]
        if refusals:
            return refusals[-1]
        return f"{what} ended with {self.status}: {self.complaints[-1] if self.complaints else 'it printed nothing'}"


class ProgressProcess:
    """One run of a command; `report` gets its progress."""

    def __init__(self, command: Sequence[str], report: Callable[[ProgressReport], object]) -> None:
        self._command, self._report = command, report
        self._process: Process | None = None
        self._complaints: list[str] = []
        self.is_stopped = False

    async def run(self) -> ProcessOutcome:
        """Run it to its end. If this is cancelled, the process is killed; raises OSError if it cannot be started."""
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, limit=_LONGEST_LINE_BYTES
        )
        assert process.stdout is not None
        try:
            printed, _ = await asyncio.gather(process.stdout.read(), self._read_complaints(process))
            status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return ProcessOutcome(status, printed, self._complaints)

    async def stop(self) -> None:
        """End the process as Ctrl-C does, so that it removes what it staged; kill it if that takes long."""
        self.is_stopped = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGINT)
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        if process.returncode is None:
            process.kill()

    async def _read_complaints(self, process: Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            text = line.decode("utf-8", "replace").strip()
            report = ProgressReport.of_line(text)
            if report is not None:
                self._report(report)
            elif text:
                self._complaints = [*self._complaints, text][-_KEPT_LINES:]
