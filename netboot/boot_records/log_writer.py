"""Takes lines in memory and writes them later, in batches, in a thread; wakes those that follow a log.

No reply to a machine waits for a log: what the disk does not take in time is dropped and counted.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import structlog

from netboot.boot_records.line_drop import LineDrop
from netboot.boot_records.log_files import LogFiles, Owner, StoredBoot
from netboot.boot_records.log_store import LogStore, ReceivedLine
from netboot.model.boot.log_line import LogLine
from netboot.telemetry.metrics import Metrics

MOST_WAITING: Final = 20_000  # lines; a slow disk drops more
BATCH: Final = 500  # a few milliseconds of a thread, which share the interpreter with the event loop
PAUSE_S: Final = 0.25  # between batches that are not full
BEAT_S: Final = 1.0  # how soon a follower finds that its reader has gone

log = structlog.get_logger()


class LogWriter:
    """The buffer of the logs."""

    def __init__(self, store: LogStore, counters: Metrics) -> None:
        self.store, self.counters = store, counters
        self.problem: str | None = None  # why lines are not written now
        self._waiting: list[ReceivedLine] = []
        self._has_work = asyncio.Event()
        self._writing = asyncio.Lock()
        self._grown = asyncio.Event()  # another one after each batch
        self._has_ended = False

    def take(self, received: ReceivedLine) -> None:
        """Take a line at once; it is written within a moment, or dropped if too many wait."""
        if len(self._waiting) >= MOST_WAITING:
            self.count_dropped(LineDrop.QUEUE_FULL)
            return
        self._waiting.append(received)
        self._has_work.set()

    def count_dropped(self, reason: LineDrop, number: int = 1) -> None:
        """Count lines that are not kept."""
        self.counters.count("log_lines_dropped", number, reason=reason.value)

    async def run(self) -> None:
        """Write what was taken until cancelled."""
        try:
            await asyncio.to_thread(self.store.open)
        except OSError as error:
            self._note_problem(f"cannot use {self.store.files.directory}: {error.strerror}; see records.directory")
        while True:
            await self._has_work.wait()
            if len(self._waiting) < BATCH:
                await asyncio.sleep(PAUSE_S)
            await asyncio.shield(self._write_batch())  # a running write ends; the last one waits for it

    async def close(self) -> None:
        """Write the rest."""
        await self._write_batch()  # waits for a running one
        while self._waiting:
            await self._write_batch()

    async def _write_batch(self) -> None:
        async with self._writing:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            if not self._waiting:
                self._has_work.clear()
            if not batch:
                return
            written = await asyncio.to_thread(self.store.write, batch)
        for reason, number in written.dropped.items():
            self.count_dropped(reason, number)
        self._note_problem(written.problem)
        self._wake()

    def _note_problem(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:
            log.error("logs.write_failed", reason=problem)
        self.problem = problem

    def end(self) -> None:
        """End every `follow`, now and from now on."""
        self._has_ended = True
        self._wake()

    def _wake(self) -> None:
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    async def follow(self, owner: Owner, boot: StoredBoot | None) -> AsyncGenerator[StoredBoot | LogLine | None, None]:
        """Give the lines of a boot, then later ones and those of the boots after it until `end`.

        Each boot comes before its lines; None if nothing came for `BEAT_S`. `boot` is None if there is no log yet.
        """
        files: LogFiles = self.store.files
        offset = 0
        if boot is not None:
            yield boot
        while not self._has_ended:
            grown = self._grown
            lines: list[LogLine] = []
            if boot is not None:
                lines, offset = await asyncio.to_thread(files.read, boot, offset)
            for line in lines:
                yield line
            if lines:
                continue
            newest = (await asyncio.to_thread(files.boots_of, owner))[-1:]
            if newest and (boot is None or newest[0].path != boot.path):
                boot, offset = newest[0], 0
                yield boot
                continue
            try:
                async with asyncio.timeout(BEAT_S):
                    await grown.wait()
            except TimeoutError:
                yield None
