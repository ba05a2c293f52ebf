"""A missing address or interface, or a port in use, is awaited and never stops the rest."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import wait_until
from integration.served import Served, serving
from integration.test_interfaces import answer_to, wait_for_answer
from netns import inside

pytestmark = pytest.mark.integration

Capture = Callable[[str], bytes]
Start = Callable[[str], Served]


@pytest.fixture
def start(lan: Any, tmp_path: Path) -> Iterator[Start]:
    """Start the daemon with these settings."""
    with ExitStack() as stop:
        yield lambda settings: stop.enter_context(serving(tmp_path, lan.server, settings))


def problems(served: Served) -> list[str]:
    command = ["curl", "-sS", "--unix-socket", str(served.directory / "control.sock"), "http://localhost/api/v1/status"]
    found: list[str] = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=10).stdout)[
        "problems"
    ]
    return found


def health(lan: Any, address: str) -> str:
    command = ["ip", "netns", "exec", lan.client, "curl", "-sS", "--max-time", "5", f"http://{address}:8080/healthz"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10).stdout
    return str(json.loads(answer)["status"])


@pytest.mark.parametrize("second", ["192.0.2.250/24", "192.0.2.250/32", "203.0.113.250/24"])
def test_the_first_primary_address_is_answered_from_at_the_start_and_later(
    lan: Any, start: Start, capture: Capture, second: str
) -> None:
    lan.ip(lan.server, "addr", "add", second, "dev", "s0")
    served = start("network: {interfaces: [s0]}")
    wire = lan.wire("c0")
    at_the_start = answer_to(wire, capture("discover-edk2-x64"))
    lan.ip(lan.server, "addr", "del", second, "dev", "s0")
    wait_until(lambda: served.lines("interface.served")[1:] or None)
    lan.ip(lan.server, "addr", "add", second, "dev", "s0")
    wait_until(lambda: served.lines("interface.served")[2:] or None)

    assert at_the_start == ("192.0.2.10", "192.0.2.10")
    assert wait_for_answer(wire, capture("discover-edk2-x64")) == ("192.0.2.10", "192.0.2.10")
    others = [line["other_addresses"] for line in served.lines("interface.served")]
    assert others == [[second.partition("/")[0]], [], [second.partition("/")[0]]]
    assert problems(served) == []


def test_a_failover_address_that_came_first_is_not_the_one_that_machines_get(
    lan: Any, start: Start, capture: Capture
) -> None:
    lan.ip(lan.server, "addr", "flush", "dev", "s0")
    lan.ip(lan.server, "addr", "add", "192.0.2.250/32", "dev", "s0")
    lan.ip(lan.server, "addr", "add", "192.0.2.10/24", "dev", "s0")
    start("network: {interfaces: [s0]}")

    assert answer_to(lan.wire("c0"), capture("discover-edk2-x64")) == ("192.0.2.10", "192.0.2.10")


def test_an_address_of_http_listen_that_is_not_there_is_awaited_and_the_rest_serves(
    lan: Any, start: Start, capture: Capture
) -> None:
    served = start("network: {interfaces: [s0]}\nhttp: {listen: [192.0.2.250, 192.0.2.10]}")
    answer = answer_to(lan.wire("c0"), capture("discover-edk2-x64"))
    before = health(lan, "192.0.2.10"), problems(served)
    lan.ip(lan.server, "addr", "add", "192.0.2.250/32", "dev", "s0")
    served.wait_for("http.opened", address="192.0.2.250")

    reason = (
        "cannot listen on 192.0.2.250, TCP port 8080: no interface has this address; "
        "give it to one, or correct http.listen"
    )
    assert answer == ("192.0.2.10", "192.0.2.10")
    assert before == ("degraded", [reason])
    assert [line["reason"] for line in served.lines("http.bind_failed")] == [reason]
    assert (health(lan, "192.0.2.250"), problems(served)) == ("ok", [])


@pytest.mark.parametrize("port", [67, 4011, 69])
def test_a_udp_port_that_another_holds_is_awaited_and_the_rest_serves(
    lan: Any, start: Start, capture: Capture, port: int
) -> None:
    with inside(lan.server), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("0.0.0.0", port))
        served = start("network: {interfaces: [s0]}")
        (reason,) = problems(served)
        alive = health(lan, "192.0.2.10")
    service = "tftp" if port == 69 else "dhcp"
    served.wait_for(f"{service}.opened", iface="s0", port=port)

    assert reason.startswith(f"cannot bind UDP port {port} on s0: Address already in use; stop what holds it")
    assert ("dhcp.listen: packet" in reason) == (port == 67)
    assert len(served.lines(f"{service}.bind_failed")) == 1
    assert (alive, problems(served)) == ("failed", [])
    assert answer_to(lan.wire("c0"), capture("discover-edk2-x64")) == ("192.0.2.10", "192.0.2.10")


@pytest.mark.parametrize(("port", "setting"), [(8080, "http.port"), (8470, "admin.listen")])
def test_a_tcp_port_that_another_holds_is_awaited_and_the_rest_serves(
    lan: Any, start: Start, capture: Capture, port: int, setting: str
) -> None:
    with inside(lan.server), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.bind(("0.0.0.0", port))
        holder.listen()
        served = start("network: {interfaces: [s0]}")
        (reason,) = problems(served)
        answer = answer_to(lan.wire("c0"), capture("discover-edk2-x64"))
    wait_until(lambda: not problems(served) or None)

    assert setting in reason
    assert answer == ("192.0.2.10", "192.0.2.10")
    assert health(lan, "192.0.2.10") == "ok"


def test_a_daemon_without_an_interface_serves_nobody_and_says_so(start: Start) -> None:
    served = start("network: {}")

    reason = "network.interfaces names none, so no machine is answered; name the boot LAN's interface"
    assert problems(served) == [reason]
    assert [line["reason"] for line in served.lines("daemon.serves_nobody")] == [reason]
