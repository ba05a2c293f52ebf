"""One TCP connection that sends syslog messages. Nothing is ever sent back, and no client is made to wait.

rsyslog of an installer would block the installer if its server stopped to read, so lines beyond a limit are dropped.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Final

from netboot.boot.records.log_lines import LogLines, Transport
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.serve.net.descriptors import is_scarce
from netboot.wire.syslog.framing import MessageStream
from netboot.wire.syslog.syslog_message import syslog_message

MOST_CONNECTIONS: Final = 1024  # while half of them are open, only a host opens another one
CONNECTIONS_OF_ADDRESS: Final = 8
IDLE_S: Final = 3600.0  # an installer may have nothing to log while it pulls
READ_AT_ONCE_BYTES: Final = 4096  # of a connection, some milliseconds of work; then the other tasks have their turn


class OpenStreams:
    """The connections that are open now."""

    def __init__(self, lines: LogLines) -> None:
        self.lines = lines
        self._streams: set[SyslogStream] = set()
        self._of_address: Counter[IPv4Address] = Counter()

    def admit(self, stream: "SyslogStream", descriptor: int) -> bool:
        """Count a new connection; False, with the reason counted, if it is closed at once.

        An address has one if the number of its descriptor is one of the last.
        """
        address = stream.address
        if not self.lines.is_known(address):
            self.lines.writer.count_dropped(RecordDrop.UNKNOWN_ADDRESS)
            return False
        most = MOST_CONNECTIONS if self.lines.is_of_host(address) else MOST_CONNECTIONS // 2
        if len(self._streams) >= most or self._of_address[address] >= CONNECTIONS_OF_ADDRESS:
            self.lines.writer.count_dropped(RecordDrop.CONNECTIONS)
            return False
        if self._of_address[address] and is_scarce(descriptor):
            self.lines.writer.count_dropped(RecordDrop.DESCRIPTORS)
            return False
        self._streams.add(stream)
        self._of_address[address] += 1
        return True

    def remove(self, stream: "SyslogStream") -> None:
        if stream in self._streams:
            self._streams.remove(stream)
            self._of_address -= Counter([stream.address])

    def close_idle(self, now_s: float) -> None:
        """Close the connections that sent nothing for `IDLE_S`."""
        for stream in list(self._streams):
            if now_s - stream.read_s > IDLE_S:
                stream.close()

    def close(self) -> None:
        for stream in list(self._streams):
            stream.close()


class SyslogStream(asyncio.BufferedProtocol):
    def __init__(self, streams: OpenStreams, now_s: Callable[[], float]) -> None:
        self.address = IPv4Address(0)
        self.read_s = now_s()  # when it last sent something
        self._now_s = now_s
        self._streams = streams
        self._messages = MessageStream()
        self._buffer = bytearray(READ_AT_ONCE_BYTES)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")  # None: the client has closed it already
        self.address = IPv4Address(peer[0]) if peer else self.address
        if not self._streams.admit(self, transport.get_extra_info("socket").fileno()):
            transport.abort()

    def get_buffer(self, _sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.read_s = self._now_s()
        self._record(self._messages.feed(bytes(self._buffer[:nbytes])))

    def connection_lost(self, _error: Exception | None) -> None:
        self._record(self._messages.end())
        self._streams.remove(self)

    def close(self) -> None:
        self._transport.close()

    def _record(self, messages: list[bytes]) -> None:
        if messages:
            self._streams.lines.record(self.address, messages, syslog_message, transport=Transport.TCP)
