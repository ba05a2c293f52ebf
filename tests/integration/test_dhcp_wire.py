"""The DHCP listeners on real interfaces: what raw clients receive, and from which address."""

import os
import random
import re
import subprocess
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from fixtures.listeners import dhcp_settings
from fixtures.packets import changed, options_of
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap
from structlog.testing import capture_logs

from netboot.model.host.mac import Mac
from netboot.model.host.network import DhcpMode, InterfaceSetting

pytestmark = pytest.mark.integration

Capture = Callable[[str], bytes]

MAC = Mac("52:54:00:aa:bb:01")
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def envelope(frame: Any) -> tuple[str, str, int, str, int]:
    assert frame is not None, "no answer came"
    return frame[Ether].dst, frame[IP].src, frame[UDP].sport, frame[IP].dst, frame[UDP].dport


def body(frame: Any) -> bytes:
    return bytes(frame[UDP].payload)


@pytest.mark.parametrize(
    ("datagram", "answer"),
    [("discover-bios", "offer-bios"), ("discover-edk2-arm64-http", "offer-edk2-arm64-http")],
)
def test_a_discover_is_offered_a_boot_by_broadcast_from_67(
    lan: Any, serve: Any, capture: Capture, datagram: str, answer: str
) -> None:
    serving = serve()
    wire = lan.wire("c0")

    wire.broadcast(capture(datagram))
    frame = wire.receive()

    assert envelope(frame) == (EVERYBODY, "192.0.2.10", 67, "255.255.255.255", 68)
    assert body(frame) == capture(answer)
    assert serving.service.offers.get(timeout=5).mac == MAC


def test_a_repeated_discover_gets_the_same_answer(lan: Any, serve: Any, capture: Capture) -> None:
    serve()
    wire = lan.wire("c0")

    for secs in (0, 4, 12, 28):
        wire.broadcast(changed(capture("discover-bios"), secs=secs))

    assert [body(wire.receive()) for _ in range(4)] == [capture("offer-bios")] * 4


def test_a_relay_hears_on_67_at_its_own_address(lan: Any, serve: Any, capture: Capture) -> None:
    serve("s1")
    wire = lan.wire("c1")

    wire.send(
        capture("discover-relayed"),
        source=("198.51.100.1", 67),
        to=("198.51.100.10", 67),
        ether=lan.server_mac("s1"),
    )
    frame = wire.receive()

    assert envelope(frame)[1:] == ("198.51.100.10", 67, "198.51.100.1", 67)
    ours = IPv4Address("198.51.100.10").packed
    assert body(frame) == capture("offer-relayed").replace(IPv4Address("192.0.2.10").packed, ours)


def test_a_relay_behind_a_router_is_reached_by_its_route(lan: Any, serve: Any, capture: Capture) -> None:
    lan.ip(lan.server, "route", "add", "203.0.113.0/24", "via", "192.0.2.50")
    serve()
    wire = lan.wire("c0")
    relayed = changed(capture("discover-relayed"), flags=0x8000, giaddr="203.0.113.1")

    wire.send(relayed, source=("203.0.113.1", 67), to=("192.0.2.10", 67), ether=lan.server_mac("s0"))

    assert envelope(wire.receive())[1:] == ("192.0.2.10", 67, "203.0.113.1", 67)


def test_each_interface_answers_with_its_own_address(lan: Any, serve: Any, capture: Capture) -> None:
    serve("s0", "s1")
    wires = [lan.wire("c0"), lan.wire("c1")]

    reported = []
    for wire in wires:
        wire.broadcast(capture("discover-edk2-x64"))
        frame = wire.receive()
        reported.append((frame[IP].src, frame[BOOTP].siaddr))

    assert reported == [("192.0.2.10", "192.0.2.10"), ("198.51.100.10", "198.51.100.10")]
    assert [wire.receive(timeout_s=0.1) for wire in wires] == [None, None]


