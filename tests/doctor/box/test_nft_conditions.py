"""Conditions of nftables rules, as `nft -j` prints them: true, false, or not known for every packet of a kind."""

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest

from netboot.doctor.box.firewall.boot_packets import BootPacket, Direction
from netboot.doctor.box.firewall.nft_conditions import condition, is_equal

ARRIVES = BootPacket(
    "TFTP requests",
    Direction.ARRIVES,
    "s0",
    "udp",
    IPv4Network("192.0.2.0/24"),
    (1024, 65535),
    IPv4Network("192.0.2.10/32"),
    (69, 69),
    "new",
    69,
)
LEAVES = replace(ARRIVES, direction=Direction.LEAVES)
BROADCAST = replace(ARRIVES, is_broadcast=True)
SETS = {"ports": [{"elem": {"val": 69}}], "pairs": [{"concat": [69, "s0"]}], "nested": ["@ports"]}


def field(protocol: str, name: str) -> Any:
    return {"payload": {"protocol": protocol, "field": name}}


def meta(key: str) -> Any:
    return {"meta": {"key": key}}


SADDR, DADDR, SPORT, DPORT = field("ip", "saddr"), field("ip", "daddr"), field("udp", "sport"), field("udp", "dport")


@pytest.mark.parametrize(
    ("left", "operator", "right", "holds"),
    [
        (DPORT, "==", 69, True),
        (DPORT, "!=", 69, False),
        (DPORT, "in", {"set": [80, {"range": [60, 70]}]}, True),
        (DPORT, "==", {"set": 69}, True),
        (DPORT, "==", {"set": [80, 443]}, False),
        (DPORT, "==", "@ports", True),
        (DPORT, "==", "@nested", True),
        (DPORT, "==", "@none", None),
        (DPORT, "==", "tftp", None),
        (DPORT, "^", 69, None),
        (SPORT, "==", {"range": [2000, 3000]}, None),
        (DPORT, "<", 69, False),
        (DPORT, "<=", 69, True),
        (DPORT, ">", 68, True),
        (DPORT, ">=", 70, False),
        (SPORT, ">", 1023, True),
        (SPORT, "<", 2000, None),
        (DPORT, "<", "tftp", None),
        (meta("mark"), "<", 5, None),
        (field("tcp", "dport"), "!=", 69, False),  # of a rule for TCP
        (field("ip6", "saddr"), "!=", "2001:db8::1", False),
        ({"&": [field("tcp", "flags"), 2]}, "==", 0, False),
        ({"&": [meta("mark"), 2]}, "==", 0, None),
        (SADDR, "==", "192.0.2.0/24", True),
        (SADDR, "==", {"prefix": {"addr": "192.0.0.1", "len": 16}}, True),
        (SADDR, "==", "192.0.2.9", None),
        (SADDR, "==", {"range": ["192.0.2.0", "192.0.2.255"]}, True),
        (SADDR, "==", {"range": ["192.0.2.100", "192.0.2.200"]}, None),
        (SADDR, "==", {"range": ["192.0.3.0", "192.0.3.9"]}, False),
        (SADDR, "==", {"range": ["192.0.0.0", "192.0.1.255"]}, False),
        (SADDR, "==", "gateway.example", None),
        (SADDR, "==", 7, None),
        (DADDR, "==", "192.0.2.10", True),
        (field("ip", "protocol"), "==", 17, True),
        (field("ip", "protocol"), "==", "tcp", False),
        (field("ip", "version"), "==", 4, True),
        (field("ip", "ttl"), "==", 64, None),
        (meta("iifname"), "==", "s0", True),
        (meta("iifname"), "==", "s*", True),
        (meta("oifname"), "==", "s0", False),
        (meta("l4proto"), "==", "udp", True),
        (meta("nfproto"), "==", "ipv6", False),
        (meta("protocol"), "==", "ip", True),
        (meta("protocol"), "==", "arp", False),
        (meta("pkttype"), "==", "broadcast", False),
        (meta("mark"), "==", 1, None),
        ({"ct": {"key": "state"}}, "in", ["established", "related"], False),
        ({"ct": {"key": "status"}}, "==", "dnat", False),
        ({"ct": {"key": "status"}}, "==", "assured", None),
        ({"ct": {"key": "mark"}}, "==", 1, None),
        ({"fib": {"result": "type", "flags": ["daddr"]}}, "==", "local", True),
        ({"fib": {"result": "oif", "flags": ["saddr"]}}, "==", False, None),
        ({"concat": [DPORT, meta("iifname")]}, "==", "@pairs", True),
        ({"concat": [DPORT, meta("iifname")]}, "==", {"concat": [69, "s1"]}, False),
        ({"concat": [DPORT, meta("mark")]}, "==", {"concat": [69, 1]}, None),
        ({"concat": [DPORT, meta("iifname")]}, "==", 69, None),
    ],
)
def test_a_condition_holds_for_all_packets_for_none_or_is_not_known(left: Any, operator: str, right: Any, holds: Any):
    assert condition({"left": left, "op": operator, "right": right}, SETS)(ARRIVES) is holds


@pytest.mark.parametrize(
    ("packet", "left", "value", "holds"),
    [
        (LEAVES, meta("oifname"), "s0", True),
        (LEAVES, meta("iif"), "s0", False),
        (LEAVES, meta("pkttype"), "host", None),
        (BROADCAST, meta("pkttype"), "broadcast", True),
        (LEAVES, {"fib": {"result": "type", "flags": "daddr"}}, "unicast", True),
        (BROADCAST, {"fib": {"result": "type", "flags": "daddr"}}, "broadcast", True),
    ],
)
def test_direction_and_broadcast_count(packet: BootPacket, left: Any, value: str, holds: bool | None):
    assert is_equal(left, value, {})(packet) is holds
