"""One process that serves `/content/` and `/ostree/` alone: `python -m netboot.serve.workers.content_worker`.

Told by lines of JSON on stdin what to serve and where (`content_workers` writes them), tells by lines on stdout what
it served. Ends when stdin ends, so that none outlives its daemon. Holds no secret, asks no store, decides nothing.
"""

import asyncio
import ctypes
import json
import signal
import socket
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web

from netboot.content.serving.index import Content
from netboot.serve.boot_http.runner import check_every_head, quiet_runner
from netboot.serve.static_http.content_handler import ContentHandler, content_routes
from netboot.serve.static_http.engine import ContentEngine
from netboot.serve.static_http.shares import ShareLimits
from netboot.serve.workers.content_reports import LISTENING, Reports
from netboot.telemetry import logs

REPORT_INTERVAL_S: Final = 0.25
_MOST_UNREAD_BYTES: Final = 1 << 20  # a daemon that is busy is not sent more
_BACKLOG: Final = 1024
_SO_ATTACH_REUSEPORT_CBPF: Final = 51
_LOAD_WORD, _MODULO, _RETURN_A = 0x20, 0x94, 0x16  # linux/bpf_common.h: LD|W|ABS, ALU|MOD|K, RET|A
_SOURCE_ADDRESS: Final = 0x1_0000_0000 - 0x100000 + 12  # SKF_NET_OFF and its place in the IPv4 header

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What every worker of one daemon is told first. `log_level` and `log_form` are those of `logs.configure`."""

    directory: str
    port: int
    workers: int
    max_streams: int
    client_rate: int
    drain_s: float
    log_level: str = "info"
    log_form: str = "json"

    def line(self) -> bytes:
        """Write them as the first line of a worker's stdin."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Worker:
    """The listeners of one process and what they share."""

    def __init__(self, options: WorkerOptions, reports: Reports) -> None:
        self._options = options
        self._content = Content(Path(options.directory))
        limits = ShareLimits(options.max_streams, options.client_rate).shared_by(options.workers)
        self._handler = ContentHandler(self._content, reports, counters=reports, limits=limits)
        self._listeners: dict[str, asyncio.Server] = {}

    async def open(self) -> None:
        """Read the index and make ready."""
        await self.reload()
        app = web.Application()
        app.add_routes(content_routes(self._handler))
        self._runner = quiet_runner(
            app, self._handler.counters, drain_s=self._options.drain_s, refused=self._handler.refused
        )
        await self._runner.setup()
        assert self._runner.server is not None
        check_every_head(self._runner.server, self._handler.counters, self._handler.refused)
        self._engine = ContentEngine(self._handler, self._runner.server)

    async def reload(self) -> None:
        """Read the directory anew."""
        await asyncio.to_thread(self._content.refresh)
        self._handler.reloaded()

    async def listen(self, addresses: list[str]) -> None:
        """Listen on these addresses and on no others; raise OSError where one cannot be."""
        for address in self._listeners.keys() - set(addresses):
            self._listeners.pop(address).close()
        for address in sorted(set(addresses) - self._listeners.keys()):
            listener = await asyncio.get_running_loop().create_server(
                self._engine.protocol,
                address,
                self._options.port,
                backlog=_BACKLOG,
                reuse_address=True,
                reuse_port=True,
            )
            self._listeners[address] = listener
            for bound in listener.sockets:
                spread_by_machine(bound, self._options.workers)

    async def close(self) -> None:
        """Take nothing new, let what is on its way arrive, and end."""
        for listener in self._listeners.values():
            listener.close()
        await asyncio.gather(self._engine.stop(self._options.drain_s), self._runner.cleanup())


def spread_by_machine(bound: Any, workers: int) -> None:
    """Have the kernel give every connection of one machine to one worker: socket(7), SO_ATTACH_REUSEPORT_CBPF.

    Its rate and its turns are kept in one process. Where a worker is missing, or the kernel does not take the
    program, the kernel spreads by its own hash, and only the fairness suffers.
    """
    program = b"".join(
        struct.pack("=HBBI", code, 0, 0, k)
        for code, k in ((_LOAD_WORD, _SOURCE_ADDRESS), (_MODULO, workers), (_RETURN_A, 0))
    )
    held = ctypes.create_string_buffer(program, len(program))
    try:
        bound.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
        )
    except OSError as error:
        log.warning("content.spread_refused", reason=str(error))


async def run() -> None:
    """Serve until stdin ends."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)
    options = WorkerOptions(**json.loads(await orders.readline()))
    logs.configure(level=options.log_level, form=options.log_form)
    reports = Reports()
    worker = Worker(options, reports)
    await worker.open()
    teller = asyncio.create_task(_tell(reports, transport))
    try:
        while line := await orders.readline():
            order = json.loads(line)
            if "listen" in order:
                await worker.listen(order["listen"])
                transport.write(LISTENING)
            if "reload" in order:
                await worker.reload()
    except OSError as error:
        log.error("content.worker_failed", port=options.port, reason=str(error))
        raise SystemExit(1) from error
    finally:
        await worker.close()
        teller.cancel()
        transport.writelines(reports.take())
        transport.close()


async def _tell(reports: Reports, transport: asyncio.WriteTransport) -> None:
    while True:
        await asyncio.sleep(REPORT_INTERVAL_S)
        if transport.get_write_buffer_size() < _MOST_UNREAD_BYTES:
            transport.writelines(reports.take())


if __name__ == "__main__":
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # meant for the daemon, which ends our stdin
        signal.signal(ignored, signal.SIG_IGN)
    asyncio.run(run())
