"""`dhcp.listen: packet`: frames beside another DHCP server that holds port 67 on the same box, and nothing that the
kernel's own socket would not have received."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.listeners import dhcp_settings
from fixtures.packets import options_of
from fixtures.servers import Started, dhcpd, dnsmasq, kea, running_server
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from netboot.model.host.network import DhcpListen, DhcpMode

pytestmark = pytest.mark.integration

Capture = Callable[[str], bytes]

MAC, EVERYBODY = "52:54:00:aa:bb:01", "ff:ff:ff:ff:ff:ff"
PACKET = dhcp_settings(listen=DhcpListen.PACKET)


def body(frame: Any) -> bytes:
    assert frame is not None, "no answer came"
    return bytes(frame[UDP].payload)


# Beside other servers


@pytest.mark.parametrize(("other", "shares_the_port"), [(dnsmasq, False), (dhcpd, True), (kea, False)])
def test_beside_a_server_that_holds_the_port_a_machine_gets_its_lease_and_its_loader(
    lan: Any,
    serve: Any,
    capture: Capture,
    tmp_path: Path,
    other: Callable[[Path], Started],
    shares_the_port: bool,
) -> None:
    with running_server(lan.server, *other(tmp_path)):
        if not shares_the_port:
            held_out = serve()
            assert "port 67" in "".join(held_out.problems)
            held_out.stop()
        serving = serve(settings=PACKET)
        wire = lan.wire("c0")

        wire.broadcast(capture("discover-bios"))
        bodies = [body(wire.receive()) for _ in range(2)]
        with lan.client_socket(4011) as client:
            client.sendto(capture("request-edk2-4011"), ("192.0.2.10", 4011))
            ack, source = client.recvfrom(2048)

        leased, proxy = sorted(bodies, key=lambda each: BOOTP(each).yiaddr == "0.0.0.0")
        assert proxy == capture("offer-bios")
        assert BOOTP(leased).yiaddr.startswith("192.0.2.1")
        assert source == ("192.0.2.10", 4011)
        assert ("message-type", 5) in BOOTP(ack)[DHCP].options
        assert [serving.service.offers.get(timeout=5).boot_file for _ in range(2)] == ["undionly.kpxe", "snponly.efi"]


# What is received


@pytest.fixture
def heard(lan: Any, serve: Any) -> tuple[Any, Any]:
    """A server that takes frames on `s0`, and the wire to it."""
    return serve(settings=PACKET), lan.wire("c0")


def test_the_checksums_of_an_answer_are_right(heard: Any, capture: Capture) -> None:
    _, wire = heard
    wire.broadcast(capture("discover-bios"))
    frame = wire.receive()

    sums = (frame[IP].chksum, frame[UDP].chksum)
    del frame[IP].chksum, frame[UDP].chksum
    again = Ether(bytes(frame))

    assert (frame[Ether].dst, frame[IP].src, frame[IP].dst) == (EVERYBODY, "192.0.2.10", "255.255.255.255")
    assert sums == (again[IP].chksum, again[UDP].chksum)
    assert body(frame) == capture("offer-bios")


def test_a_wrong_checksum_is_not_heard(heard: Any, capture: Capture) -> None:
    serving, wire = heard
    broken = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67, chksum=0x1234)
    wire._socket.send(bytes(Ether(src=MAC, dst=EVERYBODY) / broken / Raw(capture("discover-bios"))))

    assert wire.receive(timeout_s=0.3) is None
    assert serving.counted[("datagrams_lost", "67", "malformed")] == 1


def test_fragments_are_joined(heard: Any, capture: Capture) -> None:
    _, wire = heard
    long = capture("discover-bios").ljust(1400, b"\0")
    whole = IP(src="0.0.0.0", dst="255.255.255.255", id=9) / UDP(sport=68, dport=67) / Raw(long)
    for piece in reversed(fragment(whole, 576)):
        wire._socket.send(bytes(Ether(src=MAC, dst=EVERYBODY) / piece))

    assert body(wire.receive()) == capture("offer-bios")


@pytest.mark.parametrize(
    ("ether", "address"), [(EVERYBODY, "198.51.100.77"), ("52:54:00:77:77:77", "192.0.2.10"), (EVERYBODY, "192.0.2.99")]
)
def test_what_is_sent_to_another_is_not_ours(heard: Any, capture: Capture, ether: str, address: str) -> None:
    serving, wire = heard
    wire.send(capture("discover-bios"), to=(address, 67), ether=ether)

    assert wire.receive(timeout_s=0.3) is None
    assert serving.service.requests.empty()


@pytest.mark.parametrize("address", ["255.255.255.255", "192.0.2.255", "192.0.2.10"])
def test_what_is_sent_to_everybody_or_to_us_is(lan: Any, heard: Any, capture: Capture, address: str) -> None:
    _, wire = heard
    ether = lan.server_mac("s0") if address == "192.0.2.10" else EVERYBODY
    wire.send(capture("discover-bios"), to=(address, 67), ether=ether)

    assert body(wire.receive()) == capture("offer-bios")


def test_a_relay_is_answered_at_its_own_address(lan: Any, serve: Any, capture: Capture) -> None:
    serve("s1", settings=PACKET)
    wire = lan.wire("c1")

    wire.send(
        capture("discover-relayed"), source=("198.51.100.1", 67), to=("198.51.100.10", 67), ether=lan.server_mac("s1")
    )
    frame = wire.receive()

    assert (frame[IP].src, frame[UDP].sport, frame[IP].dst, frame[UDP].dport) == (
        "198.51.100.10", 67, "198.51.100.1", 67,
    )  # fmt: skip
    assert body(frame)[-100:].rstrip(b"\0").endswith(options_of(capture("discover-relayed"))[82] + b"\xff")


def tagged(vlan: int, data: bytes) -> bytes:
    requested = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / Raw(data)
    return bytes(Ether(src=MAC, dst=EVERYBODY) / Dot1Q(vlan=vlan, prio=5) / requested)


def test_another_vlan_is_not_heard_and_a_priority_alone_is_no_vlan(heard: Any, capture: Capture) -> None:
    serving, wire = heard

    wire._socket.send(tagged(200, capture("discover-bios")))
    assert wire.receive(timeout_s=0.3) is None
    assert serving.service.requests.empty()
    wire._socket.send(tagged(0, capture("discover-bios")))
    assert body(wire.receive()) == capture("offer-bios")


def test_a_vlan_is_answered_in_its_tag_by_its_own_interface_alone(lan: Any, serve: Any, capture: Capture) -> None:
    for namespace, parent in ((lan.server, "s0"), (lan.client, "c0")):
        vlan = ["link", "add", "link", parent, "name", f"{parent}.100", "type", "vlan", "id", "100"]
        if subprocess.run(["ip", "-n", namespace, *vlan], check=False, capture_output=True).returncode != 0:
            pytest.skip("this kernel has no 8021q")
        lan.ip(namespace, "link", "set", f"{parent}.100", "up")
    lan.ip(lan.server, "addr", "add", "203.0.113.10/24", "dev", "s0.100")
    serve("s0", "s0.100", settings=PACKET)
    below, above = lan.wire("c0"), lan.wire("c0.100")

    below._socket.send(tagged(100, capture("discover-bios")))
    assert above.receive()[IP].src == "203.0.113.10"
    below.broadcast(capture("discover-bios"))
    assert untagged_answers(below) == ["192.0.2.10"]
    assert above.receive(timeout_s=0.1) is None


def untagged_answers(wire: Any) -> list[str]:
    """The sources of all answers without a tag; the kernel shows tagged ones here too, with their tag in the frame."""
    found = []
    while (frame := wire.receive(timeout_s=0.3)) is not None:
        if frame[IP].src != "203.0.113.10":
            found.append(frame[IP].src)
    return found


def test_it_listens_only_where_the_mode_says_so(lan: Any, serve: Any, capture: Capture) -> None:
    serving = serve(settings=dhcp_settings(mode=DhcpMode.LISTEN, listen=DhcpListen.PACKET))
    wire = lan.wire("c0")

    wire.broadcast(capture("discover-bios"))

    assert serving.service.requests.get(timeout=5).mac == MAC
    assert wire.receive(timeout_s=0.3) is None


def test_4011_is_held_so_that_the_kernel_sends_no_port_unreachable(lan: Any, heard: Any, capture: Capture) -> None:
    with lan.client_socket(4011) as client:
        client.connect(("192.0.2.10", 4011))  # shows an ICMP error as ConnectionRefusedError
        for _ in range(2):
            client.send(capture("request-edk2-4011"))
            assert ("message-type", 5) in BOOTP(client.recv(2048))[DHCP].options
