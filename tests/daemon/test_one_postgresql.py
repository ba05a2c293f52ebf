"""One daemon for each PostgreSQL store, from whichever box: refused, retaken, never changed behind its back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon.rack import TIMEOUT_S
from postgresql import BINARIES, Server

pytestmark = pytest.mark.integration

SETTINGS = """\
admin: {{socket: control.sock, listen: 127.0.0.1:{port}}}
content: {{directory: content}}
store: {{url: "{url}"}}
log: {{format: json}}
"""
SESSIONS = "FROM pg_stat_activity WHERE application_name LIKE 'netboot on %'"


class Box:
    """One appliance without a LAN, with its own files and socket."""

    def __init__(self, directory: Path, url: str, *, port: int) -> None:
        directory.mkdir()
        self.config = directory / "netboot.yaml"
        self.config.write_text(SETTINGS.format(url=url, port=port))
        (directory / "hosts.yaml").write_text("hosts: {w1: {role: worker, mac: 52:54:00:12:34:56}}\n")
        self._log = directory / "log"
        self.daemon: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.daemon = subprocess.Popen(
                [sys.executable, "-m", "netboot", "serve"],
                env=os.environ | {"NETBOOT_CONFIG": str(self.config)},
                stderr=log,
            )

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.log:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def wait(self) -> int:
        assert self.daemon is not None
        return self.daemon.wait(TIMEOUT_S)

    def stop(self) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait(TIMEOUT_S)

    def netboot(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "netboot", *arguments],
            env=os.environ | {"NETBOOT_CONFIG": str(self.config)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def url(postgresql_server: Server) -> str:
    return postgresql_server.new_database()


@pytest.fixture
def boxes(tmp_path: Path, url: str) -> Iterator[tuple[Box, Box]]:
    made = Box(tmp_path / "a", url, port=8471), Box(tmp_path / "b", url, port=8472)
    yield made
    for box in made:
        box.stop()


def query(server: Server, url: str, statement: str) -> str:
    name = url.split("@/")[1].split("?")[0]
    command = [BINARIES / "psql", "--host", server.directory, "--username", "postgres", "-At", "-c", statement, name]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


def test_a_daemon_on_another_box_is_refused_until_the_first_has_ended(boxes: tuple[Box, Box]):
    first, second = boxes
    first.start()
    first.wait_for("daemon.started")
    second.start()

    assert second.wait() == 1
    assert "cannot start: netboot on " in second.log
    assert f"pid {first.daemon and first.daemon.pid} holds the store" in second.log
    assert first.daemon is not None
    first.daemon.send_signal(signal.SIGTERM)
    assert first.wait() == 0
    second.start()
    second.wait_for("daemon.started")


def test_of_two_first_starts_on_an_empty_database_one_serves_and_one_is_refused(boxes: tuple[Box, Box]):
    for box in boxes:
        box.start()

    deadline = time.monotonic() + TIMEOUT_S
    while {box.daemon.poll() for box in boxes if box.daemon} != {None, 1}:
        assert time.monotonic() < deadline, [box.log for box in boxes]
        time.sleep(0.1)
    (served,) = [box for box in boxes if box.daemon and box.daemon.poll() is None]
    served.wait_for("daemon.started")
    (refused,) = [box for box in boxes if box is not served]
    assert "cannot start: netboot on " in refused.log


def test_a_command_on_another_box_reads_the_store_and_does_not_change_it(boxes: tuple[Box, Box]):
    first, second = boxes
    first.start()
    first.wait_for("daemon.started")

    assert second.netboot("host", "list").stdout.splitlines()[1].startswith("w1")
    refused = second.netboot("install", "arm", "w1", "--force")

    assert refused.returncode == 1
    assert "cannot change the store: netboot on " in refused.stderr
    assert '"armed": false' in first.netboot("install", "show", "w1", "--json").stdout


def test_a_session_that_was_cut_is_opened_again(boxes: tuple[Box, Box], postgresql_server: Server, url: str):
    first, second = boxes
    first.start()
    first.wait_for("daemon.started")

    query(postgresql_server, url, f"SELECT pg_terminate_backend(pid) {SESSIONS}")

    first.wait_for("store.lock_retaken")
    second.start()
    assert second.wait() == 1


def test_a_daemon_ends_where_another_took_the_store_while_its_session_was_cut(
    boxes: tuple[Box, Box], postgresql_server: Server, url: str
):
    first, second = boxes
    first.start()
    first.wait_for("daemon.started")
    assert first.daemon is not None
    first.daemon.send_signal(signal.SIGSTOP)
    query(postgresql_server, url, f"SELECT pg_terminate_backend(pid) {SESSIONS}")
    second.start()
    second.wait_for("daemon.started")

    first.daemon.send_signal(signal.SIGCONT)

    assert first.wait() == 1
    assert "took the store" in first.log.splitlines()[-1]
    assert "Traceback" not in first.log
