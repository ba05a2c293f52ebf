"""The engine behind TLS, on a pair of connected sockets: what differs from a plain connection."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.certificates import server_pair
from fixtures.stored_images import MadeImage, an_image, store_image
from serve.test_engine import Other, Recorder, until

from netboot.content.serving.index import ContentIndex
from netboot.model.access.certificate_files import CertificateFiles
from netboot.operate.certificates.server_certificate import tls_context
from netboot.serve.static_http.connection_state import ConnectionState
from netboot.serve.static_http.engine import HttpEngine
from netboot.serve.static_http.send import SLICE_TIMEOUT_S, TLS_PIECE_BYTES
from netboot.serve.static_http.shares import Shares
from netboot.serve.static_http.static_files import StaticFiles

NAME, HOST = "olcne/ock-ostree", "registry.example.org"
TIMEOUT_S = 30.0
LARGE_BYTES = 3_000_000


@dataclass
class TlsLine:
    """One connection: the node's end as streams, and the engine at the other."""

    engine: HttpEngine
    store: Recorder
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def get(self, path: str, *fields: str) -> None:
        self.writer.write("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *fields, "", ""]).encode())

    async def answer(self) -> tuple[int, bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        (length,) = [line.split()[1] for line in head.split("\r\n") if line.startswith("Content-Length")]
        return int(head.split()[1]), await self.reader.readexactly(int(length))

    def held_bytes(self) -> int:
        """Return what asyncio holds of the connection, encrypted and not."""
        (connection,) = self.engine.open.connections
        transport = connection._transport
        inner = transport._ssl_protocol._transport  # type: ignore[attr-defined]
        return int(transport.get_write_buffer_size()) + int(inner.get_write_buffer_size())


@pytest.fixture
def content(tmp_path: Path) -> Path:
    (tmp_path / "content/media/ol8").mkdir(parents=True)
    (tmp_path / "content/media/ol8/vmlinuz").write_bytes(b"kernel")
    return tmp_path / "content"


@pytest.fixture
def image(content: Path) -> MadeImage:
    return store_image(content, NAME, an_image(500, LARGE_BYTES), "1.33")


@pytest.fixture
def context(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make the context of the engine, and that of a node that trusts its certificate."""
    certificate, key = server_pair(tmp_path, HOST)
    return tls_context(CertificateFiles(certificate, key)), ssl.create_default_context(cafile=str(certificate))


def on_a_line(
    content: Path,
    context: tuple[ssl.SSLContext, ssl.SSLContext],
    talk: Callable[[TlsLine], Awaitable[None]],
    *,
    client_rate: int = 0,
) -> Recorder:
    async def run() -> Recorder:
        store, index = Recorder(), ContentIndex(content)
        index.refresh()
        files = StaticFiles(index, store, counters=store, shares=Shares(128, client_rate), advertised={})
        engine = HttpEngine(files, None)
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        (reader, writer), _ = await asyncio.gather(
            asyncio.open_connection(sock=theirs, ssl=context[1], server_hostname=HOST),
            asyncio.get_running_loop().connect_accepted_socket(engine.protocol, ours, ssl=context[0]),
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await talk(TlsLine(engine, store, reader, writer))
        finally:
            writer.transport.abort()
            await engine.stop(1.0)
        return store

    return asyncio.run(run())


Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


def test_small_and_large_blobs_and_ranges_come_whole_on_one_connection(
    content: Path, context: Contexts, image: MadeImage
) -> None:
    small, large = image.layers
    data = image.blobs[large]

    async def talk(line: TlsLine) -> None:
        line.get(f"/v2/{NAME}/blobs/{large}")
        line.get(f"/v2/{NAME}/blobs/{small}")
        line.get(f"/v2/{NAME}/blobs/{large}", "Range: bytes=1000000-2999999")
        line.get(f"/v2/{NAME}/manifests/1.33", "Connection: close")

        assert await line.answer() == (200, data)
        assert await line.answer() == (200, image.blobs[small])
        assert await line.answer() == (206, data[1_000_000:3_000_000])
        assert await line.answer() == (200, image.blobs[image.digest])
        assert await line.reader.read() == b""

    store = on_a_line(content, context, talk)

    assert [(kind.value, status, size) for kind, status, size in store.counted] == [
        ("image-blob", 200, len(data)),
        ("image-blob", 200, len(image.blobs[small])),
        ("image-blob", 206, 2_000_000),
        ("image-manifest", 200, len(image.blobs[image.digest])),
    ]


def test_nothing_but_the_registry_is_served(content: Path, context: Contexts) -> None:
    async def talk(line: TlsLine) -> None:
        line.get("/content/ol8/vmlinuz")
        line.get("/boot/52-54-00-aa-bb-01/snponly.efi")
        line.get("/ks/0123")

        for _ in range(3):
            assert await line.answer() == (404, b"404 Not Found: no such file\n")
        assert await line.reader.read() == b""

    on_a_line(content, context, talk)


def test_of_a_reader_that_does_not_read_some_pieces_are_held_and_it_is_let_go(
    content: Path, context: Contexts, image: MadeImage
) -> None:
    async def talk(line: TlsLine) -> None:
        line.writer.transport.pause_reading()
        line.get(f"/v2/{NAME}/blobs/{image.layers[1]}")
        (connection,) = line.engine.open.connections
        held = 0
        for _ in range(200):
            held = max(held, line.held_bytes())
            await asyncio.sleep(0.002)

        assert TLS_PIECE_BYTES < held < 4 * TLS_PIECE_BYTES
        assert connection._state is ConnectionState.ANSWERING

    on_a_line(content, context, talk)


def test_small_answers_that_a_reader_does_not_take_block_the_next_and_it_is_let_go(
    content: Path, context: Contexts, image: MadeImage
) -> None:
    async def talk(line: TlsLine) -> None:
        line.writer.transport.pause_reading()
        for _ in range(2_000):
            line.get(f"/v2/{NAME}/blobs/{image.layers[0]}")
        (connection,) = line.engine.open.connections
        await until(lambda: connection._state is ConnectionState.BLOCKED)
        connection.close_if_overdue(time.monotonic() + SLICE_TIMEOUT_S - 1)
        assert not connection._transport.is_closing()
        connection.close_if_overdue(time.monotonic() + SLICE_TIMEOUT_S + 1)
        await until(lambda: not line.engine.open.connections)

    on_a_line(content, context, talk)


def test_a_reader_that_goes_on_after_it_blocked_gets_every_answer(
    content: Path, context: Contexts, image: MadeImage
) -> None:
    small = image.layers[0]

    async def talk(line: TlsLine) -> None:
        line.writer.transport.pause_reading()
        for _ in range(400):
            line.get(f"/v2/{NAME}/blobs/{small}")
        (connection,) = line.engine.open.connections
        await until(lambda: connection._state is ConnectionState.BLOCKED)
        line.writer.transport.resume_reading()

        for _ in range(400):
            assert await line.answer() == (200, image.blobs[small])

    on_a_line(content, context, talk)


def test_a_layer_that_is_cut_while_it_is_sent_ends_the_connection(
    content: Path, context: Contexts, image: MadeImage
) -> None:
    layer = image.layers[1]
    path = content / "images/blobs/sha256" / layer.removeprefix("sha256:")

    async def talk(line: TlsLine) -> None:
        line.writer.transport.pause_reading()
        line.get(f"/v2/{NAME}/blobs/{layer}")
        await until(lambda: line.held_bytes() > TLS_PIECE_BYTES)
        with path.open("r+b") as file:
            file.truncate(1_000_000)
        line.writer.transport.resume_reading()
        got = b""
        try:
            while chunk := await line.reader.read(1 << 16):
                got += chunk
        except OSError:  # a reset, or TLS without its end
            pass

        assert len(got) < LARGE_BYTES

    on_a_line(content, context, talk)


def test_the_rate_of_a_machine_holds_with_tls(content: Path, context: Contexts, image: MadeImage) -> None:
    async def talk(line: TlsLine) -> None:
        began = time.monotonic()
        line.get(f"/v2/{NAME}/blobs/{image.layers[1]}")
        await line.answer()

        assert time.monotonic() - began > 0.8  # 3 MB at 1.5 MB/s, of which a second's bytes may come at once

    on_a_line(content, context, talk, client_rate=1_500_000)


@pytest.mark.parametrize("goes", ["at once", "in the layer"])
def test_a_client_that_goes_away_leaves_no_fault_in_the_log(
    content: Path, context: Contexts, image: MadeImage, caplog: pytest.LogCaptureFixture, goes: str
) -> None:
    faults: list[dict[str, object]] = []

    async def talk(line: TlsLine) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        line.get(f"/v2/{NAME}/blobs/{image.layers[1]}")
        if goes == "in the layer":
            await line.reader.readexactly(100_000)
            line.writer.close()  # with TLS's own end
        else:
            line.writer.transport.abort()
        await until(lambda: not line.engine.open.connections and not line.engine.open.tasks)

    with caplog.at_level(logging.WARNING):
        on_a_line(content, context, talk)

    assert (faults, [record.message for record in caplog.records]) == ([], [])


def test_a_plain_engine_still_hands_documents_over(content: Path) -> None:
    async def run() -> None:
        store = Recorder()
        files = StaticFiles(ContentIndex(content), store, counters=store, shares=Shares(1, 0), advertised={})
        engine = HttpEngine(files, Other)
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(engine.protocol, ours)
        reader, writer = await asyncio.open_connection(sock=theirs)
        writer.write(b"GET /ks/0123 HTTP/1.1\r\nHost: x\r\n\r\n")

        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"other got GET /ks/0123")
        writer.close()
        await engine.stop(1.0)

    asyncio.run(run())
