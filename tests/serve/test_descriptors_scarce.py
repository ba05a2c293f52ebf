"""While other machines hold the descriptors, what a machine does not get is counted and is no problem of its own."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from aiohttp import web
from fixtures.listeners import default_shares
from serve.conftest import Limit
from serve.test_engine import Recorder
from serve.test_syslog_stream import Lines, ended

from netboot.boot_records.drop_reasons import RecordDrop
from netboot.content.serving.index import ContentIndex
from netboot.model.host.network import Interface
from netboot.serve.boot_http.boot_listener import BootHttpListener
from netboot.serve.net.descriptors import DescriptorUser, is_scarce, may_use
from netboot.serve.static_http.static_files import StaticFiles
from netboot.serve.syslog.syslog_server import SyslogServer
from netboot.telemetry.metrics import Metrics

pytestmark = pytest.mark.integration

TIMEOUT_S = 20.0
HERE, ALSO_HERE = "127.0.0.1", "127.0.0.2"


class Connections(AsyncExitStack):
    """Connections of machines, and descriptors that others hold."""

    def take_until(self, is_enough: Callable[[int], bool]) -> None:
        """Open sockets until the number of one is enough."""
        while not is_enough(self.enter_context(socket.socket()).fileno()):
            pass

    async def connect(self, port: int, machine: str) -> asyncio.StreamReader:
        """Connect from the address of a machine."""
        reader, writer = await asyncio.open_connection(HERE, port, local_addr=(machine, 0))
        self.callback(writer.close)
        return reader

    async def are_too_many(self, port: int) -> None:
        """Verify that a machine has one connection while descriptors are scarce, and none of those that are kept."""
        self.take_until(is_scarce)
        first = await self.connect(port, HERE)
        assert await ended(await self.connect(port, HERE))
        self.take_until(are_kept)
        assert await ended(await self.connect(port, ALSO_HERE))
        assert not first.at_eof()


def are_kept(number: int) -> bool:
    return not may_use(number, DescriptorUser.BOOT_CONNECTION)


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HERE, 0))
        found: int = free.getsockname()[1]
    return found


def test_http_counts_a_connection_that_it_closes_for_others_and_emits_no_event(tmp_path: Path, limit: Limit):
    counters, recorder, port = Metrics(), Recorder(), free_port()

    async def run() -> None:
        files = StaticFiles(ContentIndex(tmp_path), recorder, counters=counters, shares=default_shares(), advertised={})
        listener = BootHttpListener(web.Application(), files=files, port=port, drain_s=1.0)
        await listener.open()
        await listener.listen([HERE])
        limit(256)
        async with asyncio.timeout(TIMEOUT_S), Connections() as opened:
            await opened.are_too_many(port)
        await listener.close()

    asyncio.run(run())

    assert recorder.refused == []
    assert 'netboot_http_refused_total{reason="no-descriptor"} 2.0' in counters.exposition().decode().splitlines()


def test_syslog_counts_a_connection_that_it_closes_for_others(limit: Limit):
    lines, port = Lines(), free_port()

    async def run() -> None:
        server = SyslogServer(lines, port, counters=Metrics())  # type: ignore[arg-type]
        server.serve([Interface("lo", socket.if_nametoindex("lo"), IPv4Address(HERE), (IPv4Address(HERE),))])
        await server.retry()
        limit(256)
        async with asyncio.timeout(TIMEOUT_S), Connections() as opened:
            await opened.are_too_many(port)
        server.close()

    asyncio.run(run())

    assert lines.dropped == [RecordDrop.DESCRIPTORS] * 2
