"""Foreign TFTP clients read from our listeners: tftpy, atftp, tftp-hpa and curl, on loopback and on a bad line."""

import asyncio
import contextlib
import os
import random
import shutil
import socket
import subprocess
import threading
from ipaddress import IPv4Address

import pytest
import structlog
import tftpy
from fixtures.listeners import free_udp_port, tftp_settings

from netboot.content.bootfiles.directories import BootFiles
from netboot.model.host.network import Interface
from netboot.serve.tftp.tftp_server import TftpServer

pytestmark = pytest.mark.integration

HOST = "127.0.0.1"
FILES = {
    "snponly.efi": os.urandom(173_792),
    "divisible": os.urandom(1468 * 64),
    "empty": b"",
    "vmlinuz": os.urandom(6_000_000),
}
LOOPBACK = Interface("lo", socket.if_nametoindex("lo"), IPv4Address(HOST), (IPv4Address(HOST),))
AT_MOST_S = 30.0


class RecordingFiles:
    """Serves one directory to every client."""

    def __init__(self, directory):
        self.files = BootFiles([directory])
        self.reported = []
        self.has_reported = threading.Event()

    def requested_name(self, _address, name):
        return name

    def request_file(self, _address, name):
        return self.files.find(name)

    def begin_transfer(self, *_, **_sent):
        return lambda: None

    def record_loader(self, _address, _name, *, outcome, retransmissions, seconds, **_reported):
        self.reported.append((outcome, retransmissions, seconds))
        self.has_reported.set()

    def count(self, _name, _amount=1, **_labels):
        pass


@contextlib.contextmanager
def a_running_server(directory, interface, **settings):
    ready, shared = threading.Event(), {}

    async def serve():
        service = shared["files"] = RecordingFiles(directory)
        port = free_udp_port()
        server = TftpServer(service, tftp_settings(port=port, **settings), counters=service)
        server.serve([interface])
        stop = asyncio.Event()
        shared.update(loop=asyncio.get_running_loop(), stop=stop, port=port)
        ready.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    with structlog.testing.capture_logs():
        thread.start()
        assert ready.wait(AT_MOST_S)
        try:
            yield shared["port"], shared["files"]
        finally:
            shared["loop"].call_soon_threadsafe(shared["stop"].set)
            thread.join(AT_MOST_S)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bootfiles")
    for name, content in FILES.items():
        (directory / name).write_bytes(content)
    return directory


@pytest.fixture(params=[False, True], ids=["a-port-per-transfer", "single-port"])
def port(request, directory):
    with a_running_server(directory, LOOPBACK, single_port=request.param) as (port, _):
        yield port


def run(*command, given=None):
    if shutil.which(command[0]) is None:
        pytest.fail(f"cannot run {command[0]}: it is not there; apt-get install atftp tftp-hpa curl")
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=AT_MOST_S, check=False)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("options", [{}, {"blksize": 1468, "tsize": 0}], ids=["plain", "blksize-tsize"])
def test_tftpy_reads(port, tmp_path, name, options):
    fetched = tmp_path / "fetched"

    tftpy.TftpClient(HOST, port, options).download(name, str(fetched), timeout=5)

    assert fetched.read_bytes() == FILES[name]


def test_tftpy_gets_an_error_for_a_missing_file(port, tmp_path):
    with pytest.raises(tftpy.TftpFileNotFoundError):
        tftpy.TftpClient(HOST, port).download("nothing.efi", str(tmp_path / "fetched"), timeout=5)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="plain"),
        pytest.param(["blksize 1428", "tsize enable", "timeout 2"], id="options"),
        pytest.param(["blksize 1428", "windowsize 16"], id="windowsize-16"),
        pytest.param(["blksize 512", "windowsize 64"], id="windowsize-64"),
    ],
)
def test_atftp_reads(port, tmp_path, name, options):
    fetched = tmp_path / "fetched"
    settings = [word for option in options for word in ("--option", option)]

    result = run("atftp", *settings, "--get", "-r", name, "-l", str(fetched), HOST, str(port))

    assert result.returncode == 0, result.stderr
    assert fetched.read_bytes() == FILES[name]


