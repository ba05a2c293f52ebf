"""A daemon feeds systemd's watchdog while each listener answers; the test is its service manager."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from daemon.test_health import Box, stopped
from fixtures.daemon import START_S, Daemon, wait_until
from fixtures.lost_descriptors import make_deaf
from fixtures.rack import Rack, a_rack
from netns import inside
from postgresql import Server

from netboot.app.running import watchdog

pytestmark = pytest.mark.integration

LIMIT_S = 4.0  # of the watchdog, which is fed each second


@contextmanager
def watched(daemon: Daemon) -> Iterator[socket.socket]:
    """Run the daemon under a service manager with a watchdog; the value is the manager's socket, after READY=1."""
    daemon.notify.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(daemon.notify))
        manager.settimeout(START_S)
        try:
            daemon.launch(NOTIFY_SOCKET=str(daemon.notify), WATCHDOG_USEC=str(int(LIMIT_S * 1e6)))
            while b"READY=1" not in manager.recv(4096):
                pass
            yield manager
        finally:
            daemon.stop()


def fed_within(manager: socket.socket, seconds: float) -> int:
    """Count how often the watchdog is fed from now on."""
    manager.setblocking(False)
    with suppress(BlockingIOError):
        while manager.recv(4096):
            pass
    until, count = time.monotonic() + seconds, 0
    while (left := until - time.monotonic()) > 0:
        manager.settimeout(left)
        try:
            count += b"WATCHDOG=1" in manager.recv(4096)
        except TimeoutError:
            break
    return count


def problem(daemon: Daemon) -> str | None:
    return next((each for each in daemon.api("/api/v1/status")["problems"] if "any more" in each), None)


@pytest.fixture
def rack(rack_directory: Path) -> Iterator[Rack]:
    with a_rack(rack_directory) as rack:
        yield rack


def test_http_that_is_not_accepted_any_more_starves_the_watchdog_and_is_a_problem(rack: Rack):
    with watched(rack) as manager:
        assert fed_within(manager, LIMIT_S) >= 2

        make_deaf(rack.pid, 8080)
        found = wait_until(lambda: problem(rack))

        assert found == "192.0.2.10:8080 does not answer any more; systemctl restart netboot"
        assert fed_within(manager, LIMIT_S) == 0


def test_boot_requests_that_are_not_read_any_more_starve_the_watchdog(rack: Rack):
    with watched(rack) as manager:
        make_deaf(rack.pid, 67)
        assert fed_within(manager, LIMIT_S) >= 2, "nothing waits for the loop yet"
        machine = rack.machine("52:54:00:aa:bb:01", "192.0.2.50")

        def after_a_request() -> str | None:
            machine.send_options([(53, b"\1"), (60, b"PXEClient:Arch:00007"), (93, b"\0\7")])
            return problem(rack)

        found = wait_until(after_a_request)

        assert found == "UDP port 67 on s0 is not read any more; systemctl restart netboot"
        assert fed_within(manager, LIMIT_S) == 0


def test_the_administration_must_answer_too(rack: Rack):
    with watched(rack) as manager:
        make_deaf(rack.pid, 8470)
        rack.wait_for("listener.unanswered", is_restarted=True)

        assert fed_within(manager, LIMIT_S) == 0


def test_a_store_that_hangs_is_no_reason_for_a_restart(tmp_path: Path, postgresql_server: Server):
    url = postgresql_server.new_database()
    box = Box(tmp_path, url)

    with watched(box) as manager:
        box.health()  # opens the session that the next check uses
        time.sleep(1.1)  # the result is used for a second
        with stopped(postgresql_server, url):
            wait_until(lambda: box.health()["state"] == "failed" or None)
            count = fed_within(manager, 2 * LIMIT_S)

    assert count >= 4


def test_a_firewall_that_hides_the_daemon_from_itself_does_not_restart_it_for_ever(rack: Rack):
    rules = (
        "add table inet t\n"
        "add chain inet t in { type filter hook input priority 0 ; }\n"
        "add rule inet t in iif lo tcp dport 8080 drop\n"
    )
    with inside(rack.server_namespace):
        subprocess.run(["nft", "-f", "-"], input=rules.encode(), check=True, timeout=10)
    never = (
        "192.0.2.10:8080 has not answered this appliance itself; permit all packets on the interface lo, or see the log"
    )

    began_s = time.monotonic()
    with watched(rack) as manager:
        assert time.monotonic() - began_s >= watchdog.START_S  # READY=1 waited for the answer
        # the watchdog verifies again a second later
        rack.wait_for("daemon.started")
        (unanswered,) = rack.lines("listener.unanswered")
        assert unanswered["reasons"] == [never]
        assert rack.log.index("listener.unanswered") < rack.log.index("daemon.started")
        assert fed_within(manager, LIMIT_S) >= 2
        assert never in rack.api("/api/v1/status")["problems"]
        assert rack.machine("52:54:00:aa:bb:01", "192.0.2.50").get("/healthz").status == 200
