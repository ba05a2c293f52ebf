"""A signal at any moment: no logged event is lost without a message, and no lock remains."""

import json
import re
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.daemon import TIMEOUT_S, Daemon
from fixtures.rack import Rack

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon without a LAN, which is not started."""
    daemon = Daemon(tmp_path)
    daemon.is_preloaded = False  # it is stopped while it loads
    daemon.config.write_text(
        "admin: {socket: control.sock, listen: 127.0.0.1:8470}\n"
        "content: {directory: content}\n"
        "records: {directory: records}\n"
        "store: {url: sqlite+aiosqlite:///netboot.db}\n"
        "log: {format: json}\n"
    )
    (tmp_path / "hosts.yaml").write_text("hosts: {}\n")
    yield daemon
    daemon.stop()


def wait_until_held(daemon: Daemon) -> None:
    """Wait until Python runs the first line of ours: what comes before is the interpreter's own."""
    deadline = time.monotonic() + TIMEOUT_S
    while not _blocked(daemon.pid) & 1 << (signal.SIGHUP - 1):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _blocked(pid: int) -> int:
    """Read a process's mask of blocked signals (proc(5), SigBlk)."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["SigBlk"], 16)


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.4, 0.8])
def test_sighup_before_ready_is_held_until_ready(quiet: Daemon, after_s: float):
    quiet.launch()
    wait_until_held(quiet)
    time.sleep(after_s)

    quiet.signal(signal.SIGHUP)

    quiet.wait_for("config.reloaded")
    events = [json.loads(line)["event"] for line in quiet.log.splitlines()]
    assert events.index("daemon.started") < events.index("config.reloaded")
    quiet.signal(signal.SIGTERM)
    assert quiet.wait() == 0


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.4, 0.8, 1.4])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_at_any_moment_of_the_start_is_clean(quiet: Daemon, after_s: float, number: signal.Signals):
    quiet.launch()
    wait_until_held(quiet)
    time.sleep(after_s)

    quiet.signal(number)

    assert quiet.wait() == 0
    assert json.loads(quiet.log.splitlines()[-1])["event"] == "daemon.stopped"
    assert "Traceback" not in quiet.log


def test_a_daemon_that_cannot_start_says_so_in_the_log_and_to_systemd(quiet: Daemon):
    quiet.config.write_text(quiet.config.read_text().replace("store: {url", "store: {ulr"))

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(quiet.notify))
        manager.settimeout(TIMEOUT_S)
        quiet.launch(NOTIFY_SOCKET=str(quiet.notify))

        assert quiet.wait() == 2
        assert manager.recv(4096).startswith(b"STATUS=failed: ")
    (line,) = [json.loads(line) for line in quiet.log.splitlines() if line.startswith("{")]
    assert (line["event"], line["level"]) == ("daemon.failed", "error")
    assert "store.ulr: no such setting" in line["reason"]


@pytest.mark.parametrize("delay_s", [0.0, 0.0015, 0.0025, 0.0027, 0.0029, 0.004, 0.03, 0.052])
def test_a_stop_while_an_offer_is_put_on_record_loses_nothing_that_was_logged(rack: Rack, delay_s: float):
    rack.netboot("install", "arm", "cp1")
    cp1 = rack.machine(*CP1)
    assert cp1.discover() is not None
    time.sleep(delay_s)

    began_s = time.monotonic()
    rack.signal(signal.SIGTERM)

    assert rack.wait() == 0
    assert time.monotonic() - began_s < 5
    assert "database is locked" not in rack.log
    with sqlite3.connect(rack.directory / "netboot.db", timeout=0) as store:
        store.execute("BEGIN IMMEDIATE")
        on_record = [name for (name,) in store.execute("SELECT name FROM events ORDER BY id")]
        (machines,) = store.execute("SELECT count(*) FROM machines").fetchone()
    logged = re.findall(r'"event":"((?:boot|install)\.[a-z_]+)"', rack.log)
    assert sorted(on_record) == sorted(logged)
    assert machines == 1


def test_what_the_store_does_not_take_at_a_stop_is_counted_in_the_log(rack: Rack):
    with sqlite3.connect(rack.directory / "netboot.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert rack.machine(*CP1).discover() is not None

        rack.signal(signal.SIGTERM)

        assert rack.wait(timeout_s=60) == 0
    lost = {line["event"]: line for line in map(json.loads, rack.log.splitlines()) if line["event"].endswith("_lost")}
    assert {name: (line["level"], line["count"]) for name, line in lost.items()} == {
        "store.boots_lost": ("error", 1),
        "store.events_lost": ("error", 1),
        "store.machines_lost": ("error", 1),
    }


def test_reads_do_not_wait_for_a_writer(rack: Rack):
    rack.netboot("install", "arm", "cp1")
    with sqlite3.connect(rack.directory / "netboot.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM moves")

        assert rack.install("cp1")["armed"] is True

    rack.kill()
    with sqlite3.connect(rack.directory / "netboot.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")

        assert rack.install("cp1")["armed"] is True


def test_the_events_keep_their_documented_number_over_restarts(rack: Rack):
    rack.kill()
    with sqlite3.connect(rack.directory / "netboot.db") as store:
        row = ("2026-11-21T00:00:00+00:00", "boot.offered", "{}")
        store.executemany("INSERT INTO events (at, name, data) VALUES (?, ?, ?)", [row] * 120_000)

    rack.start()
    rack.signal(signal.SIGTERM)

    assert rack.wait() == 0
    with sqlite3.connect(rack.directory / "netboot.db") as store:
        assert store.execute("SELECT count(*), max(id) FROM events").fetchone() == (100_000, 120_000)