@pytest.mark.parametrize(
    ("mode", "name"),
    [("binary", "snponly.efi"), ("binary", "divisible"), ("binary", "vmlinuz"), ("ascii", "snponly.efi")],
)
def test_tftp_hpa_reads(port, tmp_path, name, mode):
    fetched = tmp_path / "fetched"

    result = run("tftp", "-m", mode, HOST, str(port), "-c", "get", name, str(fetched))

    assert result.returncode == 0, result.stderr
    assert fetched.read_bytes() == FILES[name]


@pytest.mark.parametrize("name", ["snponly.efi", "divisible", "vmlinuz"])  # curl 7.88 fails on any empty file
@pytest.mark.parametrize("blksize", ["512", "1428", "65464"])
def test_curl_reads(port, tmp_path, name, blksize):
    fetched = tmp_path / "fetched"

    result = run("curl", "-sS", "--tftp-blksize", blksize, "-o", str(fetched), f"tftp://{HOST}:{port}/{name}")

    assert result.returncode == 0, result.stderr
    assert fetched.read_bytes() == FILES[name]


def test_fifty_clients_read_at_once(port, tmp_path):
    names = [tmp_path / f"fetched-{number}" for number in range(50)]
    started = [
        subprocess.Popen(
            ["curl", "-sS", "--tftp-blksize", "1428", "-o", str(name), f"tftp://{HOST}:{port}/snponly.efi"]
        )
        for name in names
    ]  # fmt: skip

    assert [client.wait(AT_MOST_S) for client in started] == [0] * 50
    for name in names:
        assert name.read_bytes() == FILES["snponly.efi"]


class LossyLine:
    """Carries datagrams between clients and a single-port server; 2 % get lost, each way takes 25 ms.

    In the test's own process because not every kernel has netem. The random numbers are always the same.
    """

    LOSS, DELAY_S = 0.02, 0.025

    def __init__(self, server):
        self.server = server
        self.dice = random.Random(7)
        self.loop = asyncio.get_running_loop()
        self.upstream = {}
        self.front = self.socket_of(lambda data, client: self.carry(data, self.upstream_of(client), self.server))
        self.port = self.front.getsockname()[1]

    def socket_of(self, receive):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        made.bind((HOST, 0))
        self.loop.add_reader(made, lambda: receive(*made.recvfrom(70000)))
        return made

    def upstream_of(self, client):
        if client not in self.upstream:
            self.upstream[client] = self.socket_of(lambda data, _: self.carry(data, self.front, client))
        return self.upstream[client]

    def carry(self, data, by, to):
        if self.dice.random() >= self.LOSS:
            self.loop.call_later(self.DELAY_S, by.sendto, data, to)

    def close(self):
        for made in (self.front, *self.upstream.values()):
            self.loop.remove_reader(made)
            made.close()


@pytest.mark.parametrize("windowsize", ["1", "16"])
def test_a_line_that_loses_still_carries_a_loader(directory, tmp_path, windowsize):
    fetched = tmp_path / "fetched"

    async def fetch():
        line = LossyLine((HOST, port))
        options = ["--option", "blksize 1428", "--option", f"windowsize {windowsize}"]
        client = await asyncio.create_subprocess_exec(
            "atftp", *options, "--get", "-r", "snponly.efi", "-l", str(fetched), HOST, str(line.port)
        )
        async with asyncio.timeout(AT_MOST_S):
            code = await client.wait()
        assert await asyncio.to_thread(service.has_reported.wait, AT_MOST_S)  # the last ACK is still on its way
        line.close()
        return code

    with a_running_server(directory, LOOPBACK, single_port=True) as (port, service):
        assert asyncio.run(fetch()) == 0

    assert fetched.read_bytes() == FILES["snponly.efi"]
    [(outcome, retransmissions, _)] = service.reported
    assert outcome in ("sent", "unconfirmed")
    assert retransmissions > 0
