"""Connections that would take every descriptor: machines and the administration are served, the fault is shown."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS, write_files
from fixtures.packets import SERVER
from fixtures.rack import Machine, Rack, a_rack
from reliability.faults import Faulted

pytestmark = pytest.mark.integration

DESCRIPTORS = 160
CONNECTIONS = 150  # with those of the daemon itself, more than it has
FLOODING = [f"192.0.2.{number}" for number in range(100, 112)]
LOADER = Path("/usr/lib/ipxe/snponly.efi")
SMALL = LOADER.read_bytes()
LARGE = bytes(range(256)) * (12 << 10)  # for TFTP, a file that stays open
SHOWN = f"of its {DESCRIPTORS} descriptors; set LimitNOFILE=65536 in its unit"


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    directory = write_files(tmp_path, settings=SETTINGS + "bootfiles: {directories: [boot]}\n")
    (directory / "boot").mkdir()
    (directory / "boot/snponly.efi").write_bytes(SMALL)
    (directory / "boot/large.img").write_bytes(LARGE)
    (directory / "boot/huge.img").write_bytes(bytes(16 << 20))
    with a_rack(directory) as rack:
        rack.netboot("install", "arm", "cp1")
        rack.start(on=("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"))
        yield rack


def by_tftp(machine: Machine, name: str) -> bytes:
    """Read a boot file with curl."""
    command = ["ip", "netns", "exec", machine.rack.client_namespace, "curl", "-sS", "--max-time", "10"]
    command += ["--interface", machine.address, "--tftp-blksize", "1468", f"tftp://{SERVER}/{name}"]
    return subprocess.run(command, capture_output=True, timeout=20, check=True).stdout


class Flood:
    """Machines that keep connections open: idle, with half a request, and with a large file that they do not read."""

    SENT = (b"", b"GET /", b"GET /bootfiles/huge.img HTTP/1.1\r\nHost: x\r\n\r\n")

    def __init__(self, rack: Rack) -> None:
        self._rack, self._ends = rack, threading.Event()
        self._open: dict[int, socket.socket] = {}
        self.refused_count = 0

    def run(self) -> None:
        """Open each connection again that the appliance closed, until `end`."""
        while not self._ends.wait(0.05):
            for number in range(CONNECTIONS):
                if self._is_closed(number):
                    self._reopen(number)
        for each in self._open.values():
            each.close()

    def end(self) -> None:
        self._ends.set()

    def _is_closed(self, number: int) -> bool:
        line = self._open.get(number)
        if line is None:
            return True
        try:
            return line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _reopen(self, number: int) -> None:
        if (before := self._open.pop(number, None)) is not None:
            before.close()
            self.refused_count += 1
        line = self._rack.client_socket(socket.AF_INET, socket.SOCK_STREAM)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(1)
        self._open[number] = line
        with suppress(OSError):
            line.bind((FLOODING[number % len(FLOODING)], 0))
            line.connect((SERVER, 8080))
            line.sendall(self.SENT[number % len(self.SENT)])


@contextmanager
def flooded(rack: Rack) -> Iterator[Flood]:
    """Let machines of many addresses take all connections that they get."""
    for address in FLOODING:
        rack.add_client_address(address)
    flood = Flood(rack)
    thread = threading.Thread(target=flood.run)
    thread.start()
    try:
        yield flood
    finally:
        flood.end()
        thread.join(30)
        assert not thread.is_alive()


def test_connections_of_the_boot_lan_take_no_descriptor_that_others_need(rack: Rack):
    faulted = Faulted(rack)
    faulted.unarmed.boots()
    faulted.begin()
    with flooded(rack) as flood:
        faulted.shows("descriptors", SHOWN)
        assert SHOWN in " ".join(rack.api("/api/v1/status")["problems"])
        refused_before = flood.refused_count
        for _ in range(3):
            wait_until(faulted.unarmed.discover)
            wait_until(faulted.armed.discover)
            assert by_tftp(faulted.unarmed, "snponly.efi") == SMALL
            assert by_tftp(faulted.unarmed, "large.img") == LARGE
            wait_until(lambda: is_served(faulted.unarmed, "/bootfiles/snponly.efi", SMALL))
            wait_until(lambda: is_served(faulted.unarmed, f"/boot/{faulted.unarmed.mac}.ipxe", b"exit 1"))
            assert rack.curl_api("/appliance").status == 200
        wait_until(lambda: flood.refused_count > refused_before or None)
        faulted.serves_the_installer()
        faulted.is_alive_and_quiet()

    faulted.has_recovered("descriptors")
    wait_until(faulted.unarmed.discover)  # the frames of the connections are read before the offer
    faulted.serves_what_needs_no_write()
    faulted.is_alive_and_quiet()
    assert rack.lines("daemon.accept_failed") == []


def test_large_files_that_one_machine_requests_leave_descriptors_to_the_files_of_others(rack: Rack):
    faulted = Faulted(rack)
    faulted.unarmed.boots()
    faulted.begin()
    [address, *_] = FLOODING
    rack.add_client_address(address)
    with ExitStack() as opened:
        lines = [
            opened.enter_context(rack.client_socket(socket.AF_INET, socket.SOCK_STREAM)) for _ in range(CONNECTIONS)
        ]
        for line in lines:  # all of them first: then each takes a file beside its connection
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.settimeout(1)
            with suppress(OSError):
                line.bind((address, 0))
                line.connect((SERVER, 8080))
        for line in lines:
            with suppress(OSError):
                line.sendall(b"GET /bootfiles/huge.img HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(3):
            assert by_tftp(faulted.unarmed, "large.img") == LARGE
            wait_until(lambda: is_served(faulted.unarmed, "/bootfiles/large.img", LARGE))
        assert rack.curl_api("/appliance").status == 200

    faulted.is_alive_and_quiet()


def test_tftp_reads_of_large_files_leave_descriptors_to_the_store_and_to_small_files(rack: Rack):
    faulted = Faulted(rack)
    faulted.unarmed.boots()
    faulted.begin()
    for address in FLOODING:
        rack.add_client_address(address)
    with ExitStack() as opened:
        readers = [
            opened.enter_context(rack.client_socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2 * CONNECTIONS)
        ]
        for number, reader in enumerate(readers):
            reader.bind((FLOODING[number % len(FLOODING)], 0))
        for _ in range(3):
            for reader in readers:  # none acknowledges what it gets
                reader.sendto(b"\0\1large.img\0octet\0", (SERVER, 69))
            wait_until(lambda: is_refused(rack))
            rack.netboot("install", "arm", "w1")
            rack.netboot("install", "cancel", "w1")
            assert rack.curl_api("/appliance").status == 200

    wait_until(lambda: is_served(faulted.unarmed, "/bootfiles/large.img", LARGE))
    faulted.serves_the_installer()
    assert by_tftp(faulted.unarmed, "large.img") == LARGE
    faulted.is_alive_and_quiet()
    false = ("tftp.unreadable", "http.content_unreadable", "install.content_lost", "boot.script_held_back")
    assert [rack.lines(name) for name in false] == [[]] * len(false)


def is_refused(rack: Rack) -> bool | None:
    """Return whether a request was refused for lack of a descriptor."""
    return b'reason="no-descriptor"} ' in rack.api_text("/metrics") or None


def is_served(machine: Machine, path: str, expected: bytes) -> bool | None:
    """Request a path once, as a client that tries again later; None if the connection was closed."""
    command = ["ip", "netns", "exec", machine.rack.client_namespace, "curl", "-sS", "--max-time", "10"]
    done = subprocess.run(
        [*command, "--interface", machine.address, f"http://{SERVER}:8080{path}"],
        capture_output=True,
        timeout=20,
        check=False,
    )
    return expected in done.stdout or None


def test_event_streams_of_the_administration_take_no_descriptor_that_machines_need(rack: Rack):
    faulted = Faulted(rack)
    faulted.unarmed.boots()
    faulted.begin()
    streams: list[socket.socket] = []
    try:
        for _ in range(CONNECTIONS):
            line = rack.server_socket(socket.AF_INET, socket.SOCK_STREAM)
            streams.append(line)
            line.settimeout(5)
            line.connect(("127.0.0.1", 8470))
            with suppress(OSError):  # the appliance closed it
                line.sendall(b"GET /api/v1/events?follow=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        followed = sum(is_followed(each) for each in streams)
        assert 0 < followed <= DESCRIPTORS // 8 + 1  # one was accepted before the last was counted

        most = DESCRIPTORS // 8
        full = f"admin.listen accepts no more than {most} connections; find who holds them: ss -tnp"
        ready = json.loads(rack.api_text("/readyz"))
        faulty = [part for part in ready["parts"] if part["state"] != "ok"]
        assert (ready["status"], faulty) == (
            "degraded",
            [{"part": "admin", "name": "connections", "state": "degraded", "reasons": [full]}],
        )
        assert rack.api("/api/v1/status")["problems"] == [full]
        faulted.serves_what_needs_no_write()
        assert by_tftp(faulted.unarmed, "large.img") == LARGE
        faulted.serves_the_installer()
    finally:
        for each in streams:
            each.close()
    wait_until(lambda: is_answered(rack))
    wait_until(lambda: json.loads(rack.api_text("/readyz"))["status"] == "ok" or None)
    faulted.is_alive_and_quiet()


def is_followed(line: socket.socket) -> bool:
    """Return whether a stream has begun."""
    with suppress(OSError):
        return line.recv(64).startswith(b"HTTP/1.1 200")
    return False


def is_answered(rack: Rack) -> bool | None:
    """Return whether the page is answered on admin.listen again."""
    with suppress(subprocess.CalledProcessError):
        return rack.curl_api("/appliance").status == 200 or None
    time.sleep(0.1)
    return None
