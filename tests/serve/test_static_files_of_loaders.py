"""What shim, GRUB, iPXE and UEFI HTTP boot load, through a real listener on loopback."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from fixtures.listeners import default_shares

from netboot.boot.firmware.requested_names import document_named, find_loader
from netboot.content.bootfiles.directories import BootFile, BootFiles
from netboot.content.serving.index import ContentIndex
from netboot.content.serving.served_file import ServedFile
from netboot.errors import NetbootError, RenderError
from netboot.model.boot.offer import DocumentKind, MachineDocument
from netboot.model.host.mac import Mac
from netboot.serve.static_http.engine import HttpEngine
from netboot.serve.static_http.static_files import StaticFiles
from netboot.telemetry.metrics import Metrics

pytestmark = pytest.mark.integration

MAC = Mac.parse("52:54:00:aa:bb:01")
LOADER = os.urandom(5000)
LARGE = os.urandom(900_000)
TIMEOUT_S = 60.0
LOOPBACK = IPv4Address("127.0.0.1")


@dataclass
class RecordingFiles:
    """Serves a directory; writes a line for each document; records its calls."""

    files: BootFiles
    fault: NetbootError | None = None
    heads: list[bool] = field(default_factory=list)
    sent: list[tuple[str, int]] = field(default_factory=list)

    def request_file(
        self, address: IPv4Address, name: str, *, mac: Mac | None = None
    ) -> BootFile | MachineDocument | None:
        assert address == LOOPBACK
        found = document_named(name)
        return MachineDocument(found[0], mac) if found else find_loader(self.files, name)

    async def render(
        self, document: MachineDocument, address: IPv4Address, *, base_url: str, is_head: bool = False
    ) -> str | None:
        assert address == LOOPBACK
        self.heads.append(is_head)
        if self.fault:
            raise self.fault
        if document.kind is DocumentKind.GRUB_CONFIG and document.mac is None:
            return None
        return f"{document.kind} of {document.mac} from {base_url.rpartition(':')[0]}\n"

    def record_loader(
        self, address: IPv4Address, name: str, *, bytes_sent: int, seconds: float, retransmissions: int, outcome: str
    ) -> None:
        assert (address, retransmissions, outcome) == (LOOPBACK, 0, "sent")
        assert seconds >= 0
        self.sent.append((name, bytes_sent))

    def begin_transfer(self, *_: object, **_sent: object) -> Callable[[], None]:
        """Shown elsewhere."""
        return lambda: None

    def record_content(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        """Recorded elsewhere."""


@dataclass
class Site:
    service: RecordingFiles
    port: int

    async def send_request(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        async with (
            ClientSession() as session,
            session.request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers) as answer,
        ):
            return answer.status, dict(answer.headers), await answer.read()


At = Callable[[Callable[[Site], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def at_site(tmp_path: Path) -> At:
    (tmp_path / "shimx64.efi").write_bytes(LOADER)
    (tmp_path / "large.efi").write_bytes(LARGE)
    (tmp_path / "grubnetx64.efi.signed").write_bytes(LOADER)
    (tmp_path / "local-disk.efi").write_bytes(b"an operator's")
    (tmp_path / "grub.cfg").write_bytes(b"an operator's")
    medium = tmp_path / "content" / "media" / "ol8"
    medium.mkdir(parents=True)
    (medium / "vmlinuz").write_bytes(LOADER)
    (medium / "initrd.img").write_bytes(LARGE)

    def run(scenario: Callable[[Site], Coroutine[Any, Any, None]]) -> None:
        async def inside() -> None:
            service = RecordingFiles(BootFiles([tmp_path]))
            index = ContentIndex(tmp_path / "content")
            index.refresh()
            files = StaticFiles(index, service, counters=Metrics(), shares=default_shares(), advertised={})
            engine = HttpEngine(files, asyncio.Protocol)
            listener = await asyncio.get_running_loop().create_server(engine.protocol, "127.0.0.1", 0)
            try:
                await scenario(Site(service, listener.sockets[0].getsockname()[1]))
            finally:
                listener.close()
                await engine.stop(1.0)

        asyncio.run(asyncio.wait_for(inside(), TIMEOUT_S))

    return run


@pytest.mark.parametrize(
    "path",
    ["/bootfiles/shimx64.efi", "/boot/52-54-00-aa-bb-01/shimx64.efi", "/boot/52:54:00:AA:BB:01/EFI/BOOT/grubx64.efi"],
)
def test_a_loader_has_its_length_type_and_ranges(at_site: At, path: str):
    async def scenario(site: Site) -> None:
        status, headers, body = await site.send_request(path)
        heads = await site.send_request(path, "HEAD")
        part = await site.send_request(path, Range="bytes=4000-")

        assert (status, headers["Content-Length"], body) == (200, "5000", LOADER)
        assert headers["Content-Type"] == ("application/efi" if "shim" in path else "application/octet-stream")
        assert (heads[0], heads[1]["Content-Length"], heads[2]) == (200, "5000", b"")
        assert (part[0], part[1]["Content-Range"], part[2]) == (206, "bytes 4000-4999/5000", LOADER[4000:])
        assert site.service.sent == [(path.split("/", 3)[3] if "/boot/" in path else "shimx64.efi", 5000)]

    at_site(scenario)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/boot/52-54-00-aa-bb-01/grub.cfg", f"grub.cfg of {MAC} from http://127.0.0.1\n"),
        ("/boot/525400aabb01/EFI/BOOT/grub.cfg", f"grub.cfg of {MAC} from http://127.0.0.1\n"),
        ("/boot/52-54-00-aa-bb-01/autoexec.ipxe", f"autoexec.ipxe of {MAC} from http://127.0.0.1\n"),
        ("/bootfiles/autoexec.ipxe", "autoexec.ipxe of None from http://127.0.0.1\n"),
        ("/bootfiles/ipxe/autoexec.ipxe", "autoexec.ipxe of None from http://127.0.0.1\n"),
    ],
)
def test_a_document_is_rendered_for_each_request_and_never_cached(at_site: At, path: str, text: str):
    async def scenario(site: Site) -> None:
        status, headers, body = await site.send_request(path)
        heads = await site.send_request(path, "HEAD")

        assert (status, body.decode(), headers["Content-Length"]) == (200, text, str(len(text)))
        assert headers["Cache-Control"] == "no-store"
        assert (heads[0], heads[1]["Content-Length"], heads[2]) == (200, str(len(text)), b"")
        assert (site.service.heads, site.service.sent) == ([False, True], [])

    at_site(scenario)


@pytest.mark.parametrize(
    "path",
    [
        "/boot/52-54-00-aa-bb-01/local-disk.efi",
        "/bootfiles/local-disk.efi",
        "/bootfiles/grub.cfg",
        "/boot/52-54-00-aa-bb-01/revocations_sbat.efi",
        "/boot/nobody/shimx64.efi",
        "/bootfiles/",
        "/bootfiles/..%2fetc/passwd",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_not_there_is_404(at_site: At, path: str, method: str):
    async def scenario(site: Site) -> None:
        assert (await site.send_request(path, method))[0] == 404
        assert site.service.sent == []

    at_site(scenario)


def test_other_methods_are_refused(at_site: At):
    async def scenario(site: Site) -> None:
        for path in ("/bootfiles/shimx64.efi", "/boot/52-54-00-aa-bb-01/grub.cfg"):
            status, headers, _ = await site.send_request(path, "POST")
            assert (status, headers["Allow"]) == (405, "GET, HEAD")

    at_site(scenario)


def test_a_document_that_cannot_be_rendered_now_gets_a_retry_after(at_site: At):
    async def scenario(site: Site) -> None:
        site.service.fault = RenderError("cannot render grub for cp1")

        status, headers, body = await site.send_request("/boot/52-54-00-aa-bb-01/grub.cfg")

        assert (status, headers["Retry-After"], body) == (503, "5", b"not now\n")

    at_site(scenario)


@pytest.mark.parametrize("path", ["/boot/52-54-00-aa-bb-01/grub.cfg", "/bootfiles/autoexec.ipxe"])
def test_a_small_answer_leaves_in_one_segment_with_the_field_names_that_grub_reads(at_site: At, path: str):
    async def scenario(site: Site) -> None:
        def send_request() -> tuple[bytes, int]:
            with socket.create_connection(("127.0.0.1", site.port), timeout=5) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: GRUB 2.06\r\n\r\n".encode())
                answer = connection.recv(65536)
                while b" from http://127.0.0.1\n" not in answer:
                    answer += connection.recv(65536)
                return answer, data_segments_in(connection)

        answer, segments = await asyncio.to_thread(send_request)

        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nContent-Length: " in answer
        assert segments == 1

    at_site(scenario)


@pytest.mark.parametrize(
    "path",
    [
        "/bootfiles/shimx64.efi",
        "/bootfiles/large.efi",
        "/bootfiles/autoexec.ipxe",
        "/boot/52-54-00-aa-bb-01/shimx64.efi",
        "/boot/52-54-00-aa-bb-01/grubx64.efi",
        "/boot/52-54-00-aa-bb-01/revocations_sbat.efi",
        "/boot/52-54-00-aa-bb-01/grub.cfg",
        "/boot/52-54-00-aa-bb-01/autoexec.ipxe",
        "/content/ol8/vmlinuz",
        "/content/ol8/initrd.img",
    ],
)
def test_a_head_and_a_get_on_one_connection_a_thousand_times_for_what_firmware_and_loaders_fetch(
    at_site: At, path: str
):
    """EDK2 sends HEAD and GET on one connection, and fails if it is closed between them."""
    times = 1000 if path not in ("/bootfiles/large.efi", "/content/ol8/initrd.img") else 100

    def exchange(port: int) -> set[tuple[str, int, str, int]]:
        seen = set()
        with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            for _ in range(times):
                for method in ("HEAD", "GET"):
                    connection.request(method, path)
                    ours = connection.sock
                    answer = connection.getresponse()
                    body = answer.read()
                    assert connection.sock is ours  # not closed after the answer
                    seen.add((method, answer.status, answer.headers["Content-Length"], len(body)))
        return seen

    async def scenario(site: Site) -> None:
        head, get = sorted(await asyncio.to_thread(exchange, site.port), reverse=True)

        assert head == ("HEAD", get[1], get[2], 0)
        assert int(get[2]) == get[3] > 0

    at_site(scenario)


def data_segments_in(connection: socket.socket) -> int:
    """`tcpi_data_segs_in` of Linux's struct tcp_info."""
    found: int = struct.unpack_from("=I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 152)[0]
    return found
