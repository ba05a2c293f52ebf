"""If every slot is in use, iPXE gets a Retry-After, curl and libostree wait, and each client gets the whole file."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from fixtures.content_listener import Recorder, content_listener

from netboot.serve.static_http.shares import Shares

pytestmark = pytest.mark.integration
TIMEOUT_S = 30.0
LARGE = bytes(range(256)) * 40_000


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("content")
    (root / "media" / "ol8").mkdir(parents=True)
    (root / "media" / "ol8" / "vmlinuz").write_bytes(LARGE)
    (root / "media" / "ol8" / "small").write_bytes(b"small")
    return root


def serving(directory: Path, shares: Shares) -> AbstractContextManager[int]:
    return content_listener(directory, Recorder(), shares=shares)


@contextmanager
def slow_reader(port: int) -> Iterator[socket.socket]:
    """Hold the only slot: request the large file and read only its first bytes."""
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        reader.settimeout(TIMEOUT_S)
        reader.connect(("127.0.0.1", port))
        reader.sendall(b"GET /content/ol8/vmlinuz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert reader.recv(1000)
        yield reader


def curl(port: int, *arguments: str, name: str = "vmlinuz") -> subprocess.Popen[bytes]:
    command = ["curl", "-fsS", "--retry", "0", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", *arguments]
    return subprocess.Popen(
        [*command, f"http://127.0.0.1:{port}/content/ol8/{name}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_ipxe_gets_503_while_curl_and_libostree_wait_and_get_all(directory: Path) -> None:
    with serving(directory, Shares(1, client_rate=0)) as port:
        with slow_reader(port) as reader:
            waiting = [curl(port), curl(port, "-A", "libostree/2022.2")]
            reported = curl(port, "-A", "iPXE/1.21.1+", "-D", "-", "--no-fail").communicate(timeout=TIMEOUT_S)[0]
            small = curl(port, name="small").communicate(timeout=TIMEOUT_S)[0]
            still_waiting = [process.poll() for process in waiting]
            while reader.recv(1 << 20):
                pass
        answers = [process.communicate(timeout=TIMEOUT_S)[0] for process in waiting]

    assert reported.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: " in reported
    assert small == b"200 5"
    assert still_waiting == [None, None]
    assert answers == [f"200 {len(LARGE)}".encode()] * 2


def test_a_client_that_goes_away_in_line_gives_its_place_to_the_next(directory: Path) -> None:
    with serving(directory, Shares(1, client_rate=0)) as port:
        with slow_reader(port) as reader:
            gone, stays = curl(port), curl(port)
            gone.kill()
            gone.communicate(timeout=TIMEOUT_S)
            while reader.recv(1 << 20):
                pass
        answer = stays.communicate(timeout=TIMEOUT_S)[0]

    assert answer == f"200 {len(LARGE)}".encode()


def test_a_machine_goes_no_faster_than_its_rate(directory: Path) -> None:
    rate = 8_000_000  # the bytes of one second are sent at once, the rest at the rate

    with serving(directory, Shares(128, client_rate=rate)) as port:
        began = time.monotonic()
        answer = curl(port).communicate(timeout=TIMEOUT_S)[0]
        took_s = time.monotonic() - began
        small = curl(port, name="small").communicate(timeout=TIMEOUT_S)[0]

    assert answer == f"200 {len(LARGE)}".encode()
    assert took_s > (len(LARGE) - rate) / rate * 0.7
    assert small == b"200 5"
