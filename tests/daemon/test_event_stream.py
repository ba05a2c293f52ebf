"""`/api/v1/events` from outside: it ends with its client or with the daemon, and shows that it is alive."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures.daemon import TIMEOUT_S
from fixtures.rack import Rack

pytestmark = pytest.mark.integration


def curl(rack: Rack, query: str, *, max_time_s: int = 10) -> subprocess.CompletedProcess[str]:
    command = ["curl", "-sS", "-i", "--max-time", str(max_time_s), "--unix-socket", rack.directory / "control.sock"]
    return subprocess.run(
        [*command, f"http://localhost/api/v1/events{query}"], capture_output=True, text=True, check=False, timeout=60
    )


def follower(rack: Rack, query: str = "?host=cp1&follow=1") -> socket.socket:
    """Open a stream and read until it has begun."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(TIMEOUT_S)
    client.connect(str(rack.directory / "control.sock"))
    client.sendall(f"GET /api/v1/events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    while b": \n\n" not in client.recv(4096):
        pass
    return client


def watcher(rack: Rack, *arguments: str) -> subprocess.Popen[str]:
    """Start `netboot install watch` and wait until it follows."""
    process = subprocess.Popen(
        [sys.executable, "-m", "netboot", "install", "watch", "cp1", *arguments],
        env=os.environ | {"NETBOOT_CONFIG": str(rack.config)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + TIMEOUT_S
    while len(connections(rack)) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)  # the command requests history and install on connections of its own before
    return process


def connections(rack: Rack) -> list[str]:
    """List the accepted connections of the control socket."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return [line for line in lines if line.endswith("/control.sock") and line.split()[5] == "03"]


def test_the_server_side_ends_when_its_client_does(rack: Rack):
    clients = [follower(rack) for _ in range(20)]
    descriptors = len(list(Path(f"/proc/{rack.pid}/fd").iterdir()))

    for client in clients:
        client.close()
    deadline = time.monotonic() + TIMEOUT_S
    while len(list(Path(f"/proc/{rack.pid}/fd").iterdir())) > descriptors - 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("follow", [0, 1])
def test_an_unknown_host_is_404_before_the_stream_begins(rack: Rack, follow: int):
    got = curl(rack, f"?host=nosuch&follow={follow}")

    head, _, body = got.stdout.replace("\r\n", "\n").partition("\n\n")
    assert (got.returncode, head.split()[1]) == (0, "404")
    assert json.loads(body)["error"].startswith("no host is called nosuch")


def test_a_quiet_stream_has_a_heartbeat(rack: Rack):
    got = curl(rack, "?host=w1&follow=1", max_time_s=18)

    assert got.stdout.replace("\r\n", "\n").partition("\n\n")[2].count(": \n\n") >= 2


def test_a_stop_ends_an_open_watch_with_one_line(rack: Rack):
    rack.netboot("install", "arm", "cp1")
    watching = watcher(rack)

    rack.signal(signal.SIGTERM)

    assert rack.wait() == 0
    assert json.loads(rack.log.splitlines()[-1])["event"] == "daemon.stopped"
    _, said = watching.communicate(timeout=TIMEOUT_S)
    assert watching.returncode == 1
    assert said.splitlines()[-1] == (
        "netboot: the daemon stopped; start it with systemctl start netboot, then watch again"
    )
    assert "Traceback" not in said + rack.log


def test_a_stop_after_watchers_that_left_is_clean(rack: Rack):
    for _ in range(3):
        follower(rack).close()

    rack.signal(signal.SIGTERM)

    assert rack.wait() == 0
    assert "Traceback" not in rack.log


def test_a_daemon_that_is_killed_ends_a_watch_with_one_line(rack: Rack):
    rack.netboot("install", "arm", "cp1")
    watching = watcher(rack)

    rack.kill()

    _, said = watching.communicate(timeout=TIMEOUT_S)
    assert watching.returncode == 1
    assert said.splitlines()[-1].startswith("netboot: the daemon closed the connection")
    assert "Traceback" not in said


def test_ctrl_c_ends_a_watch_quietly(rack: Rack):
    rack.netboot("install", "arm", "cp1")
    watching = watcher(rack)

    watching.send_signal(signal.SIGINT)

    out, said = watching.communicate(timeout=TIMEOUT_S)
    assert (watching.returncode, out) == (130, "")
    assert said == "waiting for cp1's network boot; Ctrl-C ends the watch, not the arming\n"
