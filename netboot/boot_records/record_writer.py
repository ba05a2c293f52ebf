"""Takes lines and packets in memory and writes them later, in batches, in a thread; wakes those that follow a log.

No reply to a machine waits for a record: what the disk does not take in time is dropped and counted. Packets are
written at most a fortieth of the time: many machines at once, each with a file of its own, cost no offer.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

import structlog

from netboot.boot_records.budgeted_batch import Written
from netboot.boot_records.capture_store import CaptureStore, ReceivedPacket
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.boot_records.log_store import LogStore, ReceivedLine, read_log
from netboot.boot_records.record_files import Owner, RecordKind, StoredRecord, cure_of
from netboot.errors import StoreError
from netboot.model.boot.log_line import LogLine
from netboot.model.host.mac import Mac
from netboot.store.failure import DISK_CURES
from netboot.telemetry.logs import LineLimit
from netboot.telemetry.metrics import Metrics

MOST_WAITING: Final = 20_000  # lines; a slow disk drops more
MOST_PACKETS_WAITING: Final = 10_000
MOST_BYTES_WAITING: Final = 16 << 20  # of packets
BATCH: Final = 500  # a few milliseconds of a thread, which share the interpreter with the event loop
PAUSE_S: Final = 0.25  # between batches that are not full
BATCH_OF_PACKETS: Final = 100  # the first packets of many boots, for which files are made, take 15 ms
PAUSE_OF_PACKETS_S: Final = 0.1
REST: Final = 39  # times as long as a batch of packets took
LONGEST_REST_S: Final = 10.0
MEASURE_S: Final = 300.0
VERIFY_S: Final = 2.0  # how often a disk that took no records is tried again
BEAT_S: Final = 1.0  # how soon a follower finds that its reader has gone

MeasureStore = Callable[[], Awaitable[int]]  # its bytes; raises StoreError

Taken = TypeVar("Taken", ReceivedLine, ReceivedPacket)

log = structlog.get_logger()


class RecordWriter:
    """The buffer of logs and captures."""

    def __init__(
        self, budget: DiskBudget, counters: Metrics, *, application: str, store_size: MeasureStore | None = None
    ) -> None:
        """`application` is named in captures. `store_size` measures what the store takes of the budget."""
        self.budget, self.counters = budget, counters
        self._logs, self._captures = LogStore(budget), CaptureStore(budget, application=application)
        self._store_size = store_size
        self._problems: dict[RecordKind | None, str] = {}  # why records are not written now; None: any of them
        self._of_disk: set[RecordKind | None] = set()  # those of them that end when the disk can be written again
        self._lines: list[ReceivedLine] = []
        self._packets: list[ReceivedPacket] = []
        self._packet_bytes = 0
        self._has_lines, self._has_packets = asyncio.Event(), asyncio.Event()
        self._writing = asyncio.Lock()
        self._grown = asyncio.Event()  # another one after each batch
        self._has_ended = False
        self._faults = LineLimit()

    @property
    def problem(self) -> str | None:
        """Return why records are not written now."""
        return next(iter(self._problems.values()), None)

    def take(self, received: ReceivedLine) -> None:
        """Take a line at once; it is written within a moment, or dropped if too many wait."""
        if len(self._lines) >= MOST_WAITING:
            self.count_dropped(RecordDrop.QUEUE_FULL)
            return
        self._lines.append(received)
        self._has_lines.set()

    def take_packet(self, received: ReceivedPacket) -> bool:
        """Take a packet at once, as `take`; return whether it will be written."""
        size_bytes = len(received.packet.data)
        part = 2 if isinstance(received.owner, Mac) else 1  # half is for hosts: a machine can have many MACs
        has_place = len(self._packets) < MOST_PACKETS_WAITING // part
        if not has_place or self._packet_bytes + size_bytes > MOST_BYTES_WAITING // part:
            self.count_dropped_packets(RecordDrop.QUEUE_FULL)
            return False
        self._packets.append(received)
        self._packet_bytes += size_bytes
        self._has_packets.set()
        return True

    def count_dropped(self, reason: RecordDrop, number: int = 1) -> None:
        """Count lines that are not kept."""
        self.counters.count("log_lines_dropped", number, reason=reason.value)

    def count_dropped_packets(self, reason: RecordDrop, number: int = 1) -> None:
        """Count packets that are not kept."""
        self.counters.count("captured_packets_dropped", number, reason=reason.value)

    async def run(self) -> None:
        """Write what was taken until cancelled."""
        try:
            await asyncio.to_thread(self.budget.open)
        except OSError as error:
            cannot = f"cannot use {self.budget.files.directory}: {error.strerror}; {cure_of(error)}"
            self._note_problem(None, cannot, is_of_disk=error.errno in DISK_CURES)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_writing_lines())
            tasks.create_task(self._keep_writing_packets())
            tasks.create_task(self._keep_verifying())
            if self._store_size is not None:
                tasks.create_task(self._keep_measuring(self._store_size))

    async def _keep_writing_lines(self) -> None:
        while True:
            await self._has_lines.wait()
            if len(self._lines) < BATCH:
                await asyncio.sleep(PAUSE_S)
            await asyncio.shield(self._write_lines())  # a running write ends; the last one waits for it

    async def _keep_writing_packets(self) -> None:
        took_s = 0.0
        while True:
            await self._has_packets.wait()
            await asyncio.sleep(min(max(PAUSE_OF_PACKETS_S, REST * took_s), LONGEST_REST_S))
            took_s = await asyncio.shield(self._write_packets())

    async def _keep_verifying(self) -> None:
        """Find that a disk that took no records can be written again, also while no machine boots."""
        while True:
            await asyncio.sleep(VERIFY_S)
            if self._of_disk:
                with suppress(OSError):
                    await asyncio.to_thread(self.budget.files.verify_writable)
                    for kind in self._of_disk:
                        self._problems.pop(kind, None)
                    self._of_disk.clear()

    async def _keep_measuring(self, store_size: MeasureStore) -> None:
        while True:
            with suppress(StoreError):  # its size of before is good enough
                self.budget.store_bytes = await store_size()
            await asyncio.sleep(MEASURE_S)

    async def close(self) -> None:
        """Write the rest."""
        await self._write_lines()  # waits for a running one
        while self._lines or self._packets:
            await self._write_lines()
            await self._write_packets()

    async def write_packets(self) -> None:
        """Write the packets that wait now."""
        for _ in range(-(-len(self._packets) // BATCH_OF_PACKETS)):
            await self._write_packets()

    async def _write_lines(self) -> None:
        async with self._writing:
            batch, self._lines = self._lines[:BATCH], self._lines[BATCH:]
            if not self._lines:
                self._has_lines.clear()
            if not batch:
                return
            written = await self._written(self._logs.write, batch)
        for reason, number in written.dropped.items():
            self.count_dropped(reason, number)
        self._note_written(RecordKind.LOG, written)
        self._wake()

    async def _write_packets(self) -> float:
        """Write a batch of packets; return the seconds that it took."""
        loop = asyncio.get_running_loop()
        async with self._writing:
            batch, self._packets = self._packets[:BATCH_OF_PACKETS], self._packets[BATCH_OF_PACKETS:]
            self._packet_bytes -= sum(len(received.packet.data) for received in batch)
            if not self._packets:
                self._has_packets.clear()
            if not batch:
                return 0.0
            began_s = loop.time()
            written = await self._written(self._captures.write, batch)
            took_s = loop.time() - began_s
        for reason, number in written.dropped.items():
            self.count_dropped_packets(reason, number)
        self._note_written(RecordKind.CAPTURE, written)
        return took_s

    async def _written(self, write: Callable[[list[Taken]], Written], batch: list[Taken]) -> Written:
        """Write a batch in a thread; a fault of ours drops it, and ends no other work of the daemon."""
        try:
            return await asyncio.to_thread(write, batch)
        except Exception as error:
            if self._faults.note("a batch"):
                log.error("records.batch_failed", exc_info=error)
            problem = "a batch of records was not written: a fault of netboot's own, see the log"
            return Written({RecordDrop.WRITE_FAILED: len(batch)}, problem)

    def _note_written(self, kind: RecordKind, written: Written) -> None:
        self._problems.pop(None, None)
        if written.problem is None:
            self._problems.pop(kind, None)
            self._of_disk.discard(kind)
        else:
            self._note_problem(kind, written.problem, is_of_disk=written.is_of_disk)

    def _note_problem(self, kind: RecordKind | None, problem: str, *, is_of_disk: bool) -> None:
        if self._problems.get(kind) != problem:
            log.error("records.write_failed", reason=problem)
        self._problems[kind] = problem
        (self._of_disk.add if is_of_disk else self._of_disk.discard)(kind)

    def end(self) -> None:
        """End every `follow`, now and from now on."""
        self._has_ended = True
        self._wake()

    def _wake(self) -> None:
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    async def follow(
        self, owner: Owner, boot: StoredRecord | None, *, offset: int = 0
    ) -> AsyncGenerator[StoredRecord | LogLine | None, None]:
        """Give the lines of a boot from an offset on, then later ones and those of the boots after it until `end`.

        Each boot comes before its lines; None if nothing came for `BEAT_S`. `boot` is None if there is no log yet.
        """
        files = self.budget.files
        if boot is not None:
            yield boot
        while not self._has_ended:
            grown = self._grown
            lines: list[LogLine] = []
            if boot is not None:
                lines, offset = await asyncio.to_thread(read_log, boot, offset)
            for line in lines:
                yield line
            if lines:
                continue
            newest = (await asyncio.to_thread(files.of, owner, RecordKind.LOG))[-1:]
            if newest and (boot is None or newest[0].path != boot.path):
                boot, offset = newest[0], 0
                yield boot
                continue
            try:
                async with asyncio.timeout(BEAT_S):
                    await grown.wait()
            except TimeoutError:
                yield None