@pytest.mark.parametrize("port", [68, 4011, 50000])
def test_4011_answers_from_4011_to_the_address_and_port_of_the_request(
    lan: Any, serve: Any, capture: Capture, port: int
) -> None:
    serving = serve()

    with lan.client_socket(port) as client:
        client.sendto(capture("request-edk2-4011"), ("192.0.2.10", 4011))
        data, source = client.recvfrom(2048)

    assert source == ("192.0.2.10", 4011)
    reported = BOOTP(data)
    assert ("message-type", 5) in reported[DHCP].options
    assert reported.file.rstrip(b"\0") == b"snponly.efi"
    assert serving.service.shown.get(timeout=5) == (MAC, IPv4Address("192.0.2.50"), reported.xid)


def test_4011_without_an_address_is_answered_by_broadcast(lan: Any, serve: Any, capture: Capture) -> None:
    serve()
    wire = lan.wire("c0")

    wire.send(capture("request-edk2-4011"), to=("255.255.255.255", 4011), ether=EVERYBODY)

    assert envelope(wire.receive()) == (EVERYBODY, "192.0.2.10", 4011, "255.255.255.255", 68)


def test_the_address_of_the_request_answers_where_a_card_has_several(lan: Any, serve: Any, capture: Capture) -> None:
    lan.ip(lan.server, "addr", "add", "192.0.2.11/24", "dev", "s0")
    serve(InterfaceSetting("s0", IPv4Address("192.0.2.11")))
    wire = lan.wire("c0")

    wire.broadcast(capture("discover-bios"))
    offer = wire.receive()
    with lan.client_socket(4011) as client:
        client.sendto(capture("request-edk2-4011"), ("192.0.2.10", 4011))
        data, source = client.recvfrom(2048)

    assert (offer[IP].src, offer[BOOTP].siaddr) == ("192.0.2.11", "192.0.2.11")
    assert (source, BOOTP(data).siaddr) == (("192.0.2.10", 4011), "192.0.2.10")


def test_of_several_addresses_the_primary_one_answers(lan: Any, serve: Any, capture: Capture) -> None:
    lan.ip(lan.server, "addr", "add", "192.0.2.11/24", "dev", "s0")
    serve("s0")
    wire = lan.wire("c0")

    wire.broadcast(capture("discover-bios"))

    assert wire.receive()[IP].src == "192.0.2.10"


def test_a_lan_that_appears_after_the_start_is_served(lan: Any, serve: Any, capture: Capture) -> None:
    serving = serve("s0", "s2")

    lan.ip(lan.server, "link", "add", "s2", "type", "veth", "peer", "name", "c2", "netns", lan.client)
    lan.ip(lan.client, "link", "set", "c2", "up")
    lan.ip(lan.server, "link", "set", "s2", "up")
    lan.ip(lan.server, "addr", "add", "203.0.113.10/24", "dev", "s2")
    serving.wait_for_interfaces("s0=192.0.2.10", "s2=203.0.113.10")
    wire = lan.wire("c2")
    wire.broadcast(capture("discover-bios"))
    assert wire.receive()[IP].src == "203.0.113.10"

    lan.ip(lan.server, "link", "del", "s2")
    serving.wait_for_interfaces("s0=192.0.2.10")


def test_a_changed_address_is_the_one_that_answers(lan: Any, serve: Any, capture: Capture) -> None:
    serving = serve()
    wire = lan.wire("c0")

    lan.ip(lan.server, "addr", "add", "192.0.2.20/24", "dev", "s0")
    lan.ip(lan.server, "addr", "del", "192.0.2.10/24", "dev", "s0")
    lan.ip(lan.server, "addr", "replace", "192.0.2.20/24", "dev", "s0")
    serving.wait_for_interfaces("s0=192.0.2.20")
    wire.broadcast(capture("discover-bios"))

    frame = wire.receive()
    assert (frame[IP].src, frame[BOOTP].siaddr) == ("192.0.2.20", "192.0.2.20")


def test_a_request_to_the_lease_server_shows_the_machines_address_and_gets_no_reply(
    lan: Any, serve: Any, capture: Capture
) -> None:
    serving = serve()
    wire = lan.wire("c0")
    request = bytes(
        BOOTP(chaddr=bytes.fromhex("525400aabb01"), xid=9)
        / DHCP(options=[("message-type", "request"), ("requested_addr", "192.0.2.50"), "end"])
    )

    wire.broadcast(request)
    wire.broadcast(capture("discover-bios"))

    assert body(wire.receive()) == capture("offer-bios")
    assert serving.service.shown.get(timeout=5) == (MAC, IPv4Address("192.0.2.50"), 9)
    assert serving.counted["dhcp_ignored", "other-message-type"] == 1


