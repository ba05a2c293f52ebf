"""What a server sent is compared with what the machine needs; nothing with a token is requested."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from doctor.content.conftest import Appliance
from doctor.host.test_host_checks import BASE, facts

from netboot.content.library.disk import sha256
from netboot.doctor.host.fetched_file import FetchedFile, fetch
from netboot.doctor.host.host_facts import offered_loaders
from netboot.doctor.host.served_file_checks import check_served_files, wanted_files
from netboot.model.clock import utc_now
from netboot.model.install.install import Install


class Served:
    """A server of the appliance's files without a network; `changes` replace its answers."""

    def __init__(self, appliance: Appliance, **changes: FetchedFile) -> None:
        self.appliance = appliance
        self.changes = changes
        self.requested: list[str] = []

    def __call__(self, url: str) -> FetchedFile:
        path = url.removeprefix(BASE)
        self.requested.append(path)
        changed = next((answer for name, answer in self.changes.items() if name in path.replace(".", "_")), None)
        if changed is not None:
            return changed
        roots = {"/bootfiles/": "boot/", "/content/": "content/media/", "/ostree/": "content/ostree/"}
        root = next(root for root in roots if path.startswith(root))
        file = self.appliance.directory / roots[root] / path.removeprefix(root)
        if not file.is_file() and path.endswith(".treeinfo"):
            return answer(url, b"[stage2]\nmainimage = images/install.img\n")
        if not file.is_file():
            return FetchedFile(url, 404)
        return FetchedFile(url, 200, file.stat().st_size, file.stat().st_size, sha256(file), file.read_bytes()[:99])


def answer(url: str, content: bytes, *, sha: str = "0" * 64) -> FetchedFile:
    return FetchedFile(url, 200, len(content), len(content), sha, content)


def judged(appliance: Appliance, served: Served) -> list[tuple[str, str]]:
    given = facts(appliance)
    assert given.host is not None
    offered = offered_loaders(given, given.host, Install(given.host.name).armed(at=utc_now(), reason="", attempts=1))
    found = asyncio.run(check_served_files(given, given.host, offered, request=served))
    return [(each.check, each.sentence) for each in found]


def test_every_static_file_of_a_boot_is_requested_and_no_other(appliance: Appliance):
    served = Served(appliance)

    assert judged(appliance, served) == []
    [commit] = (appliance.release / "objects").rglob("*.commit")
    medium = ("vmlinuz", "initrd.img", ".treeinfo", "images/install.img")
    release = ("config", "summary", "summary.sig", "refs/heads/ock", str(commit.relative_to(appliance.release)))
    assert set(served.requested) == {
        *(f"/bootfiles/{name}" for name in ("undionly.kpxe", "snponly.efi", "snponly-arm64.efi")),
        *(f"/content/ol8u10-x86_64/{name}" for name in medium),
        *(f"/ostree/ock-1.31-amd64/{name}" for name in release),
    }


OTHER_BYTES = "its bytes are not those of the library"


@pytest.mark.parametrize(
    ("name", "wrong", "sentence"),
    [
        ("vmlinuz", FetchedFile("", 404), "medium_sent the kernel: HTTP status 404"),
        ("initrd", FetchedFile("", 200, 9, 5, "0"), "medium_sent the initrd: 5 bytes came, and HEAD stated 9"),
        ("install_img", answer("", b"x"), f"medium_sent the stage 2: {OTHER_BYTES}"),
        (
            "snponly_efi",
            FetchedFile("", error="timeout"),
            "loader_sent the boot loader snponly.efi: no answer: timeout",
        ),
        ("refs", answer("", b"x"), f"release_sent the ref ock: {OTHER_BYTES}"),
        ("config", FetchedFile("", 200, None, 1, "0"), "release_sent config: without Content-Length, which firmware"),
        ("summary_sig", FetchedFile("", 500), "release_sent summary.sig: HTTP status 500"),
    ],
)
def test_what_is_sent_wrong_is_named(appliance: Appliance, name: str, wrong: FetchedFile, sentence: str):
    [(check, found)] = judged(appliance, Served(appliance, **{name: wrong}))

    assert f"{check.removeprefix('host.')} {found}".startswith(sentence)


def test_the_stage_2_that_the_treeinfo_names_is_requested(appliance: Appliance):
    treeinfo = answer(f"{BASE}/content/ol8u10-x86_64/.treeinfo", b"[stage2]\nmainimage = images/other.img\n")

    found = judged(appliance, Served(appliance, _treeinfo=treeinfo))

    assert found == [("host.medium_sent", "the stage 2 that .treeinfo names: HTTP status 404")]


def test_content_url_is_where_the_installer_is_sent(appliance: Appliance):
    settings = appliance.directory / "netboot.yaml"
    text = settings.read_text().replace("content: {", "content: {url: http://192.0.2.20, ")
    settings.write_text(text)
    given = facts(appliance)
    assert given.host is not None

    found = [file.url for file in wanted_files(given, given.host, [])]

    assert all(url.startswith("http://192.0.2.20/") for url in found)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        _Handler.connections += 1
        super().setup()

    def do_HEAD(self) -> None:
        status = 404 if self.path == "/missing" else 302 if self.path == "/elsewhere" else 200
        self.send_response(status)
        self.send_header("Content-Length", "4")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(b"ab" if self.path == "/cut" else b"abcd")
        self.close_connection = self.path == "/cut"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_head_and_get_are_sent_on_one_connection(server: str):
    _Handler.connections = 0

    found = fetch(f"{server}/file")

    assert (found.fault, found.size_bytes, found.head, _Handler.connections) == (None, 4, b"abcd", 1)


def test_a_cut_answer_a_redirect_and_no_server_are_faults(server: str):
    assert fetch(f"{server}/cut", timeout_s=2).fault == "2 bytes came, and HEAD stated 4"
    assert fetch(f"{server}/missing").fault == "HTTP status 404"
    assert fetch(f"{server}/elsewhere").fault == "HTTP status 302"
    assert (fetch("http://127.0.0.1:1/x").fault or "").startswith("no answer: ")


def _served_by(answer: Callable[[socket.socket], None]) -> str:
    """Listen for one connection, which gets what `answer` sends."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as opened, suppress(OSError):
            opened.recv(4096)
            answer(opened)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}/file"


def _drip(opened: socket.socket, first: bytes, *, seconds: float) -> None:
    """Send one byte after the other."""
    opened.sendall(first)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        opened.sendall(b"x")
        time.sleep(0.05)


def test_a_head_that_comes_byte_by_byte_is_given_up() -> None:
    began_s = time.monotonic()

    found = fetch(_served_by(lambda opened: _drip(opened, b"HTTP/1.1 200 OK\r\nX: ", seconds=20)), head_s=0.5)

    assert (found.fault or "").startswith("no answer: ")
    assert time.monotonic() - began_s < 10


def test_a_server_that_only_promises_to_answer_is_given_up() -> None:
    def promise(opened: socket.socket) -> None:
        for _ in range(400):
            opened.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            time.sleep(0.05)

    assert (fetch(_served_by(promise), head_s=0.5).fault or "").startswith("no answer: ")


def test_a_body_that_comes_byte_by_byte_is_given_up() -> None:
    def answer(opened: socket.socket) -> None:
        opened.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n")
        opened.recv(4096)
        _drip(opened, b"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n", seconds=20)

    assert fetch(_served_by(answer), longest_s=0.5).fault == "the answer stops: not sent in 0.5 s"
