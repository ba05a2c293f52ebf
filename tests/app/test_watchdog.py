"""The watchdog is fed as long as the loop runs and what answered before still does."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from netboot.app.running import watchdog as module
from netboot.app.running.round_trip import Endpoint
from netboot.app.running.watchdog import Watchdog, watchdog_s

LIMIT_S = 1.0  # a loaded box takes some tenths of a second for a connection
NEVER = "has not answered this appliance itself; permit all packets on the interface lo, or see the log"


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Give the socket of a service manager with a watchdog of `LIMIT_S`."""
    monkeypatch.setattr(module, "ANSWER_S", 0.05)
    monkeypatch.setattr(module, "START_S", 0.2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", str(int(LIMIT_S * 1e6)))
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        yield manager


def fed(manager: socket.socket) -> int:
    """Return how often the watchdog was fed since the last call."""
    count = 0
    try:
        while True:
            count += manager.recv(4096) == b"WATCHDOG=1"
    except BlockingIOError:
        return count


class Rig:
    """A watchdog on one real listener, which can stop to accept."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint] = []
        self.unread: list[str] = []
        self.notes = 0
        self.watchdog = Watchdog(lambda: self.endpoints, lambda: self.unread, on_problems=self._note)

    def _note(self) -> None:
        self.notes += 1

    async def __aenter__(self) -> "Rig":
        self.server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.endpoints = [Endpoint("127.0.0.1", self.server.sockets[0].getsockname()[1])]
        await self.watchdog.verify()
        self.running = asyncio.create_task(self.watchdog.run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.running.cancel()
        self.server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)  # the answers that run
        await asyncio.sleep(0)

    def stop_accepting(self) -> None:
        asyncio.get_running_loop().remove_reader(self.server.sockets[0].fileno())

    @staticmethod
    async def _answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()


def test_a_daemon_that_answers_is_fed_and_one_whose_loop_is_blocked_is_not(manager: socket.socket):
    async def scenario() -> tuple[int, int]:
        async with Rig():
            await asyncio.sleep(LIMIT_S)
            running = fed(manager)
            time.sleep(LIMIT_S)  # noqa: ASYNC251 - it blocks the loop
            return running, fed(manager)

    running, blocked = asyncio.run(scenario())

    assert running >= 2
    assert blocked == 0


def test_a_listener_that_answers_no_more_starves_the_watchdog_and_is_named(manager: socket.socket):
    async def scenario() -> tuple[int, list[str], int]:
        async with Rig() as rig:
            fed(manager)
            rig.stop_accepting()
            await asyncio.sleep(LIMIT_S / 2)
            fed(manager)
            await asyncio.sleep(2 * LIMIT_S)
            return fed(manager), rig.watchdog.problems, rig.endpoints[0].port

    with capture_logs() as logs:
        count, problems, port = asyncio.run(scenario())

    assert count == 0
    assert problems == [f"127.0.0.1:{port} does not answer any more; systemctl restart netboot"]
    assert logs == [{"event": "listener.unanswered", "log_level": "error", "reasons": problems, "is_restarted": True}]


def test_datagrams_that_are_not_read_starve_it_too_until_they_are(manager: socket.socket):
    async def scenario() -> tuple[list[str], int, list[str], int]:
        async with Rig() as rig:
            rig.unread = ["UDP port 67 on eno2"]
            await asyncio.sleep(LIMIT_S / 2)
            fed(manager)
            await asyncio.sleep(LIMIT_S)
            problems, starved = rig.watchdog.problems, fed(manager)
            rig.unread = []
            await asyncio.sleep(LIMIT_S)
            return problems, starved, rig.watchdog.problems, fed(manager)

    with capture_logs() as logs:
        problems, starved, later, count = asyncio.run(scenario())

    assert (problems, starved) == (["UDP port 67 on eno2 is not read any more; systemctl restart netboot"], 0)
    assert later == []
    assert count > 0
    assert [each["event"] for each in logs] == ["listener.unanswered", "listener.answers"]


def test_a_listener_that_never_answered_is_a_problem_and_no_reason_for_a_restart(manager: socket.socket):
    async def scenario() -> tuple[list[str], int, int]:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            endpoint = Endpoint("127.0.0.1", deaf.getsockname()[1])
            watchdog = Watchdog(lambda: [endpoint], list, on_problems=lambda: None)
            await watchdog.verify()
            running = asyncio.create_task(watchdog.run())
            await asyncio.sleep(2 * LIMIT_S)
            running.cancel()
            return watchdog.problems, fed(manager), endpoint.port

    with capture_logs():
        problems, count, port = asyncio.run(scenario())

    assert problems == [f"127.0.0.1:{port} {NEVER}"]
    assert count >= 2


def test_a_listener_that_was_closed_is_no_problem(manager: socket.socket):
    async def scenario() -> tuple[list[str], int]:
        async with Rig() as rig:
            rig.server.close()
            rig.endpoints = []
            await asyncio.sleep(LIMIT_S)
            return rig.watchdog.problems, fed(manager)

    problems, count = asyncio.run(scenario())

    assert problems == []
    assert count > 0


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),  # of another process
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_time_is_that_of_systemd_for_this_process(environment: dict[str, str], expected: float | None):
    assert watchdog_s(environment, 7) == expected
