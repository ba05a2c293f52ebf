"""While other machines hold the descriptors, what a machine does not get is counted and is no problem of its own."""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from aiohttp import web
from fixtures.listeners import default_shares
from fixtures.no_descriptor import no_descriptor_left
from serve.conftest import Limit
from serve.test_engine import Line, Recorder, get, on_a_line, until
from serve.test_syslog_stream import Lines, ended
from structlog.testing import capture_logs

from netboot.app.tls.tls_listener import TlsListener
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.content.serving.bodies import FileChangedError
from netboot.content.serving.index import ContentIndex
from netboot.content.serving.served_file import ServedFile, etag_of
from netboot.errors import DescriptorsError
from netboot.model.admin_listen import AddressEndpoint
from netboot.model.host.network import Interface
from netboot.model.release import ContentKind
from netboot.serve.boot_http.boot_listener import BootHttpListener
from netboot.serve.net.descriptors import DescriptorUser, is_scarce, may_use
from netboot.serve.static_http.conditional import answer_for
from netboot.serve.static_http.connection_state import SCARCE_IDLE_TIMEOUT_S
from netboot.serve.static_http.machine_limit import MachineLimit
from netboot.serve.static_http.send import NO_DESCRIPTOR, LargeFiles
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


@pytest.mark.parametrize(
    ("user", "has_one"), [(DescriptorUser.BOOT_CONNECTION, True), (DescriptorUser.ADMIN_CONNECTION, False)]
)
def test_a_machine_has_one_connection_with_tls_and_nobody_one_that_is_kept(
    limit: Limit, user: DescriptorUser, has_one: bool
):
    refused, port = list[str](), free_port()

    async def run() -> None:
        listener = TlsListener(
            AddressEndpoint(IPv4Address(HERE), port),
            handler=asyncio.Protocol,
            context=ssl.create_default_context,
            closed_interfaces=(),
            limit=MachineLimit(3),
            user=user,
            on_refused=refused.append,
        )
        listener.open()
        limit(256)
        async with asyncio.timeout(TIMEOUT_S), Connections() as opened:
            opened.take_until(is_scarce)
            first, second = [await opened.connect(port, HERE) for _ in range(2)]
            await until(lambda: len(listener._open) + len(refused) == 2)
            if has_one:
                assert await ended(second)
            opened.take_until(lambda number: not may_use(number, user))
            assert await ended(await opened.connect(port, ALSO_HERE))
            assert [each.at_eof() for each in (first, second)] == [False, has_one]
        await listener.close()

    asyncio.run(run())

    assert refused == ["too-many"] * (1 + has_one)


def test_an_idle_connection_is_closed_earlier_while_descriptors_are_scarce(tmp_path: Path, limit: Limit):
    async def talk(line: Line) -> None:
        limit(256)
        line.connection._since = time.monotonic() - SCARCE_IDLE_TIMEOUT_S - 1
        line.engine._sweeper.cancel()
        line.engine._sweep()
        assert not line.connection._transport.is_closing()
        async with Connections() as opened:
            opened.take_until(is_scarce)
            assert await line.reader.read() == b""  # at the next sweep

    on_a_line(tmp_path, talk)


def test_a_large_file_that_could_not_be_opened_is_none_that_its_machine_reads(tmp_path: Path, limit: Limit):
    path = tmp_path / "vmlinuz"
    path.write_bytes(b"kernel")
    etag = etag_of(path.stat())
    here, gone = (
        ServedFile(str(each), 6, etag, "text/plain", "no-cache", ContentKind.KERNEL) for each in (path, tmp_path / "x")
    )
    answer = answer_for(here, "GET", {})

    async def run() -> None:
        large_files = LargeFiles()
        limit(256)
        async with Connections() as opened:
            opened.take_until(is_scarce)
            with pytest.raises(FileChangedError):
                await opened.enter_async_context(large_files.opened(gone, answer, HERE))
            for _ in range(2):
                async with large_files.opened(here, answer, HERE) as (_, first):
                    assert first == b"kernel"
                    with pytest.raises(DescriptorsError):  # its second one at the same time
                        await opened.enter_async_context(large_files.opened(here, answer, HERE))
                    async with large_files.opened(here, answer, ALSO_HERE) as (_, first):
                        assert first == b"kernel"

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/content/ol8/vmlinuz", "/content/ol8/initrd.img", "/ostree/ock/summary"])
def test_a_file_that_cannot_be_opened_for_lack_of_a_descriptor_is_requested_again_and_no_fault(
    tmp_path: Path, path: str
):
    for name, body in {
        "media/ol8/vmlinuz": bytes(100_000),
        "media/ol8/initrd.img": b"i",
        "ostree/ock/summary": b"s",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)

    async def talk(line: Line) -> None:
        await asyncio.to_thread(int)  # a thread that opens files is there
        with no_descriptor_left():
            line.send_request(get(path))
            status, fields, _ = await line.answer()
        assert (status, fields["Retry-After"]) == (503, "5")

    with capture_logs() as logs:
        on_a_line(tmp_path, talk)
    assert [each["event"] for each in logs if each["log_level"] == "error"] == []


def test_what_cannot_be_opened_for_lack_of_a_descriptor_is_counted_as_refused_for_it(tmp_path: Path):
    counters = Metrics()
    files = StaticFiles(ContentIndex(tmp_path), Recorder(), counters=counters, shares=default_shares(), advertised={})

    answer = files.record_unreadable("/content/ol8/vmlinuz", OSError(errno.EMFILE, "Too many open files"))

    assert answer == NO_DESCRIPTOR
    assert counters.total("http_refused", reason="no-descriptor") == counters.total("http_refused") == 1