def test_every_other_message_is_dropped_and_counted(lan: Any, serve: Any, capture: Capture) -> None:
    serving = serve()
    wire = lan.wire("c0")
    good = capture("discover-bios")
    reply = capture("offer-bios")
    cut = good[:240] + bytes.fromhex("3501015d0200003cc8505845436c69656e74")
    bogus_relay = changed(good, giaddr="192.0.2.10")
    unregistered = changed(good, mac="52:54:00:aa:bb:99")

    for data in (
        b"",
        good[:100],
        cut,
        reply,
        bogus_relay,
        unregistered,
        bytes(4000),
        bytes(5000),
    ):  # the last two in fragments
        wire.broadcast(data)
    wire.broadcast(good)

    assert body(wire.receive()) == capture("offer-bios")
    assert wire.receive(timeout_s=0.1) is None
    assert serving.service.offers.get(timeout=5).mac == MAC
    assert serving.counted == {
        ("dhcp_ignored", "malformed"): 4,
        ("dhcp_ignored", "not-a-request"): 1,
        ("dhcp_ignored", "bogus-relay"): 1,
        ("dhcp_ignored", "unknown-host"): 1,
        ("datagrams_lost", "67", "oversized"): 1,
        ("dhcp_offered", "x86-bios", "loader"): 1,
    }


def test_an_offer_is_one_line_with_the_client_and_the_boot_file(lan: Any, serve: Any, capture: Capture) -> None:
    with capture_logs() as lines:
        serving = serve()
        lan.wire("c0").broadcast(capture("discover-edk2-x64"))
        serving.service.offers.get(timeout=5)
        serving.stop()

    assert [line for line in lines if line["event"].startswith("dhcp.")] == [
        {
            "event": "dhcp.offered",
            "log_level": "debug",
            "mac": MAC,
            "host": "cp1",
            "role": "control-plane",
            "arch": "x64-uefi",
            "stage": "firmware",
            "kind": "loader",
            "boot_file": "snponly.efi",
            "iface": "s0",
            "port": 67,
        }
    ]


def test_an_architecture_without_a_loader_gets_no_answer(lan: Any, serve: Any, capture: Capture) -> None:
    bios_by_http = capture("discover-edk2-arm64-http").replace(bytes.fromhex("5d020013"), bytes.fromhex("5d020014"))
    serving = serve()
    wire = lan.wire("c0")
    for _ in range(3):
        wire.broadcast(bios_by_http)
    wire.broadcast(capture("discover-bios"))
    serving.service.offers.get(timeout=5)

    assert serving.counted["dhcp_ignored", "unknown-architecture"] == 3


def test_a_machine_without_an_architecture_is_refused_by_its_mac(lan: Any, serve: Any, capture: Capture) -> None:
    nameless = capture("discover-edk2-x64").replace(bytes.fromhex("5d020007"), bytes.fromhex("5d0107"))
    nameless = nameless.replace(b"Arch:00007", b"Arch:x0007")
    serving = serve()
    lan.wire("c0").broadcast(nameless)

    mac, reason, cure = serving.service.refusals.get(timeout=5)

    assert (mac, reason) == (MAC, "no-architecture")
    assert "update its firmware" in cure


def test_a_fault_of_ours_in_one_datagram_ends_with_that_datagram(lan: Any, serve: Any, capture: Capture) -> None:
    serving = serve()
    serving.service.faulty = Mac("52:54:00:aa:bb:66")
    wire = lan.wire("c0")

    for _ in range(3):
        wire.broadcast(changed(capture("discover-bios"), mac=serving.service.faulty))
    wire.broadcast(capture("discover-bios"))

    assert body(wire.receive()) == capture("offer-bios")
    assert serving.counted["datagram_faults", "67"] == 3


