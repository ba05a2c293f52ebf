"""TFTP on every interface: listeners opened and closed as interfaces change, drained at the end.

Requests are handled in `request_handler`; a read is in `wire.tftp.transfer`.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import structlog

from netboot.boot.named_files import FileService
from netboot.boot.records.packet_capture import PacketCapture
from netboot.content.bootfiles.bootfile_cache import BootFileCache
from netboot.errors import PortError
from netboot.model.host.network import Interface
from netboot.serve.net.udp import UdpSocket
from netboot.serve.tftp.request_handler import TftpHandler, TftpSettings
from netboot.telemetry.health import HealthPart
from netboot.telemetry.metrics import Metrics, Reading

_THREADS: Final = 2  # that read boot files: no reader waits for the daemon's other threads

log = structlog.get_logger()


class TftpServer:
    """Every open listener. Give `serve` to `Interfaces.on_change`. Made in the running loop."""

    def __init__(
        self,
        file_service: FileService,
        settings: TftpSettings,
        *,
        counters: Metrics,
        capture: PacketCapture | None = None,
    ) -> None:
        """`capture` None: no packet is recorded."""
        self._settings = settings
        self._counters = counters
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tftp-disk")
        self._handler = partial(
            TftpHandler,
            file_service=file_service,
            settings=settings,
            cache=BootFileCache(),
            threads=self._threads,
            counters=counters,
            capture=capture,
        )
        self._listeners: dict[Interface, TftpHandler] = {}
        self._retired: list[TftpHandler] = []  # listeners whose interface changed while machines were reading
        self._interfaces: tuple[Interface, ...] = ()
        self._awaited: dict[str, str] = {}  # interfaces whose port cannot be opened now, each with the reason

    @property
    def problems(self) -> list[str]:
        """Why some interface is not served now."""
        return [self._awaited[name] for name in sorted(self._awaited)]

    def parts(self) -> Iterator[HealthPart]:
        """Give the state of the port on each interface."""
        for interface in self._interfaces:
            yield HealthPart.of(
                "tftp", self._awaited.get(interface.name), name=f"{interface.name}:{self._settings.port}"
            )

    def readings(self) -> Iterator[Reading]:
        """Read the queues and transfers of each interface; those of a closed port count as well."""
        running = Counter[str]()
        for handler in (*self._listeners.values(), *self._retired):
            running[handler.interface.name] += handler.running_count
        for handler in self._listeners.values():
            yield from handler.readings()
        yield from (Reading("tftp_transfers_running", count, (name,)) for name, count in running.items())

    def unread(self) -> Iterator[str]:
        """Yield the ports whose datagrams the loop does not read; a watchdog calls it every few seconds."""
        for interface, handler in self._listeners.items():
            if handler.is_unread():
                yield f"UDP port {self._settings.port} on {interface.name}"

    def bytes_running(self) -> int:
        """Return how many bytes the running transfers have sent, which no counter has yet."""
        return sum(handler.bytes_running for handler in (*self._listeners.values(), *self._retired))

    def serve(self, interfaces: Sequence[Interface]) -> None:
        """Answer on these interfaces from now on and on no others; reads that run go on.

        If a port is in use, `retry` tries it again.
        """
        self._retired = [handler for handler in self._retired if handler.is_busy]
        for gone in self._listeners.keys() - set(interfaces):
            handler = self._listeners.pop(gone)
            handler.retire()
            self._retired.append(handler)
        self._interfaces = tuple(interfaces)
        for name in self._awaited.keys() - {interface.name for interface in interfaces}:
            del self._awaited[name]
        self.retry()

    def retry(self) -> None:
        """Open what could not be opened so far."""
        for interface in self._interfaces:
            if interface not in self._listeners:
                self._open(interface)

    async def drain(self, timeout_s: float) -> None:
        """Take no more requests and wait for the running reads."""
        listeners = (*self._listeners.values(), *self._retired)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(handler.drain() for handler in listeners))
        except TimeoutError:
            log.warning("tftp.drain_cut", seconds=timeout_s)

    def close(self) -> None:
        """Close every port; machines that are still reading time out and retry."""
        for handler in (*self._listeners.values(), *self._retired):
            handler.close()
        self._listeners.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _open(self, interface: Interface) -> None:
        try:
            udp = UdpSocket(self._settings.port, interface, counters=self._counters)
        except PortError as error:
            if self._awaited.get(interface.name) != str(error):  # it is tried every few seconds
                log.error("tftp.bind_failed", iface=interface.name, port=self._settings.port, reason=str(error))
            self._awaited[interface.name] = str(error)
            return
        if self._awaited.pop(interface.name, None) is not None:
            log.info("tftp.opened", iface=interface.name, port=self._settings.port)
        handler = self._listeners[interface] = self._handler(udp)
        udp.watch(partial(udp.each, handler.receive))
