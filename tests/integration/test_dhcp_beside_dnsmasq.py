"""Beside a DHCP server that is not changed: dnsmasq leases on the same box and port, netboot sends the boot data."""

import subprocess
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import UDP

from netboot.model.host.mac import Mac

pytestmark = pytest.mark.integration

Capture = Callable[[str], bytes]

MAC = Mac("52:54:00:aa:bb:01")


@pytest.fixture
def dnsmasq(lan: Any, tmp_path: Path) -> Iterator[None]:
    """Lease 192.0.2.100 to 192.0.2.150 on `s0`, sharing port 67; `bind-interfaces` is what makes it share."""
    # fmt: off
    running = subprocess.Popen(
        ["ip", "netns", "exec", lan.server, "dnsmasq", "--keep-in-foreground", "--port=0", "--conf-file=/dev/null",
         "--interface=s0", "--bind-interfaces", "--dhcp-range=192.0.2.100,192.0.2.150", "--no-ping", "--user=root",
         "--log-facility=-", f"--dhcp-leasefile={tmp_path}/leases", f"--pid-file={tmp_path}/pid"],
        stderr=subprocess.PIPE, text=True,
    )
    # fmt: on
    assert running.stderr is not None
    assert any("sockets bound exclusively" in line for line in running.stderr)
    yield
    running.terminate()
    running.communicate(timeout=10)


def answers(wire: Any, count: int) -> dict[str, bytes]:
    """Take this many answers and sort them: the lease server's have an address."""
    bodies = [bytes(wire.receive()[UDP].payload) for _ in range(count)]
    return {"proxy" if BOOTP(each).yiaddr == "0.0.0.0" else "lease": each for each in bodies}


@pytest.mark.usefixtures("dnsmasq")
def test_a_machine_gets_a_lease_from_one_and_its_loader_from_the_other(lan: Any, serve: Any, capture: Capture) -> None:
    serve()
    wire = lan.wire("c0")

    wire.broadcast(capture("discover-bios"))

    offers = answers(wire, 2)
    assert offers["proxy"] == capture("offer-bios")
    assert ("message-type", 2) in BOOTP(offers["lease"])[DHCP].options


@pytest.mark.usefixtures("dnsmasq")
def test_the_request_for_the_lease_shows_its_address_to_the_proxy_which_does_not_reply(
    lan: Any, serve: Any, capture: Capture
) -> None:
    serving = serve()
    wire = lan.wire("c0")
    discover = BOOTP(capture("discover-bios"))
    wire.broadcast(capture("discover-bios"))
    lease = BOOTP(answers(wire, 2)["lease"])

    (server,) = [each[1] for each in lease[DHCP].options if each[0] == "server_id"]
    rest = [each for each in discover[DHCP].options if each[0] != "message-type"]
    options = [("message-type", "request"), ("requested_addr", lease.yiaddr), ("server_id", server), *rest]
    wire.broadcast(bytes(BOOTP(chaddr=discover.chaddr, xid=discover.xid, flags=discover.flags) / DHCP(options=options)))

    ack = wire.receive()[BOOTP]
    assert ("message-type", 5) in ack[DHCP].options
    assert ack.yiaddr == lease.yiaddr
    assert wire.receive(timeout_s=0.2) is None
    assert serving.service.shown.get(timeout=5) == (MAC, IPv4Address(lease.yiaddr), discover.xid)
    assert IPv4Address("192.0.2.100") <= IPv4Address(lease.yiaddr) <= IPv4Address("192.0.2.150")
