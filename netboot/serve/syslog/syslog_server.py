"""Syslog by UDP on every interface and by TCP on every address; opened and closed as they change."""

import asyncio
import socket
import time
from collections.abc import Sequence
from ipaddress import IPv4Address

import structlog

from netboot.boot.records.log_lines import LogLines, Transport
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.errors import PortError
from netboot.model.host.network import Interface
from netboot.serve.net.descriptors import DescriptorUser, ListeningSocket
from netboot.serve.net.udp import Datagram, UdpSocket
from netboot.serve.syslog.syslog_stream import OpenStreams, SyslogStream
from netboot.telemetry.metrics import Metrics
from netboot.wire.syslog.syslog_message import syslog_message

log = structlog.get_logger()


class SyslogServer:
    """Every open listener. Give `serve` to `Interfaces.on_change`, and call `retry` every few seconds."""

    def __init__(self, lines: LogLines, port: int, *, counters: Metrics) -> None:
        self._lines, self._port, self._counters = lines, port, counters
        self._streams = OpenStreams(lines)
        self._interfaces: tuple[Interface, ...] = ()
        self._sockets: dict[Interface, UdpSocket] = {}
        self._servers: dict[str, asyncio.Server] = {}  # by address
        self._awaited: dict[str, str] = {}  # what cannot be opened now, each with the reason

    @property
    def problems(self) -> list[str]:
        """Why some interface or address does not receive logs now."""
        return [self._awaited[name] for name in sorted(self._awaited)]

    def serve(self, interfaces: Sequence[Interface]) -> None:
        """Receive on these interfaces from now on and on no others; `retry` opens what is new."""
        self._interfaces = tuple(interfaces)
        for gone in self._sockets.keys() - set(interfaces):
            self._sockets.pop(gone).close()
        for gone_address in self._servers.keys() - self._addresses:
            self._servers.pop(gone_address).close()
        wanted = {interface.name for interface in interfaces} | self._addresses
        for name in self._awaited.keys() - wanted:
            del self._awaited[name]

    @property
    def _addresses(self) -> set[str]:
        return {str(interface.address) for interface in self._interfaces}

    async def retry(self) -> None:
        """Open what could not be opened so far, and close connections that send nothing."""
        for interface in self._interfaces:
            if interface not in self._sockets:
                self._open_udp(interface)
        for address in sorted(self._addresses - self._servers.keys()):
            await self._open_tcp(address)
        self._streams.close_idle(time.monotonic())

    def close(self) -> None:
        """Close every listener and connection."""
        for opened in self._sockets.values():
            opened.close()
        for server in self._servers.values():
            server.close()
        self._streams.close()
        self._sockets.clear()
        self._servers.clear()

    def _open_udp(self, interface: Interface) -> None:
        try:
            udp = UdpSocket(self._port, interface, counters=self._counters)
        except PortError as error:
            self._note_awaited(interface.name, f"{error}; see logs.listen")
            return
        self._note_opened(interface.name)
        self._sockets[interface] = udp
        udp.watch(lambda datagrams: udp.each(self._receive, datagrams))

    async def _open_tcp(self, address: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            opened = ListeningSocket.listening(
                socket.AF_INET,
                (address, self._port),
                user=DescriptorUser.BOOT_CONNECTION,
                on_refused=lambda _address: self._lines.writer.count_dropped(RecordDrop.DESCRIPTORS),
            )
            self._servers[address] = await loop.create_server(
                lambda: SyslogStream(self._streams, time.monotonic), sock=opened
            )
        except OSError as error:
            what = f"cannot receive logs on {address}, TCP port {self._port}"
            self._note_awaited(address, f"{what}: {error.strerror}; see logs.listen")
            return
        self._note_opened(address)

    def _note_awaited(self, name: str, reason: str) -> None:
        if self._awaited.get(name) != reason:  # it is tried every few seconds
            log.error("syslog.bind_failed", listener=name, port=self._port, reason=reason)
        self._awaited[name] = reason

    def _note_opened(self, name: str) -> None:
        if self._awaited.pop(name, None) is not None:
            log.info("syslog.opened", listener=name, port=self._port)

    def _receive(self, datagram: Datagram) -> None:
        address = IPv4Address(datagram.source[0])
        self._lines.record(address, (datagram.data,), syslog_message, transport=Transport.UDP)
