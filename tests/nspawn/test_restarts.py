"""`netboot.service` under a real systemd: killed, hanging, deaf, stopped; what the machines of the LAN see of it."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
from fixtures.daemon import START_S, wait_until
from fixtures.lost_descriptors import make_deaf
from fixtures.packets import SERVER
from fixtures.rack import Answer, Machine, token_in
from netns import inside
from nspawn.conftest import BIG, Unit

pytestmark = [pytest.mark.integration, pytest.mark.proof]

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
PATH = "/content/ol8u10-x86_64/images/install.img"
FIRMWARE_GIVES_UP_S = 60.0


def tried(machine: Machine, path: str) -> Answer | None:
    """Send a request that a daemon which starts does not accept yet."""
    try:
        return machine.get(path)
    except subprocess.CalledProcessError:
        return None


def next_try(machine: Machine) -> str | None:
    """Send what iPXE sends each few seconds: DISCOVER, REQUEST, and a request for its script."""
    machine.discover(ipxe=True)
    machine.request()
    answer = tried(machine, f"/boot/{machine.mac}.ipxe")
    return answer.body if answer is not None and "vmlinuz" in answer.body else None


def arming(unit: Unit) -> dict[str, str]:
    found: dict[str, str] = json.loads(unit.netboot("install", "show", "cp1", "--json"))["arming"]
    return found


def test_after_kill_9_a_machine_that_requests_its_script_gets_it_at_its_next_try(unit: Unit):
    machine, restarts = unit.machine(*CP1), int(unit.show("NRestarts"))
    unit.netboot("install", "arm", "cp1", "--reason", "test")
    machine.boots()

    os.kill(unit.pid, signal.SIGKILL)
    killed_at = time.monotonic()
    assert tried(machine, f"/boot/{machine.mac}.ipxe") is None
    wait_until(lambda: next_try(machine), timeout_s=FIRMWARE_GIVES_UP_S)
    waited_s = time.monotonic() - killed_at
    unit.restarts_after(restarts)

    print(f"the script came {waited_s:.1f} s after the kill")  # noqa: T201 - a figure of docs/reliability.md
    assert arming(unit)["spent"] == 1
    unit.netboot("install", "cancel", "cp1")


def test_after_kill_9_a_boot_that_has_its_script_continues_with_its_token(unit: Unit):
    machine, restarts = unit.machine(*CP1), int(unit.show("NRestarts"))
    unit.netboot("install", "arm", "cp1", "--reason", "test")
    machine.boots()
    kickstart = f"/ks/{token_in(machine.script(), 'ks')}"

    os.kill(unit.pid, signal.SIGKILL)
    assert tried(machine, kickstart) is None
    answer = wait_until(lambda: tried(machine, kickstart), timeout_s=START_S)
    unit.restarts_after(restarts)

    assert answer.status == 200
    assert machine.report(token_in(answer.body, "report"), "started") == 200
    assert arming(unit)["spent"] == 1
    unit.netboot("install", "cancel", "cp1")


def test_a_process_that_hangs_is_restarted_by_the_watchdog(unit: Unit):
    unit.drop_in("50", "WatchdogSec=4")
    unit.container.run("systemctl", "restart", "netboot")
    restarts = int(unit.show("NRestarts"))

    os.kill(unit.pid, signal.SIGSTOP)
    unit.restarts_after(restarts)

    assert "Watchdog timeout (limit 4s)!" in unit.journal()
    assert unit.machine(*CP1).get("/livez").status == 204


def test_a_dead_listener_ends_in_a_restart_with_the_stack_in_the_journal(unit: Unit):
    unit.drop_in("50", "WatchdogSec=4")
    unit.container.run("systemctl", "restart", "netboot")
    restarts = int(unit.show("NRestarts"))

    make_deaf(unit.pid, 8080)
    unit.restarts_after(restarts)

    journal = unit.journal("-n", "200")
    assert f"{SERVER}:8080 does not answer any more" in journal
    assert "Fatal Python error: Aborted" in journal
    assert unit.machine(*CP1).get("/livez").status == 204


def test_a_restart_cuts_a_download_in_time_and_the_machine_continues_it(unit: Unit):
    machine = unit.machine(*CP1)
    etag = re.search(r'(?i)^etag: (".+")$', machine.get(PATH, "-I").headers, re.MULTILINE)
    assert etag is not None
    with inside(unit.client_namespace):
        slow = socket.create_connection((SERVER, 8080), timeout=10)
    with slow:
        slow.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {SERVER}\r\n\r\n".encode())
        received = slow.recv(65536)
        began = time.monotonic()
        unit.container.run("systemctl", "restart", "netboot")
        took_s = time.monotonic() - began
        received += slow.recv(1 << 20)
    head, _, first = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")

    rest = machine.get(PATH, "-H", f"Range: bytes={len(first)}-", "-H", f"If-Range: {etag[1]}")

    assert took_s < 60, "TimeoutStopSec was reached"
    assert "State 'stop-sigterm' timed out" not in unit.journal()
    assert (rest.status, len(rest.body)) == (206, len(BIG) - len(first))
    assert rest.body == BIG[len(first) :].decode()
