"""One daemon for each store and each control socket; commands reach that daemon or print why they do nothing."""

import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from fixtures.daemon import TIMEOUT_S
from fixtures.rack import Rack
from scapy.layers.dhcp import BOOTP

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")


def other_config(rack: Rack, *changes: tuple[str, str]) -> Path:
    """Write another configuration beside the rack's, with some words of it replaced."""
    text = rack.config.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    config = rack.directory / "other.yaml"
    config.write_text(text)
    return config


def test_a_second_daemon_is_refused_and_the_first_stays_reachable(rack: Rack):
    socket, store = rack.directory / "control.sock", rack.directory / "netboot.db"
    before = (socket.stat().st_ino, store.stat().st_ino)

    refused = rack.run("serve")

    assert refused.returncode == 1
    assert "cannot start: the daemon with pid" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (socket.stat().st_ino, store.stat().st_ino) == before
    rack.netboot("install", "arm", "cp1")
    assert rack.machine(*CP1).discover()[BOOTP].file.startswith(b"snponly.efi\0")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("sqlite+aiosqlite:///netboot.db", "sqlite+aiosqlite:///other.db"), id="same-socket"),
        pytest.param(("socket: control.sock", "socket: other.sock"), id="same-store"),
        pytest.param(("socket: control.sock", "socket: other/../control.sock"), id="same-socket-by-another-path"),
    ],
)
def test_another_configuration_with_the_same_store_or_socket_is_refused(rack: Rack, change: tuple[str, str]):
    (rack.directory / "other").mkdir()

    refused = rack.run("serve", config=other_config(rack, change))

    assert refused.returncode == 1
    assert "cannot start: the daemon with pid" in refused.stderr
    assert not (rack.directory / "other.db").exists()
    assert not (rack.directory / "other.sock").exists()


def test_a_store_that_is_reached_by_a_link_is_the_same_store(rack: Rack):
    (rack.directory / "link.db").symlink_to("netboot.db")
    config = other_config(rack, ("socket: control.sock", "socket: other.sock"), ("netboot.db", "link.db"))

    assert "holds the store" in rack.run("serve", config=config).stderr


def test_a_daemon_that_was_killed_is_followed_by_the_next(rack: Rack):
    rack.kill()
    rack.start()

    assert "started_at" in rack.api("/api/v1/status")


@pytest.mark.parametrize("lost", ["the-socket", "every-file-beside-it"])
def test_commands_leave_the_store_alone_while_the_daemon_of_a_lost_socket_runs(rack: Rack, lost: str):
    (rack.directory / "control.sock").unlink()
    if lost == "every-file-beside-it":
        (rack.directory / "control.sock.lock").unlink()

    said = rack.netboot("install", "arm", "cp1", status=1)

    assert f"the daemon with pid {rack.pid}" in said
    assert "systemctl restart netboot" in said
    with sqlite3.connect(rack.directory / "netboot.db") as store:
        assert store.execute("SELECT count(*) FROM installs").fetchone() == (0,)


def test_a_command_waits_for_a_daemon_that_starts(rack: Rack):
    rack.kill()
    rack.start(is_awaited=False)
    deadline = time.monotonic() + TIMEOUT_S
    while not (rack.directory / "control.sock.lock").read_text().startswith(f"the daemon with pid {rack.pid}"):
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert "no daemon runs" not in rack.netboot("install", "arm", "cp1")


def test_without_a_daemon_each_answer_says_so(rack: Rack):
    rack.kill()

    armed = rack.run("install", "arm", "cp1")
    shown = rack.run("host", "show", "cp1", "--json")

    cure = "start it with systemctl start netboot\n"
    assert f"netboot: no daemon runs; changed the store itself; {cure}" in armed.stderr
    assert shown.stderr == f"netboot: no daemon runs; read the store itself; {cure}"


def test_a_command_of_another_configuration_is_refused_by_the_daemon_that_answers(rack: Rack):
    config = other_config(rack, ("netboot.db", "other.db"))

    said = rack.netboot("--config", str(config), "install", "arm", "cp1", status=1)

    assert f"the daemon that answers runs with {rack.config}, not with {config}" in said
    assert rack.install("cp1")["armed"] is False


def test_a_link_to_the_configuration_names_the_same_daemon(rack: Rack):
    link = rack.directory / "link.yaml"
    link.symlink_to("netboot.yaml")

    assert rack.netboot("--config", str(link), "host", "list").startswith("HOST")


def test_two_configurations_with_stores_sockets_and_ports_of_their_own_are_two_daemons(rack: Rack, tmp_path: Path):
    other = tmp_path / "second"
    other.mkdir()
    for name in ("hosts.yaml", "ign", "content"):
        (shutil.copytree if (rack.directory / name).is_dir() else shutil.copy)(rack.directory / name, other / name)
    text = rack.config.read_text().replace("interfaces: [s0]", "interfaces: []").replace(":8470", ":8471")
    (other / "netboot.yaml").write_text(text)

    beside = Rack(other, rack.lan)
    try:
        beside.start()
        beside.netboot("install", "arm", "cp1")

        assert (rack.install("cp1")["armed"], beside.install("cp1")["armed"]) == (False, True)
        beside.signal(signal.SIGTERM)
        assert beside.wait() == 0
    finally:
        beside.stop()


def test_the_only_appliance_of_a_sqlite_store_is_named_as_such(rack: Rack):
    assert rack.netboot("appliances") == (
        "the store is SQLite, which is for one appliance: this one is the only one; several share a PostgreSQL store: "
        "docs/several-appliances.md\n"
    )
    assert rack.netboot("appliances", "--json") == "[]\n"
