"""The HTTP listener of the boot LAN: one engine, and behind it one aiohttp application, on each address.

Opens and closes its listeners as addresses appear and disappear.
"""

import asyncio
import errno
import socket
from collections.abc import Iterable, Iterator
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from netboot.boot.records.packet_capture import FIELDS, PacketCapture
from netboot.model.captured_packet import CapturedRequest
from netboot.serve.boot_http.runner import quiet_runner
from netboot.serve.net.descriptors import DescriptorUser, ListeningSocket
from netboot.serve.static_http.captured_requests import ends_of
from netboot.serve.static_http.engine import HttpEngine
from netboot.serve.static_http.refused import RefusalReason
from netboot.serve.static_http.static_files import StaticFiles
from netboot.telemetry.health import HealthPart, PartState
from netboot.telemetry.metrics import Metrics, Reading

BACKLOG: Final = 1024  # a whole rack that powers on at once waits here and is not refused

log = structlog.get_logger()


class BootHttpListener:
    def __init__(self, app: web.Application, *, port: int, drain_s: float, files: StaticFiles) -> None:
        """Serve `files`, and `app` for documents, on `port`; at the end requests have `drain_s` seconds to finish."""
        self._runner = quiet_runner(app, files.counters, drain_s=drain_s, refused=files.record_refused)
        self._files = files
        self._port = port
        self._drain_s = drain_s
        self._engine: HttpEngine
        self._listeners: dict[str, asyncio.Server] = {}
        self._awaited: dict[str, OSError] = {}  # addresses that cannot be listened on now, each with the reason

    async def open(self) -> None:
        """Prepare the application; `serve` opens the listeners."""
        await self._runner.setup()
        assert self._runner.server is not None
        self._engine = HttpEngine(self._files, self._runner.server)

    @property
    def problems(self) -> list[str]:
        """Why some address is not listened on now."""
        return [_reason(self._awaited[address], address, self._port) for address in sorted(self._awaited)]

    def parts(self) -> Iterator[HealthPart]:
        """Give the state of each address. One that does not exist may be a failover address, now at another server."""
        for address in sorted(self._listeners.keys() | self._awaited.keys()):
            name, error = f"{address}:{self._port}", self._awaited.get(address)
            reason = None if error is None else _reason(error, address, self._port)
            is_absent = error is not None and error.errno == errno.EADDRNOTAVAIL
            at_worst = PartState.DEGRADED if is_absent else PartState.FAILED
            yield HealthPart.of("http", reason, name=name, at_worst=at_worst)

    def endpoints(self) -> list[str]:
        """List the addresses that it listens on."""
        return sorted(self._listeners)

    def readings(self) -> Iterator[Reading]:
        """Read the connections, and the machines that wait for a large body."""
        yield Reading("http_connections", self._engine.open.limit.open_count)
        yield Reading("queue_length", self._files.shares.waiting_count, ("large-bodies", ""))

    async def listen(self, addresses: Iterable[str]) -> None:
        """Listen on these addresses from now on, and on no others.

        If an address does not exist or its port is in use, the next call tries it again.
        """
        wanted = set(addresses)
        for address in self._listeners.keys() - wanted:
            self._listeners.pop(address).close()
            log.info("http.closed", address=address, port=self._port)
        for address in self._awaited.keys() - wanted:
            del self._awaited[address]
        for address in sorted(wanted - self._listeners.keys()):
            try:
                opened = ListeningSocket.listening(
                    socket.AF_INET, (address, self._port), user=DescriptorUser.BOOT_CONNECTION, on_refused=self._refused
                )
                self._listeners[address] = await asyncio.get_running_loop().create_server(
                    self._engine.protocol, sock=opened, backlog=BACKLOG
                )
            except OSError as error:
                before = self._awaited.get(address)
                if before is None or before.errno != error.errno:  # it is tried every few seconds
                    reason = _reason(error, address, self._port)
                    log.error("http.bind_failed", address=address, port=self._port, reason=reason)
                self._awaited[address] = error
                continue
            self._awaited.pop(address, None)
            log.info("http.opened", address=address, port=self._port)

    def _refused(self, address: str) -> None:
        self._files.record_refused(address, RefusalReason.DESCRIPTORS)

    async def close(self) -> None:
        """Accept no more requests, let the running ones end within one common timeout, and stop."""
        for listener in self._listeners.values():
            listener.close()
        await asyncio.gather(self._engine.stop(self._drain_s), self._runner.cleanup())


def _reason(error: OSError, address: str, port: int) -> str:
    what = f"cannot listen on {address}, TCP port {port}"
    match error.errno:
        case errno.EADDRNOTAVAIL:
            return f"{what}: no interface has this address; give it to one, or correct http.listen"
        case errno.EADDRINUSE:
            return f"{what}: another program has it; stop that program (ss -ltnp names it), or change http.port"
        case _:
            return f"{what}: {error.strerror}; see http.listen and http.port"


def last_and_counted(metrics: Metrics) -> Middleware:
    """Make the middleware that counts each request and the bytes of its answer, and closes its connection.

    So aiohttp sees one request of a connection, whose head the engine has checked.
    """

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        status, bytes_sent = 500, 0
        try:
            response = await handler(request)
            status = response.status
            bytes_sent = response.content_length or 0
        except web.HTTPException as error:
            status = error.status
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            response = web.Response(status=status, text=f"{error.reason.lower()}\n", headers=headers)
        except asyncio.CancelledError:
            status = 499  # the machine closed the connection
            raise
        finally:
            resource = request.match_info.route.resource
            area = resource.canonical.split("/")[1] if resource else "none"
            metrics.count("http_requests", area=area, status=str(status))
            metrics.count("http_bytes", 0 if request.method == "HEAD" else bytes_sent, area=area)
        response.force_close()
        return response

    return count


def recorded(capture: PacketCapture) -> Middleware:
    """Make the middleware that records each request and its answer; a request without an answer was not answered."""

    @web.middleware
    async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
        ends = ends_of(request.transport) if request.transport is not None else None
        fields = {name: request.headers[name] for name in FIELDS if name in request.headers}
        captured = ends and CapturedRequest(*ends, request.method, request.raw_path, fields)
        if captured is not None:
            capture.record_request(captured)
        response = await handler(request)
        if captured is not None:
            capture.record_answer(captured, response.status, bytes_sent=response.content_length)
        return response

    return record
