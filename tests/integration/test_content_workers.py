"""Content workers as real processes: they serve, tell what they served, die, come back, and end with their daemon."""

import asyncio
import os
import shutil
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.content.serving.served_file import ServedFile
from netboot.model.release import ContentKind
from netboot.serve.workers.content_worker import WorkerOptions
from netboot.serve.workers.content_workers import ContentWorkers

pytestmark = pytest.mark.integration
TIMEOUT_S = 30.0
BODY = b"kernel" * 1000


@dataclass
class Recorder:
    """Remembers what it is told, as desk and counters."""

    served: list[tuple[str, str, int]] = field(default_factory=list)
    counted: Counter[tuple[str, int]] = field(default_factory=Counter)
    bytes_sent: int = 0

    def content_served(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        self.served.append((str(address), f"{file.owner}/{file.member}", bytes_sent))

    def content_counted(self, kind: ContentKind, status: int, *, requests: int, bytes_sent: int) -> None:
        self.counted[kind.value, status] += requests
        self.bytes_sent += bytes_sent

    def request_malformed(self) -> None:
        """None come here."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "media" / "ol8").mkdir(parents=True)
    (tmp_path / "media" / "ol8" / "vmlinuz").write_bytes(BODY)
    return tmp_path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - what other processes do sets no event here
            await asyncio.sleep(0.02)


async def get(port: int, path: str = "/content/ol8/vmlinuz", *, source: str = "127.0.0.1") -> tuple[bytes, bytes]:
    """Ask from one of the many addresses of loopback; give head and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(TIMEOUT_S):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


@asynccontextmanager
async def working(directory: Path, store: Recorder, *, workers: int) -> AsyncIterator[tuple[ContentWorkers, int]]:
    port = free_port()
    options = WorkerOptions(str(directory), port, workers, max_streams=8, client_rate=0, drain_s=2.0)
    keeper = ContentWorkers(options, store, counters=store)
    keeper.listen(["127.0.0.1"])
    running = asyncio.create_task(keeper.run())
    try:
        await keeper.listening()
        assert len(keeper.pids) == workers
        yield keeper, port
    finally:
        await keeper.stop()
        await running


def test_workers_serve_and_the_daemon_hears_of_every_answer(directory: Path) -> None:
    store = Recorder()
    told: list[int] = []

    async def talk() -> None:
        async with working(directory, store, workers=2) as (keeper, port):
            answers = [await get(port, source=f"127.0.0.{n}") for n in range(1, 9)]
            missing = await get(port, "/content/ol8/nothing")
            other = await get(port, "/boot/52:54:00:aa:bb:01.ipxe")
            pids = keeper.pids
        assert [body for _, body in answers] == [BODY] * 8
        assert missing[0].startswith(b"HTTP/1.1 404 ")
        assert other[0].startswith(b"HTTP/1.1 404 ")
        told.extend(pids)

    asyncio.run(talk())

    assert len(told) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in told)
    assert sorted(store.served) == [(f"127.0.0.{n}", "ol8/vmlinuz", len(BODY)) for n in range(1, 9)]
    assert store.counted == {("kernel", 200): 8, ("other", 404): 1}
    assert store.bytes_sent == 8 * len(BODY)


def test_a_worker_that_dies_is_started_again_and_the_other_serves_meanwhile(directory: Path) -> None:
    async def talk() -> None:
        async with working(directory, Recorder(), workers=2) as (keeper, port):
            await until(lambda: _listeners(keeper.pids, port) == 2)
            first = keeper.pids[0]
            os.kill(first, signal.SIGKILL)
            await until(lambda: first not in keeper.pids)
            for n in range(1, 5):
                assert (await get(port, source=f"127.0.0.{n}"))[1] == BODY
            await until(lambda: len(keeper.pids) == 2)

    asyncio.run(talk())


def test_a_reload_shows_what_was_imported_meanwhile(directory: Path) -> None:
    async def talk() -> None:
        async with working(directory, Recorder(), workers=1) as (keeper, port):
            shutil.copytree(directory / "media" / "ol8", directory / "media" / "ol9")
            (directory / "media" / "ol8" / "vmlinuz").unlink()
            keeper.reload()
            assert (await get(port, "/content/ol9/vmlinuz"))[1] == BODY
            await until(lambda: True)
            assert (await get(port))[0].startswith(b"HTTP/1.1 404 ")

    asyncio.run(talk())


def test_every_connection_of_one_machine_goes_to_one_worker(directory: Path) -> None:
    async def talk() -> None:
        async with working(directory, Recorder(), workers=2) as (keeper, port):
            await asyncio.sleep(0)
            owners: dict[str, set[int]] = {}
            await until(lambda: _listeners(keeper.pids, port) == 2)
            for source in ("127.0.0.4", "127.0.0.5"):
                for _ in range(8):
                    _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
                    local = writer.get_extra_info("sockname")[1]
                    await until(lambda local=local: _owner(keeper.pids, port, local) is not None)
                    owner = _owner(keeper.pids, port, local)
                    assert owner is not None
                    owners.setdefault(source, set()).add(owner)
                    writer.close()
            assert [len(pids) for pids in owners.values()] == [1, 1]
            assert owners["127.0.0.4"] != owners["127.0.0.5"]

    asyncio.run(talk())


def _inodes(*, state: str, port: int, peer: int | None = None) -> set[str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {
        row[9]
        for row in rows
        if row[3] == state and row[1].endswith(f":{port:04X}") and (peer is None or row[2].endswith(f":{peer:04X}"))
    }


def _holds(pid: int, inodes: set[str]) -> bool:
    links = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}
    return any(f"socket:[{inode}]" in links for inode in inodes)


def _listeners(pids: list[int], port: int) -> int:
    inodes = _inodes(state="0A", port=port)
    return sum(_holds(pid, inodes) for pid in pids)


def _owner(pids: list[int], port: int, peer: int) -> int | None:
    inodes = _inodes(state="01", port=port, peer=peer)
    return next((pid for pid in pids if _holds(pid, inodes)), None)
