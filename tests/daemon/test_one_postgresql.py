"""One daemon for each PostgreSQL store, from any box: a second one is refused, and no command changes the store."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.daemon import TIMEOUT_S, Daemon
from postgresql import BINARIES, Server

pytestmark = pytest.mark.integration

SETTINGS = """\
admin: {{socket: control.sock, listen: 127.0.0.1:{port}}}
content: {{directory: content}}
records: {{directory: records}}
store: {{url: "{url}"}}
log: {{format: json}}
"""
SESSIONS = "FROM pg_stat_activity WHERE application_name LIKE 'netboot on %'"


class Box(Daemon):
    """One appliance without a LAN, with its own files and socket."""

    def __init__(self, directory: Path, url: str, *, port: int) -> None:
        directory.mkdir()
        super().__init__(directory)
        self.config.write_text(SETTINGS.format(url=url, port=port))
        (directory / "hosts.yaml").write_text("hosts: {w1: {role: worker, mac: 52:54:00:12:34:56}}\n")


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
    second.launch()

    assert second.wait() == 1
    assert "cannot start: netboot on " in second.log
    assert f"pid {first.pid} holds the store" in second.log
    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    second.start()


def test_of_two_first_starts_on_an_empty_database_one_serves_and_one_is_refused(boxes: tuple[Box, Box]):
    for box in boxes:
        box.launch()

    deadline = time.monotonic() + TIMEOUT_S
    while {box.exit_code for box in boxes} != {None, 1}:
        assert time.monotonic() < deadline, [box.log for box in boxes]
        time.sleep(0.1)
    (served,) = [box for box in boxes if box.exit_code is None]
    served.wait_for("daemon.started")
    (refused,) = [box for box in boxes if box is not served]
    assert "cannot start: netboot on " in refused.log


def test_a_command_on_another_box_reads_the_store_and_does_not_change_it(boxes: tuple[Box, Box]):
    first, second = boxes
    first.start()

    assert second.run("host", "list").stdout.splitlines()[1].startswith("w1")
    refused = second.run("install", "arm", "w1", "--force")

    assert refused.returncode == 1
    assert "cannot change the store: netboot on " in refused.stderr
    assert '"armed": false' in first.run("install", "show", "w1", "--json").stdout


def test_a_session_that_was_cut_is_opened_again(boxes: tuple[Box, Box], postgresql_server: Server, url: str):
    first, second = boxes
    first.start()

    query(postgresql_server, url, f"SELECT pg_terminate_backend(pid) {SESSIONS}")

    first.wait_for("store.lock_retaken")
    second.launch()
    assert second.wait() == 1


def test_a_daemon_ends_where_another_took_the_store_while_its_session_was_cut(
    boxes: tuple[Box, Box], postgresql_server: Server, url: str
):
    first, second = boxes
    first.start()
    first.signal(signal.SIGSTOP)
    query(postgresql_server, url, f"SELECT pg_terminate_backend(pid) {SESSIONS}")
    second.start()

    first.signal(signal.SIGCONT)

    assert first.wait() == 1
    assert "took the store" in first.log.splitlines()[-1]
    assert "Traceback" not in first.log
