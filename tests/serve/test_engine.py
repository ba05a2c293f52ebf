"""The engine on a pair of connected sockets: no network, a real event loop, bytes in and bytes out."""

import asyncio
import re
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path

import pytest
from fixtures.listeners import default_shares
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netboot.content.serving.index import ContentIndex
from netboot.content.serving.served_file import ServedFile
from netboot.model.release import ContentKind
from netboot.serve.static_http.connection import BootConnection
from netboot.serve.static_http.connection_state import HEAD_TIMEOUT_S, IDLE_TIMEOUT_S, LINE_TIMEOUT_S, ConnectionState
from netboot.serve.static_http.engine import HttpEngine
from netboot.serve.static_http.head import LONGEST_HEAD_BYTES
from netboot.serve.static_http.send import SLICE_BYTES, SLICE_TIMEOUT_S
from netboot.serve.static_http.static_files import StaticFiles

OBJECT = f"objects/ab/{'cd' * 31}.filez"
LARGE = bytes(range(256)) * 4096
TIMEOUT_S = 10.0


@dataclass
class Recorder:
    """Records its calls, as file service and counters."""

    counted: list[tuple[ContentKind, int, int]] = field(default_factory=list)
    malformed: int = 0
    refused: list[str] = field(default_factory=list)

    def begin_transfer(self, *_: object, **_sent: object) -> Callable[[], None]:
        """Shown elsewhere."""
        return lambda: None

    def record_content(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        raise AssertionError(f"a socket pair has no address: {address}, {file}, {bytes_sent}")

    def content_sent(self, kind: ContentKind, status: int, bytes_sent: int) -> None:
        self.counted.append((kind, status, bytes_sent))

    def count(self, name: str, _amount: float = 1, **_: str) -> None:
        self.malformed += name == "http_malformed"

    def record_refusal(self, _address: str, reason: str) -> None:
        self.refused.append(reason)


def static_files(content: ContentIndex, store: Recorder) -> StaticFiles:
    return StaticFiles(content, store, counters=store, shares=default_shares(), advertised={})


class Other(asyncio.Protocol):
    """Takes the place of aiohttp's protocol: sends back what it received."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(b"other got " + data)


@dataclass
class Line:
    """One connection: the machine's end as streams, the engine at the other."""

    engine: HttpEngine
    store: Recorder
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    root: Path

    @property
    def connection(self) -> BootConnection:
        (connection,) = self.engine.open.connections
        return connection

    def send_request(self, *requests: bytes) -> None:
        self.writer.write(b"".join(requests))

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer with its body by Content-Length."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")[:-2]
        fields = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), fields, await self.reader.readexactly(int(fields.get("Content-Length", 0)))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("content")
    for name, body in {
        "media/ol8/vmlinuz": LARGE,
        "media/ol8/initrd.img": b"initrd",
        "ostree/ock/" + OBJECT: b"object",
        "ostree/ock/config": b"[core]\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(body)
    return root


def on_a_line(root: Path, talk: Callable[[Line], Awaitable[None]], *, buffer_bytes: int | None = None) -> Recorder:
    """Connect a machine to an engine, and run `use` with both."""

    async def run() -> Recorder:
        store = Recorder()
        content = ContentIndex(root)
        content.refresh()
        engine = HttpEngine(static_files(content, store), Other)
        ours, theirs = socket.socketpair()
        if buffer_bytes is not None:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        await asyncio.get_running_loop().connect_accepted_socket(engine.protocol, ours)
        reader, writer = await asyncio.open_connection(sock=theirs)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await talk(Line(engine, store, reader, writer, root))
        finally:
            writer.close()
            await engine.stop(1.0)
        return store

    return asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    """Run the loop until a condition holds, or until the timeout of the line."""
    while not condition():  # noqa: ASYNC110 - one turn of the loop, no pause
        await asyncio.sleep(0)


def get(path: str, *fields: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *fields, "", ""]).encode()


def test_a_small_file_comes_with_its_head_in_one_write(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/ostree/ock/" + OBJECT))
        data = await line.reader.read(65536)

        assert re.sub(rb"(Date|ETag): [^\r]*", rb"\1: *", data) == (
            b"HTTP/1.1 200 OK\r\nDate: *\r\nServer: netboot\r\n"
            b"Content-Type: application/octet-stream\r\nETag: *\r\n"
            b"Cache-Control: public, max-age=31536000, immutable\r\nAccept-Ranges: bytes\r\n"
            b"Content-Length: 6\r\n\r\nobject"
        )

    store = on_a_line(root, talk)

    assert store.counted == [(ContentKind.OSTREE_OBJECT, 200, 6)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 400), max_size=6))
