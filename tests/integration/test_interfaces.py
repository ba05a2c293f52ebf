"""Several LANs that appear and disappear, relays, and no interfaces: the daemon as a process, tested from outside."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import wait_until
from fixtures.packets import RELAY, changed, options_of
from integration.served import Served, serving
from scapy.layers.dhcp import BOOTP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

pytestmark = pytest.mark.integration

Capture = Callable[[str], bytes]
Start = Callable[[str], Served]

ETH_P_IP = 0x0800


@pytest.fixture
def start(lan: Any, tmp_path: Path) -> Iterator[Start]:
    """Start the daemon with these settings."""
    with ExitStack() as stop:
        yield lambda settings: stop.enter_context(serving(tmp_path, lan.server, settings))


def answer_to(wire: Any, datagram: bytes) -> tuple[str, str]:
    """Broadcast a DISCOVER and say who answered: the sender and the boot server that it names."""
    wire.broadcast(datagram)
    frame = wire.receive()
    assert frame is not None, "no answer came"
    return frame[IP].src, frame[BOOTP].siaddr


def test_every_answer_carries_the_address_of_the_interface_that_it_leaves_by(
    lan: Any, start: Start, capture: Capture
) -> None:
    lan.ip(lan.server, "addr", "add", "192.0.2.11/24", "dev", "s0")
    start("network: {interfaces: [{name: s0, address: 192.0.2.11}, s1]}")

    wires = [lan.wire("c0"), lan.wire("c1")]
    reported = [answer_to(wire, capture("discover-edk2-x64")) for wire in wires]

    assert reported == [("192.0.2.11", "192.0.2.11"), ("198.51.100.10", "198.51.100.10")]
    assert [wire.receive(timeout_s=0.1) for wire in wires] == [None, None]


def test_a_lan_that_appears_changes_and_goes_while_the_daemon_runs(lan: Any, start: Start, capture: Capture) -> None:
    served = start("network: {interfaces: [s0, new0]}")
    served.wait_for("interface.awaited", iface="new0")

    lan.ip(lan.server, "link", "add", "new0", "type", "veth", "peer", "name", "peer0", "netns", lan.client)
    lan.ip(lan.client, "link", "set", "peer0", "up")
    lan.ip(lan.server, "link", "set", "new0", "up")
    lan.ip(lan.server, "addr", "add", "203.0.113.10/24", "dev", "new0")
    served.wait_for("interface.served", iface="new0", address="203.0.113.10")
    wire = lan.wire("peer0")
    first = wait_for_answer(wire, capture("discover-edk2-x64"))

    lan.ip(lan.server, "addr", "add", "203.0.113.20/24", "dev", "new0")
    lan.ip(lan.server, "addr", "del", "203.0.113.10/24", "dev", "new0")
    lan.ip(lan.server, "addr", "replace", "203.0.113.20/24", "dev", "new0")
    served.wait_for("interface.served", iface="new0", address="203.0.113.20")
    second = wait_for_answer(wire, capture("discover-edk2-x64"))

    lan.ip(lan.server, "link", "del", "new0")
    served.wait_for("interface.lost", iface="new0")
    assert (first, second) == (("203.0.113.10", "203.0.113.10"), ("203.0.113.20", "203.0.113.20"))
    assert answer_to(lan.wire("c0"), capture("discover-edk2-x64")) == ("192.0.2.10", "192.0.2.10")


def wait_for_answer(wire: Any, datagram: bytes) -> tuple[str, str]:
    """Send requests until one is answered: a port that was just logged may not be bound yet."""

    def send_request() -> tuple[str, str] | None:
        wire.broadcast(datagram)
        frame = wire.receive(timeout_s=0.3)
        return None if frame is None else (frame[IP].src, frame[BOOTP].siaddr)

    return wait_until(send_request)


def test_relays_are_answered_at_their_own_address_and_bogus_ones_never(
    lan: Any, start: Start, capture: Capture
) -> None:
    served = start("network: {interfaces: [s0, s1]}")
    wire, ether = lan.wire("c1"), lan.server_mac("s1")
    relayed = capture("discover-relayed")

    bogus = ("127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.7", "192.0.2.10", "198.51.100.10")
    for giaddr in bogus:
        wire.send(
            changed(relayed, giaddr=giaddr),
            source=("198.51.100.1", 67),
            to=("198.51.100.10", 67),
            ether=ether,
        )
    wait_until(lambda: len(served.lines("dhcp.ignored")) == len(bogus) or None)
    assert {line["reason"] for line in served.lines("dhcp.ignored")} == {"bogus-relay"}
    wire.send(relayed, source=("198.51.100.1", 67), to=("198.51.100.10", 67), ether=ether)
    frame = wire.receive()

    assert (frame[IP].src, frame[UDP].sport, frame[IP].dst, frame[UDP].dport) == (
        "198.51.100.10", 67, "198.51.100.1", 67,
    )  # fmt: skip
    answer = bytes(frame[UDP].payload)
    assert list(options_of(answer).items())[-1] == (82, options_of(relayed)[82])
    assert frame[BOOTP].giaddr == RELAY
    assert wire.receive(timeout_s=0.1) is None


# A start without interfaces


def came_in(wire: Any) -> list[Any]:
    """Every IPv4 frame that came in on this wire since it was opened, whatever it carries."""
    wire._socket.settimeout(0.2)
    frames = []
    with suppress(TimeoutError):
        while True:
            data, address = wire._socket.recvfrom(65535)
            if address[2] != socket.PACKET_OUTGOING and Ether(data).type == ETH_P_IP:
                frames.append(Ether(data))
    return frames


@pytest.mark.parametrize("listen", ["udp", "packet"])
def test_a_daemon_that_only_listens_says_what_it_would_have_sent_and_sends_nothing(
    lan: Any, start: Start, capture: Capture, listen: str
) -> None:
    served = start(f"network: {{interfaces: [s0]}}\ndhcp: {{mode: listen, listen: {listen}}}")
    wire = lan.wire("c0")

    for name in ("discover-bios", "discover-edk2-x64", "discover-ipxe-x64", "discover-edk2-arm64-http"):
        wire.broadcast(capture(name))
    with lan.client_socket(4011) as client:
        client.sendto(capture("request-edk2-4011"), ("192.0.2.10", 4011))
        served.wait_for("dhcp.offer_withheld", port=4011, kind="local-disk")

    base = "http://192.0.2.10:8080/boot/52-54-00-aa-bb-01"
    withheld = [line for line in served.lines("dhcp.offer_withheld") if line["port"] == 67]
    reported = [(line["host"], line["arch"], line["stage"], line["boot_file"]) for line in withheld]
    assert reported == [
        ("cp1", "x86-bios", "firmware", "undionly.kpxe"),
        ("cp1", "x64-uefi", "firmware", ""),  # nothing is armed: to its own disk
        ("cp1", "x64-uefi", "ipxe", f"{base}.ipxe"),
        ("cp1", "arm64-uefi-http", "firmware", f"{base}/local-disk.efi"),
    ]
    assert came_in(wire) == []
