"""Connections that send syslog: admitted for machines only, in a bounded number, read in pieces."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import pytest

from netboot.boot_records.drop_reasons import RecordDrop
from netboot.serve.syslog import syslog_stream
from netboot.serve.syslog.syslog_stream import IDLE_S, OpenStreams, SyslogStream

LOOPBACK = IPv4Address("127.0.0.1")


@dataclass
class Lines:
    """Stands for the service of lines and its writer: what came, and what was dropped."""

    known: bool = True
    host: bool = True
    came: list[tuple[IPv4Address, bytes]] = field(default_factory=list)
    dropped: list[RecordDrop] = field(default_factory=list)

    @property
    def writer(self) -> "Lines":
        return self

    def is_known(self, _address: IPv4Address) -> bool:
        return self.known

    def is_of_host(self, _address: IPv4Address) -> bool:
        return self.host

    def count_dropped(self, reason: RecordDrop) -> None:
        self.dropped.append(reason)

    def record(self, address: IPv4Address, lines: Sequence[bytes], _parse: object, **_: object) -> None:
        self.came += [(address, line) for line in lines]


def run(lines: Lines, scenario: Any) -> Any:
    """Run a scenario with a server of streams: it gets the port and the open streams."""

    async def inside() -> Any:
        streams: Any = OpenStreams(lines)  # type: ignore[arg-type]
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SyslogStream(streams, loop.time), "127.0.0.1", 0)
        async with server, asyncio.timeout(20):
            found = await scenario(server.sockets[0].getsockname()[1], streams)
            streams.close()
            return found

    return asyncio.run(inside())


def test_an_address_has_one_connection_while_descriptors_are_scarce(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(syslog_stream, "is_scarce", lambda _descriptor: True)

    async def scenario(port: int, _streams: OpenStreams) -> bool:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        was_refused = await ended(opened[1][0])
        for _, writer in opened:
            writer.close()
        return was_refused

    lines = Lines()
    assert run(lines, scenario)
    assert lines.dropped == [RecordDrop.DESCRIPTORS]


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


def test_a_client_that_sends_much_is_read_in_pieces():
    lines = Lines()

    async def scenario(port: int, _streams: OpenStreams) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(b"<6>%d\n" % number for number in range(20_000)) + b"<6>last")
        writer.write_eof()
        assert await ended(reader)
        writer.close()

    run(lines, scenario)

    assert lines.came == [*((LOOPBACK, b"<6>%d" % number) for number in range(20_000)), (LOOPBACK, b"<6>last")]


def test_an_address_of_no_machine_is_disconnected_at_once():
    lines = Lines(known=False)

    async def scenario(port: int, _streams: OpenStreams) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await ended(reader)
        finally:
            writer.close()

    assert run(lines, scenario)
    assert (lines.came, lines.dropped) == ([], [RecordDrop.UNKNOWN_ADDRESS])


def test_the_connections_of_an_address_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(syslog_stream, "CONNECTIONS_OF_ADDRESS", 2)
    lines = Lines()

    async def scenario(port: int, _streams: OpenStreams) -> None:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert await ended(opened[2][0])
        opened[0][1].close()
        await asyncio.sleep(0.1)
        opened.append(await asyncio.open_connection("127.0.0.1", port))
        opened[3][1].write(b"<6>again\n")
        while not lines.came:  # noqa: ASYNC110 - nothing notifies
            await asyncio.sleep(0.01)
        for _, writer in opened:
            writer.close()

    run(lines, scenario)

    assert (lines.came, lines.dropped) == ([(LOOPBACK, b"<6>again")], [RecordDrop.CONNECTIONS])


def test_unregistered_machines_leave_half_of_the_connections_to_hosts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(syslog_stream, "MOST_CONNECTIONS", 4)
    lines = Lines(host=False)

    async def scenario(port: int, _streams: OpenStreams) -> None:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert await ended(opened[2][0])
        lines.host = True
        opened += [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert await ended(opened[5][0])
        for _, writer in opened:
            writer.close()

    run(lines, scenario)

    assert lines.dropped == [RecordDrop.CONNECTIONS] * 2


def test_a_connection_that_sends_nothing_is_closed_after_an_hour():
    async def scenario(port: int, streams: OpenStreams) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.1)
        now_s = asyncio.get_running_loop().time()
        streams.close_idle(now_s + IDLE_S - 1)
        await asyncio.sleep(0.05)
        assert not reader.at_eof()
        streams.close_idle(now_s + IDLE_S + 1)
        try:
            return await ended(reader)
        finally:
            writer.close()

    assert run(Lines(), scenario)
