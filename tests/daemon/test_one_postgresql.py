"""Two boxes on one PostgreSQL store: both serve, and each learns of what the other, or a command, changes."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.daemon import START_S, Daemon, wait_until
from postgresql import BINARIES, Server

pytestmark = pytest.mark.integration

SETTINGS = """\
admin: {{socket: control.sock, listen: 127.0.0.1:{port}}}
content: {{directory: content}}
records: {{directory: records}}
store: {{url: "{url}", key_file: store.key}}
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


@contextmanager
def program_with_the_lock_alone(server: Server, url: str) -> Iterator[None]:
    """Hold the store's lock as versions before 18 held it, until the end."""
    name = url.split("@/")[1].split("?")[0]
    command = [BINARIES / "psql", "--host", server.directory, "--username", "postgres", "-At", name]
    environment = {"PATH": os.environ["PATH"], "PGAPPNAME": "netboot on old, pid 1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as psql:
        assert psql.stdin is not None
        assert psql.stdout is not None
        psql.stdin.write("SELECT pg_advisory_lock(1852142690, hashtext(coalesce(current_schema(), ''))) IS NULL;\n")
        psql.stdin.flush()
        assert psql.stdout.readline() == "f\n"
        yield
        psql.stdin.close()
        psql.wait(START_S)


def test_two_first_starts_on_an_empty_database_both_serve(boxes: tuple[Box, Box]):
    for box in boxes:
        box.launch()

    for box in boxes:
        box.wait_for("daemon.started")


def test_a_command_of_a_box_without_a_daemon_changes_the_store_and_the_daemon_of_the_other_learns_of_it(
    boxes: tuple[Box, Box],
):
    first, second = boxes
    first.start()

    armed = second.run("install", "arm", "w1", "--force")

    assert armed.returncode == 0
    assert "no daemon runs; changed the store itself" in armed.stderr
    wait_until(lambda: first.api("/api/v1/hosts/w1")["install"]["arming"])


def test_a_session_that_was_cut_is_opened_again(boxes: tuple[Box, Box], postgresql_server: Server, url: str):
    first, second = boxes
    first.start()

    query(postgresql_server, url, f"SELECT pg_terminate_backend(pid) {SESSIONS}")

    first.wait_for("store.lock_retaken")
    second.start()


def test_an_earlier_version_that_has_the_store_for_itself_is_named(
    boxes: tuple[Box, Box], postgresql_server: Server, url: str
):
    first, _ = boxes
    with program_with_the_lock_alone(postgresql_server, url):
        first.launch()

        assert first.wait(timeout_s=START_S) == 1

    (failed,) = first.lines("daemon.failed")
    assert failed["reason"] == (
        "cannot start: netboot on old, pid 1 has the store for itself, as netboot before schema version 18 does; "
        "nothing was changed; stop it there (systemctl stop netboot), and install this version there"
    )


def test_a_daemon_ends_where_another_took_the_store_alone_while_its_session_was_cut(
    boxes: tuple[Box, Box], postgresql_server: Server, url: str
):
    first, _ = boxes
    first.start()
    first.signal(signal.SIGSTOP)
    query(postgresql_server, url, f"SELECT pg_terminate_backend(pid) {SESSIONS}")
    with program_with_the_lock_alone(postgresql_server, url):
        first.signal(signal.SIGCONT)

        assert first.wait(timeout_s=START_S) == 1

    assert "netboot on old, pid 1 took the store for itself" in first.log.splitlines()[-1]
    assert "Traceback" not in first.log