def test_the_port_answers_after_mutated_datagrams(lan: Any, serve: Any, capture: Capture) -> None:
    serve()
    wire = lan.wire("c0")
    chance = random.Random(67)
    good = capture("discover-relayed")

    for number in range(2000):
        data = bytearray(good[: chance.randrange(len(good) + 1)] if number % 2 else good)
        for _ in range(chance.randrange(1, 8)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        wire.broadcast(bytes(data))
    last = changed(capture("discover-edk2-x64"), mac=MAC)
    wire.broadcast(last)

    answers = 0
    while (frame := wire.receive()) is not None and frame[BOOTP].xid != BOOTP(last).xid:
        answers += 1
        assert answers <= 2000
    assert frame is not None


def test_an_unarmed_machine_is_led_to_its_disk_on_both_ports(lan: Any, serve: Any, capture: Capture) -> None:
    serving = serve()
    serving.service.is_armed = False
    wire = lan.wire("c0")

    wire.broadcast(capture("discover-edk2-x64"))
    offer = body(wire.receive())
    with lan.client_socket(4011) as client:
        client.sendto(capture("request-edk2-4011"), ("192.0.2.10", 4011))
        ack = client.recv(2048)

    assert [(options_of(reply)[43], any(BOOTP(reply).file), 67 in options_of(reply)) for reply in (offer, ack)] == [
        (bytes.fromhex("060108ff"), False, False)
    ] * 2


def test_loopback_is_an_interface_like_any_other(lan: Any, serve: Any, capture: Capture) -> None:
    serve("lo")

    with lan.client_socket(68, loopback=True) as client:
        client.sendto(capture("discover-bios"), ("255.255.255.255", 67))
        offer, offered_from = client.recvfrom(2048)
        client.sendto(capture("request-edk2-4011"), ("127.0.0.1", 4011))
        ack, acked_from = client.recvfrom(2048)

    assert (offered_from, acked_from) == (("127.0.0.1", 67), ("127.0.0.1", 4011))
    assert [BOOTP(data).siaddr for data in (offer, ack)] == ["127.0.0.1"] * 2


def test_listening_says_what_it_would_have_answered_and_sends_nothing(lan: Any, serve: Any, capture: Capture) -> None:
    serving = serve(settings=dhcp_settings(mode=DhcpMode.LISTEN))
    wire = lan.wire("c0")

    wire.broadcast(capture("discover-bios"))

    assert serving.service.requests.get(timeout=5).mac == MAC
    assert wire.receive(timeout_s=0.2) is None
    assert (serving.service.offers.empty(), serving.counted) == (True, {})


def test_off_binds_nothing(lan: Any, serve: Any) -> None:
    serve(settings=dhcp_settings(mode=DhcpMode.OFF))

    listening = subprocess.run(
        ["ip", "netns", "exec", lan.server, "ss", "-Huln"], check=True, capture_output=True, timeout=10
    )

    assert listening.stdout == b""


def test_a_port_that_another_holds_is_a_problem_with_its_cure(lan: Any, serve: Any) -> None:
    held = subprocess.Popen(
        ["ip", "netns", "exec", lan.server, "python3", "-c", _HOLD], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    try:
        assert held.stdout is not None
        assert held.stdout.readline() == b"held\n"

        (problem,) = serve().problems
        assert re.match(r"cannot bind UDP port 67 on s0: .*; stop what holds it", problem)
    finally:
        held.communicate()


_HOLD = "import socket; s = socket.socket(type=2); s.bind(('', 67)); print('held', flush=True); input()"


def test_tshark_finds_no_fault_in_any_reply(lan: Any, serve: Any, capture: Capture, tmp_path: Path) -> None:
    serving = serve()
    wire = lan.wire("c0")
    names = ("discover-bios", "discover-edk2-x64", "discover-edk2-arm64-http", "discover-ipxe-x64")
    frames = []
    for is_armed in (True, False):
        serving.service.is_armed = is_armed
        for name in names:
            wire.broadcast(capture(name))
            frames.append(wire.receive())
    pcap = tmp_path / "replies.pcap"
    wrpcap(str(pcap), frames)

    read = subprocess.run(
        ["tshark", "-r", pcap, "-T", "fields", "-e", "dhcp.option.dhcp", "-e", "_ws.malformed", "-e", "_ws.expert"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HOME": str(tmp_path)},
    )

    assert read.stdout.splitlines() == ["2\t\t"] * 8
