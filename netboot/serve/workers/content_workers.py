"""Keeps the content workers: starts them, tells them what to serve, starts again what died, ends them with the daemon.

Never serves itself, and never lets a worker's death touch a boot: offers, scripts and secrets do not pass there.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import structlog

from netboot.serve.workers import content_reports
from netboot.serve.workers.content_reports import LISTENING, Counters, ScriptService
from netboot.serve.workers.content_worker import WorkerOptions

FIRST_BACKOFF_S: Final = 0.5
LONGEST_BACKOFF_S: Final = 30.0
_IS_HEALTHY_AFTER_S: Final = 60.0
_LONGEST_LINE: Final = 8 << 20
_GRACE_S: Final = 5.0
_LISTENS_WITHIN_S: Final = 20.0

log = structlog.get_logger()


class ContentWorkers:
    """So many processes on one port."""

    def __init__(self, options: WorkerOptions, service: ScriptService, *, counters: Counters) -> None:
        self._options = options
        self._service = service
        self._counters = counters
        self._addresses: list[str] = []
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._deaf = set(range(options.workers))  # have not listened yet
        self._all_listen = asyncio.Event()
        self._is_stopping = False

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        return [process.pid for process in self._running.values()]

    async def run(self) -> None:
        """Keep every worker running until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._options.workers):
                tasks.create_task(self._keep(number))

    async def listening(self) -> None:
        """Wait until every worker listens; go on with a warning where one takes too long or cannot."""
        if not self._deaf:
            return
        try:
            async with asyncio.timeout(_LISTENS_WITHIN_S):
                await self._all_listen.wait()
        except TimeoutError:
            log.warning("content.workers_late", workers=sorted(self._deaf), port=self._options.port)

    def listen(self, addresses: Iterable[str]) -> None:
        """Have every worker listen on these addresses and on no others, from now on."""
        self._addresses = sorted(addresses)
        self._tell({"listen": self._addresses})

    def reload(self) -> None:
        """Have every worker read the content directory anew."""
        self._tell({"reload": True})

    async def stop(self) -> None:
        """Let what is on its way arrive, then end every worker."""
        self._is_stopping = True
        running = list(self._running.values())
        for process in running:
            assert process.stdin is not None
            process.stdin.close()
        waiting = [asyncio.ensure_future(process.wait()) for process in running]
        if waiting:
            await asyncio.wait(waiting, timeout=self._options.drain_s + _GRACE_S)
        for process in running:
            if process.returncode is None:
                process.kill()

    async def _keep(self, number: int) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._is_stopping:
            began = time.monotonic()
            code = await self._run_one(number)
            if self._is_stopping:
                return
            if time.monotonic() - began > _IS_HEALTHY_AFTER_S:
                backoff_s = FIRST_BACKOFF_S
            log.error("content.worker_died", worker=number, code=code, again_in_s=backoff_s)
            await asyncio.sleep(backoff_s)
            backoff_s = min(LONGEST_BACKOFF_S, 2 * backoff_s)

    async def _run_one(self, number: int) -> int:
        """Start a worker and listen to it until it ends; give its exit code."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "netboot.serve.workers.content_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._running[number] = process
        try:
            process.stdin.write(self._options.line())
            process.stdin.write(_order({"listen": self._addresses}))
            log.info("content.worker_started", worker=number, pid=process.pid)
            await self._listen_to(process.stdout, number)
            return await process.wait()
        finally:
            del self._running[number]
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _listen_to(self, reports: asyncio.StreamReader, number: int) -> None:
        while line := await reports.readline():
            if line == LISTENING:
                self._deaf.discard(number)
                if not self._deaf:
                    self._all_listen.set()
                continue
            try:
                content_reports.apply(line, self._service, self._counters)
            except ValueError as error:
                log.error("content.report_unreadable", reason=str(error))
            await asyncio.sleep(0)  # an offer may come between two lines

    def _tell(self, order: dict[str, object]) -> None:
        for process in self._running.values():
            if process.stdin is not None and not process.stdin.is_closing():
                process.stdin.write(_order(order))


def _order(order: dict[str, object]) -> bytes:
    return json.dumps(order).encode() + b"\n"
