"""The appliance under test: bytes in, bytes out, and an operator's actions. The only module here that uses netboot.

One process, a real store (a SQLite file), real files; the clock, random bytes and the network are fakes. After each
call nothing is under way; what netboot writes behind is written when `advance` moves the clock.
"""

import asyncio
import gc
import json
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from fixtures.api_answers import faults_of
from fixtures.role_files import NEVER_ENDING, copy_role_files
from safety.memory_network import BOX, INTERFACE, SERVER, Address, FakeClock, MemoryLoop, MemoryTransport, in_memory

from netboot.app.running.process import Signals
from netboot.app.start import run
from netboot.model.clock import Clock
from netboot.registry.load import read_written

HTTP_PORT = 8080
SECOND_SERVER = "192.0.2.11"  # of a second box on the LAN
LOOPBACK = ("127.0.0.1", 8470)  # where the first box serves its administration
BASE = f"http://{SERVER}:{HTTP_PORT}"
BROADCAST = "255.255.255.255"
SETTINGS = f"""\
network: {{interfaces: [{INTERFACE}]}}
admin: {{socket: control.sock, listen: 127.0.0.1:%(port)d}}
bootfiles: {{directories: [boot]}}
content: {{directory: content, deltas: false, scrub_days: 0}}
store: {{url: "%(store)s", key_file: store.key}}
records: {{directory: records}}
hosts: {{files: [%(files)s], unknown: %(unknown)s}}
dhcp: {{mode: %(mode)s}}
"""
_STOP_S = 60
LONGER_THAN_A_BURST_S = 0.06  # than the time between two changes of one burst