def test_requests_are_answered_in_order_however_they_are_cut(root: Path, cuts: list[int]) -> None:
    stream = (
        get("/ostree/ock/" + OBJECT)
        + get("/content/ol8/vmlinuz", "Range: bytes=1-3")
        + get("/nope/../", method="HEAD").replace(b"/nope", b"/content/nope")
        + get("/content/ol8/vmlinuz")
        + get("/ostree/ock/config")
    )

    async def talk(line: Line) -> None:
        places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
        for begin, end in pairwise(places):
            line.send_request(stream[begin:end])
            await line.writer.drain()
            await asyncio.sleep(0)
        answers = [await line.answer() for _ in range(2)]
        head_only = await line.reader.readuntil(b"\r\n\r\n")
        answers += [await line.answer() for _ in range(2)]

        assert head_only.startswith(b"HTTP/1.1 404 Not Found\r\n")
        assert [status for status, _, _ in answers] == [200, 206, 200, 200]
        assert [body for _, _, body in answers] == [b"object", LARGE[1:4], LARGE, b"[core]\n"]

    on_a_line(root, talk)


def test_hundreds_of_pipelined_requests_are_all_answered(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/ostree/ock/" + OBJECT) * 500)
        for _ in range(500):
            assert (await line.answer())[2] == b"object"

    on_a_line(root, talk)


@pytest.mark.parametrize("before", [14, 15, 16])
def test_an_answer_that_takes_its_time_keeps_its_place_among_pipelined_ones(root: Path, before: int) -> None:
    async def talk(line: Line) -> None:
        small = get("/content/ol8/initrd.img")
        line.send_request(small * before, get("/content/ol8/vmlinuz"), small)

        bodies = [(await line.answer())[2] for _ in range(before + 2)]

        assert bodies == [b"initrd"] * before + [LARGE, b"initrd"]

    on_a_line(root, talk)


def test_what_follows_a_request_with_a_body_is_dropped_and_its_answer_arrives(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/content/ol8/vmlinuz", "Content-Length: 200000"), b"x" * 200_000)

        status, fields, body = await line.answer()

        assert (status, fields["Connection"], body) == (200, "close", LARGE)
        assert await line.reader.read() == b""
        assert line.engine.open.connections == set()

    on_a_line(root, talk, buffer_bytes=4096)


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_another_method_is_refused_and_the_connection_kept(root: Path, method: str) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/content/ol8/nothing", method=method), get("/ostree/ock/config"))

        status, fields, body = await line.answer()

        assert (status, fields["Allow"], body) == (
            405,
            "GET, HEAD",
            b"405 Method Not Allowed: files are only given\n",
        )
        assert (await line.answer())[2] == b"[core]\n"

    store = on_a_line(root, talk)

    assert store.counted == [(ContentKind.OTHER, 405, 0), (ContentKind.OTHER, 200, 7)]


def test_a_head_has_the_length_and_no_body(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/content/ol8/vmlinuz", method="HEAD"), get("/ostree/ock/config"))
        head = await line.reader.readuntil(b"\r\n\r\n")

        assert f"Content-Length: {len(LARGE)}\r\n".encode() in head
        assert (await line.answer())[2] == b"[core]\n"

    on_a_line(root, talk)


def test_what_is_not_there_is_refused_with_its_length(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/ostree/ock/summary"), get("/content/%2e%2e/x"), get("/ostree/ock/config"))

        for _ in range(2):
            status, fields, body = await line.answer()
            assert (status, body) == (404, b"404 Not Found: no such file\n")
            assert fields["Content-Type"] == "text/plain; charset=utf-8"
        assert (await line.answer())[0] == 200

    on_a_line(root, talk)


@pytest.mark.parametrize("field", ["Range: bytes=9999999-", 'If-Match: "another"'])
@pytest.mark.parametrize("path", ["/content/ol8/initrd.img", "/content/ol8/vmlinuz"])
def test_a_condition_that_fails_is_refused_with_its_text_and_the_next_answer_follows(
    root: Path, path: str, field: str
) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get(path, field), get(path))

        status, fields, text = await line.answer()
        assert status == (416 if field.startswith("Range") else 412)
        assert text.startswith(f"{status} {HTTPStatus(status).phrase}: ".encode())
        assert text.endswith(b"\n")
        assert len(text) == int(fields["Content-Length"])
        assert (await line.answer())[0] == 200

    on_a_line(root, talk)


def test_another_request_takes_the_connection_along_with_all_that_was_read(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/ostree/ock/config"), get("/boot/x.ipxe"), b"and more")
        assert (await line.answer())[0] == 200
        assert await line.reader.readexactly(10 + len(get("/boot/x.ipxe")) + 8) == (
            b"other got " + get("/boot/x.ipxe") + b"and more"
        )
        assert line.engine.open.connections == set()
        line.send_request(get("/ostree/ock/config"))
        assert await line.reader.readexactly(10) == b"other got "

    on_a_line(root, talk)


def test_what_is_no_http_gets_400_a_counter_and_a_close(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(b"\x00\x03\x01 hello\r\n\r\n")
        status, fields, body = await line.answer()

        assert (status, fields["Connection"], body) == (400, "close", b"400 Bad Request: this is not an HTTP request\n")
        assert await line.reader.read() == b""

    recorder = on_a_line(root, talk)

    assert (recorder.malformed, recorder.refused) == (1, ["not-http"])


def test_a_tls_handshake_gets_400_a_counter_and_a_close_but_no_event(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        status, fields, body = await line.answer()

        assert (status, fields["Connection"]) == (400, "close")
        assert body == b"400 Bad Request: this port has no TLS; use http://\n"
        assert await line.reader.read() == b""

    recorder = on_a_line(root, talk)

    assert (recorder.malformed, recorder.refused) == (1, [])


def test_a_connection_closes_when_the_client_wants_it(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/content/ol8/vmlinuz", "Connection: close"), get("/ostree/ock/config"))
        _, fields, body = await line.answer()

        assert (fields["Connection"], body) == ("close", LARGE)
        assert await line.reader.read() == b""

    on_a_line(root, talk)


def test_a_client_that_shuts_its_side_is_still_answered(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/content/ol8/initrd.img"), get("/content/ol8/vmlinuz"), get("/content/ol8/initrd.img"))
        line.writer.write_eof()

        bodies = [(await line.answer())[2] for _ in range(3)]
        assert bodies == [b"initrd", LARGE, b"initrd"]
        assert await line.reader.read() == b""

    on_a_line(root, talk)


def test_a_file_that_was_replaced_is_sent_as_it_is_now(tmp_path: Path) -> None:
    medium = tmp_path / "media" / "ol8"
    medium.mkdir(parents=True)
    (medium / "vmlinuz").write_bytes(b"old")
    (medium / "initrd.img").write_bytes(LARGE)

    async def talk(line: Line) -> None:
        (medium / "vmlinuz").write_bytes(LARGE)
        (medium / "initrd.img").write_bytes(b"small now")
        line.send_request(get("/content/ol8/vmlinuz"), get("/content/ol8/initrd.img"))
        assert [(await line.answer())[2] for _ in range(2)] == [LARGE, b"small now"]
        (medium / "vmlinuz").unlink()
        line.send_request(get("/content/ol8/vmlinuz"))
        assert (await line.answer())[0] == 404

    on_a_line(tmp_path, talk)


def test_a_reader_that_is_slow_gets_every_byte(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/content/ol8/vmlinuz", "Connection: close"))
        data = b""
        while piece := await line.reader.read(5000):
            data += piece
            await asyncio.sleep(0)

        assert data.endswith(LARGE)

    store = on_a_line(root, talk, buffer_bytes=4096)

    assert store.counted == [(ContentKind.KERNEL, 200, len(LARGE))]


def test_a_reader_that_closes_half_way_is_reported_with_what_it_got(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/content/ol8/vmlinuz"))
        await line.reader.read(1000)
        line.writer.transport.abort()
        await until(lambda: not line.engine.open.connections)

    store = on_a_line(root, talk, buffer_bytes=4096)

    ((kind, status, bytes_sent),) = store.counted
    assert (kind, status) == (ContentKind.KERNEL, 200)
    assert 0 < bytes_sent < len(LARGE)


def test_all_bytes_that_a_reader_got_before_it_closed_are_counted(root: Path) -> None:
    got = len(LARGE) // 2

    async def talk(line: Line) -> None:
        line.send_request(get("/content/ol8/vmlinuz"))
        await line.reader.readexactly(got)
        line.writer.transport.abort()
        await until(lambda: not line.engine.open.connections)

    store = on_a_line(root, talk, buffer_bytes=4096)

    ((_, _, bytes_sent),) = store.counted
    assert got - 1000 < bytes_sent < len(LARGE)  # without the head


@pytest.mark.parametrize(
    ("begun", "limit_s"),
    [
        (b"", IDLE_TIMEOUT_S),
        (b"GET /content/", LINE_TIMEOUT_S),
        (b"GET /content/ HTTP/1.1\r\n", HEAD_TIMEOUT_S),
        (get("/ostree/ock/config"), IDLE_TIMEOUT_S),
    ],
)
def test_a_connection_that_nobody_uses_is_closed(root: Path, begun: bytes, limit_s: float) -> None:
    async def talk(line: Line) -> None:
        line.send_request(begun)
        await until(lambda: line.connection._buffer == begun or bool(line.store.counted))
        line.connection.close_if_overdue(time.monotonic() + limit_s - 1)
        assert not line.connection._transport.is_closing()
        line.connection.close_if_overdue(time.monotonic() + limit_s + 1)
        await line.reader.read()
        assert line.engine.open.connections == set()

    on_a_line(root, talk)


def test_a_reader_that_takes_nothing_is_let_go(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.writer.transport.pause_reading()
        line.send_request(get("/ostree/ock/" + OBJECT) * 2000)
        connection = line.connection
        await until(lambda: connection._state is ConnectionState.BLOCKED)
        await until(lambda: not connection._transport.is_reading())  # nor is more of it held than one read
        connection.close_if_overdue(time.monotonic() + SLICE_TIMEOUT_S - 1)
        assert not connection._transport.is_closing()
        connection.close_if_overdue(time.monotonic() + SLICE_TIMEOUT_S + 1)
        await until(lambda: not line.engine.open.connections)

    on_a_line(root, talk, buffer_bytes=4096)


def test_a_stop_lets_an_answer_end_and_closes_the_rest(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(get("/content/ol8/vmlinuz"))
        await until(lambda: bool(line.engine.open.tasks))
        stopping = asyncio.create_task(line.engine.stop(TIMEOUT_S))

        assert (await line.answer())[2] == LARGE
        await stopping
        assert await line.reader.read() == b""

    on_a_line(root, talk, buffer_bytes=4096)


def test_a_reader_that_goes_away_before_it_took_the_first_bytes_leaves_no_fault_in_the_log(root: Path) -> None:
    faults: list[dict[str, object]] = []

    async def talk(line: Line) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        line.send_request(get("/content/ol8/vmlinuz"))
        await until(lambda: line.connection._transport.get_write_buffer_size() > 0)
        for _ in range(10):
            await asyncio.sleep(0)
        line.writer.transport.abort()
        await until(lambda: not line.engine.open.connections and not line.engine.open.tasks)
        for _ in range(10):
            await asyncio.sleep(0)

    on_a_line(root, talk, buffer_bytes=4096)

    assert faults == []


def test_a_client_that_shuts_its_side_and_reads_slowly_is_answered_whole(root: Path) -> None:
    async def talk(line: Line) -> None:
        line.send_request(*[get("/content/ol8/initrd.img")] * 200)
        line.writer.write_eof()
        await until(lambda: line.connection._peer_is_done)

        answers = await line.reader.read()

        assert answers.count(b"HTTP/1.1 200 OK") == 200
        assert answers.endswith(b"initrd")

    on_a_line(root, talk, buffer_bytes=4096)


def test_a_client_that_pipelines_and_reads_nothing_fills_little_memory(root: Path) -> None:
    async def talk(line: Line) -> None:
        await until(lambda: bool(line.engine.open.connections))
        connection = line.connection
        line.send_request(*[get("/ostree/ock/config")] * 50_000)
        for _ in range(200):
            await asyncio.sleep(0.001)

        assert connection._state is ConnectionState.BLOCKED
        assert len(connection._buffer) <= 2 * LONGEST_HEAD_BYTES
        line.writer.transport.abort()  # it does not close before it has sent the rest
        await until(lambda: not line.engine.open.connections)

    on_a_line(root, talk, buffer_bytes=4096)


def test_a_machine_that_has_too_many_connections_gets_no_more_until_it_closes_one(root: Path) -> None:
    async def run() -> None:
        content = ContentIndex(root)
        content.refresh()
        store = Recorder()
        engine = HttpEngine(static_files(content, store), Other, most_of_machine=2)

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            ours, theirs = socket.socketpair()
            await asyncio.get_running_loop().connect_accepted_socket(engine.protocol, ours)
            return await asyncio.open_connection(sock=theirs)

        lines = [await connect() for _ in range(2)]
        lines[0][1].write(get("/healthz"))  # the other protocol's connections count too
        assert await lines[0][0].read(5) == b"other"

        lines.append(await connect())
        assert await lines[2][0].read() == b""
        lines[0][1].close()
        await until(lambda: not lines[0][1].transport.get_extra_info("socket").fileno() >= 0)
        for _ in range(10):
            await asyncio.sleep(0)
        lines.append(await connect())
        lines[3][1].write(get("/content/ol8/initrd.img"))
        assert await lines[3][0].read(15) == b"HTTP/1.1 200 OK"

        for _, writer in lines:
            writer.close()
        await engine.stop(1.0)

    asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))


def test_a_large_file_that_is_written_over_while_it_leaves_is_cut_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "media" / "ol8" / "vmlinuz"
    path.parent.mkdir(parents=True)
    size_bytes = 3 * SLICE_BYTES
    with path.open("wb") as file:
        file.truncate(size_bytes)

    async def talk(line: Line) -> None:
        line.send_request(get("/content/ol8/vmlinuz"))
        await line.reader.readexactly(SLICE_BYTES // 2)
        with path.open("r+b") as file:
            file.write(b"another kernel")

        assert len(await line.reader.read()) < size_bytes - SLICE_BYTES

    on_a_line(tmp_path, talk, buffer_bytes=4096)