@dataclass(frozen=True)
class Response:
    """What an HTTP client received."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def faults(self, method: str, path: str) -> list[str]:
        """List where this answer of the administration is not as the description of the API has it."""
        return faults_of(method, path, self.status, self.headers.get("content-type", ""), self.body)


@dataclass(frozen=True)
class TftpError:
    """What a TFTP client received instead of a file; code -1: no answer."""

    code: int
    message: str = ""


class Appliance:
    """One box. `close` it at the end."""

    def __init__(
        self,
        directory: Path,
        hosts: str,
        *,
        mode: str = "proxy",
        unknown: str = "ignore",
        files: str = "hosts.yaml",
        store: str = "sqlite+aiosqlite:///netboot.db",
        beside: "Appliance | None" = None,
    ) -> None:
        """Start on the files in `directory`, which `prepare` has filled, on the LAN of `beside` if there is one."""
        self.directory = directory
        self.clock = FakeClock() if beside is None else beside.clock
        self._loop = MemoryLoop(self.clock) if beside is None else beside._loop
        self._port, self.server, port = 20_000, SERVER, 8470
        if beside is not None:
            self._port, self.server, port = 30_000, SECOND_SERVER, 8471
        chosen = {"mode": mode, "unknown": unknown, "files": files, "store": store, "port": port}
        (directory / "netboot.yaml").write_text(SETTINGS % chosen)
        self.edit_hosts(hosts)
        self._stack = ExitStack()
        if beside is None:
            self._stack.enter_context(_quiet())
            self._stack.enter_context(in_memory(self._loop))
        self._is_beside = beside is not None
        self._start()

    # The wire

    def dhcp(self, port: int, datagram: bytes, source: Address = ("0.0.0.0", 68)) -> list[bytes]:
        """Send one datagram to port 67 (broadcast) or 4011; return the replies."""
        return [data for _source, _to, data in self.udp(port, datagram, source)]

    def udp(
        self, port: int, datagram: bytes, source: Address, *, wait_s: float = 0.0
    ) -> list[tuple[Address, Address, bytes]]:
        """Send one datagram; return all that is sent within `wait_s`, each with its source and destination."""
        sent = self._loop.network.send(datagram, source, (BROADCAST if port == 67 else self.server, port))
        if wait_s:
            for _ in range(10):
                self.advance(wait_s / 10)
            sent = list(self._loop.network.sent)
        return sent

    def tftp(self, name: str, source: str) -> bytes | TftpError:
        """Read a file by TFTP (RFC 1350, octet, no options) from the address `source`."""
        self._port += 1
        peer, received = (source, self._port), b""
        request = b"\0\1" + name.encode("latin-1") + b"\0octet\0"
        answers, expected = self._loop.network.send(request, peer, (self.server, 69)), 1
        while True:
            mine = [(ours, data) for ours, to, data in answers if to == peer]
            if not mine:
                return TftpError(-1)
            ours, data = mine[0]
            if data[:2] == b"\0\5":
                return TftpError(int.from_bytes(data[2:4], "big"), data[4:-1].decode("latin-1"))
            assert data[:4] == b"\0\3" + expected.to_bytes(2, "big"), data[:4]
            received += data[4:]
            answers = self._loop.network.send(b"\0\4" + data[2:4], peer, ours)
            if len(data) < 4 + 512:
                return received
            expected = (expected + 1) % 65536

    def http(self, method: str, path: str, source: str, body: bytes = b"") -> Response:
        """Send one request to the boot LAN's HTTP from the address `source`."""
        return self.http_together([(method, path, source, body)])[0]

    def http_together(self, requests: Sequence[tuple[str, str, str, bytes]]) -> list[Response]:
        """Send requests that are all under way at one time, each on a connection of its own."""
        return self.answers([self.request(*each) for each in requests])

    def request(self, method: str, path: str, source: str, body: bytes = b"") -> tuple[MemoryTransport, str]:
        """Send one request, which is under way until `answers` is called; return its connection and method."""
        self._port += 1
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.server}:{HTTP_PORT}\r\n"
        head += f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
        data = head.encode("latin-1") + b"\r\n" + body
        return self._loop.network.connect((self.server, HTTP_PORT), (source, self._port), data), method

    def answers(self, requests: Sequence[tuple[MemoryTransport, str]]) -> list[Response]:
        """Wait until nothing is under way; return the answers of requests to this box, or another one on its LAN."""
        self._loop.settle()
        return [self._ended(transport, method) for transport, method in requests]

    def http_cut(self, method: str, path: str, source: str, body: bytes = b"") -> None:
        """Send one request and close the connection before its answer."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.server}\r\nContent-Length: {len(body)}\r\n\r\n"
        transport = self._loop.network.connect((self.server, HTTP_PORT), (source, 1), head.encode() + body)
        self._loop.call_soon(transport.close)
        self._loop.settle()

    def http_bytes(self, data: bytes, source: str, *, wait_s: float = 0.0) -> bytes:
        """Send bytes on one connection to the boot LAN's HTTP; return what came back on it within `wait_s`."""
        transport = self._loop.network.connect((self.server, HTTP_PORT), (source, 1), data)
        self._loop.settle()
        if wait_s:
            self.advance(wait_s)
        return bytes(transport.output)

    # The operator

    def api(
        self, method: str, path: str, body: Any = None, *, headers: Sequence[str] = ("Host: localhost",)
    ) -> Response:
        """Send one request to the API on the control socket; a body of bytes is sent as it is."""
        return self.administration(method, f"/api/v1{path}", body, headers=headers)

    def administration(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Sequence[str] = ("Host: localhost",),
        on_loopback: bool = False,
    ) -> Response:
        """Send one request to the administration on the control socket; its answer is as the API describes it."""
        text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", *headers, f"Content-Length: {len(text)}", "", ""]
        head = "\r\n".join(lines)
        where, peer = (LOOPBACK, ("127.0.0.1", 1)) if on_loopback else (str(self.directory / "control.sock"), "")
        transport = self._loop.network.connect(where, peer, head.encode() + text)
        self._loop.settle()
        response = self._ended(transport, method)
        assert response.faults(method, path) == []
        return response

    def stalled_client(self, path: str) -> MemoryTransport:
        """Send one request to the API as a client that does not read the answer: its connection accepts no more."""
        head = f"GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        transport = self._loop.network.connect(str(self.directory / "control.sock"), "", head)
        self._loop.call_soon(lambda: transport.get_protocol().pause_writing())
        self._loop.settle()
        return transport

    def arm(self, host: str, *, attempts: int = 1, force: bool = False) -> int:
        """Arm a host; return the status of the answer."""
        wanted = {"reason": "a test", "attempts": attempts, "force": force}
        return self.api("POST", f"/hosts/{host}/arm", wanted).status

    def cancel(self, host: str) -> int:
        """Cancel an arming; return the status of the answer."""
        return self.api("POST", f"/hosts/{host}/cancel", {"reason": "a test"}).status

    def hold(self, host: str) -> dict[str, Any] | None:
        """Return why the armed install of a host waits for a person; None: it does not."""
        answer = self.api("GET", f"/hosts/{host}/install")
        held: dict[str, Any] | None = answer.json()["hold"] if answer.status == 200 else None
        return held

    def confirm(self, host: str) -> dict[str, Any] | None:
        """Confirm the machine of a held install; return what it showed, None if it is refused."""
        answer = self.api("POST", f"/hosts/{host}/confirm", {"reason": "a test"})
        return answer.json()["confirmed"]["shown"] if answer.status == 200 else None

    def edit_hosts(self, text: str) -> None:
        """Write the hosts file; nothing is read yet."""
        (self.directory / "hosts.yaml").write_text(text)

    def reload(self) -> int:
        """Have the files read again; return the status of the answer."""
        return self.api("POST", "/reload").status

    @contextmanager
    def failing_store(self, table: str = "installs") -> Iterator[None]:
        """Make the store fail for queries of this table, by renaming it."""
        with closing(sqlite3.connect(self.directory / "netboot.db")) as store:
            store.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
            try:
                yield
            finally:
                store.execute(f"ALTER TABLE elsewhere RENAME TO {table}")

    def restart(self, *, kill: bool = False) -> None:
        """Stop and start. With `kill` nothing is written that was not on disk at this moment."""
        store = {path: path.read_bytes() for path in self.directory.glob("netboot.db*") if path.suffix != ".lock"}
        self._stop()
        if kill:
            for path in self.directory.glob("netboot.db-*"):
                path.unlink()
            for path, data in store.items():
                path.write_bytes(data)
        self._start()

    def end_without_store(self) -> None:
        """Stop a box that does not reach the store any longer: nothing that it still does has an effect."""
        self._loop.call_soon(self._signals.stopping.set)
        for _ in range(_STOP_S):
            self._loop.settle()
            if self._run.done():
                break
            self.clock.seconds += 1
        assert self._run.done(), "the appliance does not stop"
        self._run.exception()  # its lock on the store is lost

    def start_again(self) -> None:
        self._start()

    def begin_http(self, method: str, path: str, source: str, *, steps: int) -> None:
        """Send one request, and let the box work on it for so many steps of its loop; its answer is lost."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.server}\r\n\r\n"
        self._loop.network.connect((self.server, HTTP_PORT), (source, 1), head.encode())
        self.work(steps)

    def work(self, steps: int) -> None:
        """Let the boxes work for so many steps of their loop."""
        for _ in range(steps):
            self._loop.run_until_complete(asyncio.sleep(0))

    # Time

    def advance(self, seconds: float) -> None:
        """Let time pass; what is written behind is written.

        Its timers follow each other (a pause, then the end of the burst), so the last moments pass one by one.
        """
        moment = min(seconds / 3, LONGER_THAN_A_BURST_S)
        for each in (seconds - 2 * moment, moment, moment):
            self.clock.seconds += each
            self._loop.settle()

    def set_wall_clock(self, seconds: float) -> None:
        """Move the time of day, as NTP does; no time passes."""
        self.clock.wall_offset_s += seconds

    def close(self) -> None:
        """Stop, and give everything back, also what the daemon's start excepted from garbage collection."""
        try:
            if not self._run.done():
                self._stop()
        finally:
            gc.unfreeze()
            if not self._is_beside:
                self._loop.run_until_complete(self._loop.shutdown_default_executor())
                self._stack.close()
                self._loop.close()

    def _start(self) -> None:
        path, clock = self.directory / "netboot.yaml", self.clock
        self._signals = Signals()
        faked = Clock(clock.now, clock.monotonic, clock.random_bytes)
        context = copy_context()
        context.run(BOX.set, self.server)
        serving = run(path, read_written(path), self._signals, clock=faked)
        self._run = self._loop.create_task(serving, context=context)
        self._loop.settle()
        if self._run.done():
            self._run.result()
        status = self.api("GET", "/status")
        assert status.status == 200, status

    def _stop(self) -> None:
        self._loop.call_soon(self._signals.stopping.set)
        for _ in range(_STOP_S):
            self._loop.settle()
            if self._run.done():
                break
            self.clock.seconds += 1
        assert self._run.done(), "the appliance does not stop"
        self._run.result()

    def _ended(self, transport: Any, method: str) -> Response:
        response = _response(bytes(transport.output), method)
        self._loop.call_soon(transport.close)
        self._loop.settle()
        return response


def _response(data: bytes, method: str) -> Response:
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", len(rest)))
    if headers.get("transfer-encoding") == "chunked":
        rest, length = _dechunked(rest)
    body = b"" if method == "HEAD" else rest[:length]
    assert method == "HEAD" or len(body) == length, "a cut answer"
    return Response(int(first.split(" ")[1]) if first else 0, headers, body)


def _dechunked(data: bytes) -> tuple[bytes, int]:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        body, data = body + data[: int(size, 16)], data[int(size, 16) + 2 :]
    return body, len(body)


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop netboot's log, which is not compared here."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


# The files of every appliance here

RELEASES = ("ock-1.31-amd64", "ock-1.32-amd64")
MEDIUM = "ol8u10-x86_64"
LOADERS = {"undionly.kpxe": None, "snponly.efi": 0x8664, "snponly-arm64.efi": 0xAA64, "grubx64.efi": 0x8664}


def prepare(shared: Path) -> None:
    """Fill a directory with what all appliances share: content, boot loaders, Ignition files."""
    medium = shared / "content" / "media" / MEDIUM
    (medium / "images").mkdir(parents=True)
    for name in ("vmlinuz", "initrd.img", "images/install.img"):
        (medium / name).write_bytes(name.encode() * 50)
    for release in RELEASES:
        tree, repository = shared / "tree" / release, shared / "content" / "ostree" / release
        (tree / "usr").mkdir(parents=True)
        (tree / "usr" / "release").write_text(release)
        for path, mode in ((tree, 0o755), (tree / "usr", 0o755), (tree / "usr" / "release", 0o644)):
            path.chmod(mode)  # a commit names the modes
        repository.mkdir(parents=True)
        _ostree(repository, "init", "--mode=archive")
        of_the_commit = (
            "--timestamp=2026-01-01 00:00:00 +0000",
            "--owner-uid=0",
            "--owner-gid=0",
            "--canonical-permissions",
        )
        _ostree(repository, "commit", "--branch=ock", f"--tree=dir={tree}", *of_the_commit)
    (shared / "boot").mkdir()
    for name, machine in LOADERS.items():
        header = b"" if machine is None else b"MZ" + bytes(0x3A) + b"\x40\0\0\0PE\0\0" + machine.to_bytes(2, "little")
        (shared / "boot" / name).write_bytes(header + name.encode() * 60)
    copy_role_files(shared / "ign", written_at=NEVER_ENDING)


def link_shared(shared: Path, directory: Path) -> None:
    """Give an appliance's directory what `prepare` made."""
    for name in ("content", "boot", "ign"):
        (directory / name).symlink_to(shared / name)


def _ostree(repository: Path, *arguments: str) -> None:
    command = ["ostree", f"--repo={repository}", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
