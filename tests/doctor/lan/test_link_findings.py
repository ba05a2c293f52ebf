"""What switches, routers and neighbours send, and what the doctor finds in it."""

import time
from pathlib import Path

import pytest
from fixtures.examined_lan import FOREIGN, ExaminedLan, above_note, found_by
from fixtures.packets import RELAY, UEFI, message, opts
from fixtures.servers import dnsmasq, running_server
from scapy.contrib.lacp import LACP, SlowProtocol
from scapy.contrib.lldp import (
    LLDPDUChassisID,
    LLDPDUEndOfLLDPDU,
    LLDPDUGenericOrganisationSpecific,
    LLDPDUPortDescription,
    LLDPDUPortID,
    LLDPDUSystemName,
    LLDPDUTimeToLive,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, IPv6
from scapy.layers.l2 import ARP, LLC, SNAP, STP, Dot1Q, Dot3, Ether
from scapy.packet import Packet, Raw

pytestmark = pytest.mark.integration

SWITCH = "02:00:00:00:00:51"
LEASES = {"leases": True}  # no DHCP server is needed


def bpdu(*, version: int = 2, flags: int = 0x3C) -> Packet:
    tree = STP(version=version, bpdutype=version, bpduflags=flags, rootmac=SWITCH, bridgemac=SWITCH)
    return Dot3(dst="01:80:c2:00:00:00", src=SWITCH) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / tree


def arp(address: str, mac: str) -> Packet:
    return Ether(dst="ff:ff:ff:ff:ff:ff", src=mac) / ARP(op=2, hwsrc=mac, psrc=address, pdst=address)


NEIGHBOUR = arp("192.0.2.66", "02:00:00:00:00:66")


def test_a_forwarding_port_with_rstp_is_a_note_with_its_timers(lan: ExaminedLan) -> None:
    finding = lan.finds("lan.spanning_tree", bpdu(), NEIGHBOUR, **LEASES)

    assert finding.level == "note"
    assert "30 s (2 × 15 s)" in finding.sentence
    assert (
        f"RSTP BPDU of bridge {SWITCH}, root {SWITCH}, port forwarding: "
        "hello 2 s, max age 20 s, forward delay 15 s" in finding.evidence
    )
    assert "portfast" in (finding.cure or "")


def test_a_port_that_learns_is_a_warning(lan: ExaminedLan) -> None:
    finding = lan.finds("lan.spanning_tree", bpdu(flags=0x1C), **LEASES)

    assert (finding.level, finding.sentence) == (
        "warning",
        "the switch's port at s0 is learning, so it forwards nothing yet",
    )


def test_bpdus_of_one_vlan_by_cisco_are_read(lan: ExaminedLan) -> None:
    snap = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0x00000C, code=0x010B)
    frame = Dot3(dst="01:00:0c:cc:cc:cd", src=SWITCH) / snap / bpdu()[STP]

    assert lan.finds("lan.spanning_tree", frame, NEIGHBOUR, **LEASES).level == "note"


def test_the_port_of_a_real_bridge_that_listens_forwards_nothing(lan: ExaminedLan, tmp_path: Path) -> None:
    """Linux speaks 802.1D, whose BPDUs do not have the state of the port."""
    ip = lan.lan.ip
    ip(
        lan.other,
        "link",
        "add",
        "br0",
        "type",
        "bridge",
        "stp_state",
        "1",
        "forward_delay",
        "1500",
        "hello_time",
        "100",
    )
    ip(lan.other, "addr", "flush", "dev", "c0")
    ip(lan.other, "link", "set", "c0", "master", "br0")
    ip(lan.other, "addr", "add", f"{FOREIGN}/24", "dev", "br0")
    ip(lan.other, "link", "set", "br0", "up")
    with running_server(lan.other, *dnsmasq(tmp_path, interface="br0")):
        report = lan.examine(seconds=3.0)

    (finding,) = above_note(report)
    assert (finding.check, finding.level) == ("lan.spanning_tree", "warning")
    assert "its port may not forward yet, for 30 s (2 × 15 s) after link up" in finding.sentence
    assert any(line.startswith("802.1D BPDU of bridge ") for line in finding.evidence)


def test_the_time_from_link_up_to_the_first_packet_is_measured(lan: ExaminedLan) -> None:
    lan.lan.ip(lan.other, "link", "set", "c0", "down")

    def plugged_in() -> None:
        time.sleep(0.3)
        lan.lan.ip(lan.other, "link", "set", "c0", "up")
        for _ in range(6):
            time.sleep(1)
            lan.wire.send_frame(bpdu(version=0, flags=0))
        lan.wire.send_frame(NEIGHBOUR)

    report = lan.examine(meanwhile=plugged_in, seconds=7.5, **LEASES)

    (finding,) = found_by(report, "lan.spanning_tree")
    assert finding.level == "warning"
    assert "after its link came up: firmware ends its boot before that" in finding.sentence
    assert any(line.startswith("first packet ") for line in finding.evidence), finding.evidence


def test_lacp_to_an_interface_that_is_no_bond_is_a_warning(lan: ExaminedLan) -> None:
    frame = Ether(dst="01:80:c2:00:00:02", src=SWITCH, type=0x8809) / SlowProtocol(subtype=1)
    finding = lan.finds("lan.lacp", frame / LACP(actor_system=SWITCH, actor_port_number=7), **LEASES)

    assert (finding.level, finding.evidence) == ("warning", (f"LACP of system {SWITCH}, port 7",))
    assert "LACP fallback" in (finding.cure or "")


def test_boot_requests_with_the_tag_of_a_vlan_are_a_warning_and_other_frames_a_note(lan: ExaminedLan) -> None:
    request = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / Raw(message(opts(vendor=UEFI)))
    machine, everybody = "52:54:00:aa:bb:01", "ff:ff:ff:ff:ff:ff"
    tagged = Ether(src=machine, dst=everybody) / Dot1Q(vlan=100) / request
    other = Ether(src=machine, dst=everybody) / Dot1Q(vlan=200) / NEIGHBOUR[ARP]
    report = lan.examine(meanwhile=lambda: lan.put(tagged, other), **LEASES)

    requests, frames = found_by(report, "lan.vlan")
    assert (requests.level, frames.level) == ("warning", "note")
    assert requests.sentence == "DHCP requests tagged VLAN 100 arrive on s0, which serves untagged machines only"
    assert "serve s0.100 in network.interfaces" in (requests.cure or "")
    assert requests.evidence == ("3 frames with the tag 100, 3 requests of DHCP clients among them",)
    assert frames.sentence.startswith("frames tagged VLAN 200 arrive on s0")


def test_the_switch_and_its_port_are_named_by_lldp(lan: ExaminedLan) -> None:
    port = (
        LLDPDUChassisID(subtype=4, id=SWITCH)
        / LLDPDUPortID(subtype=5, id=b"Gi1/0/7")
        / LLDPDUTimeToLive(ttl=120)
        / LLDPDUPortDescription(description=b"rack 7\x1b[31m")
        / LLDPDUSystemName(system_name=b"sw1")
        / LLDPDUGenericOrganisationSpecific(org_code=0x0080C2, subtype=1, data=b"\0\x64")
        / LLDPDUEndOfLLDPDU()
    )
    finding = lan.finds("lan.switch", Ether(dst="01:80:c2:00:00:0e", src=SWITCH, type=0x88CC) / port, **LEASES)

    assert finding.level == "note"
    assert finding.sentence == r"s0 is connected to sw1, port Gi1/0/7 (rack 7\x1b[31m), untagged VLAN 100"


def test_router_advertisements_are_a_note_with_their_flags(lan: ExaminedLan) -> None:
    advertised = IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA(M=1, O=1)
    prefix = ICMPv6NDOptPrefixInfo(prefix="fd00:6e62::", prefixlen=64)
    frame = Ether(src=SWITCH, dst="33:33:00:00:00:01") / advertised / prefix
    finding = lan.finds("lan.router_advertisement", frame, **LEASES)

    assert finding.level == "note"
    assert "DHCPv6" in finding.sentence
    assert finding.evidence == (f"router advertisement of {SWITCH}: M 1, O 1, fd00:6e62::/64",)


def test_router_advertisements_of_dnsmasq_are_read(lan: ExaminedLan, tmp_path: Path) -> None:
    lan.lan.ip(lan.other, "addr", "add", "fd00:6e62::1/64", "dev", "c0", "nodad")
    options = ("--dhcp-range=fd00:6e62::,ra-only", "--enable-ra", "--ra-param=c0,4,60")
    command, _ = dnsmasq(tmp_path, *options, interface="c0", leases=False)
    with running_server(lan.other, command, "router advertisement on"):
        (finding,) = found_by(lan.examine(seconds=5.5, **LEASES), "lan.router_advertisement")

    assert "M 0, O 0, fd00:6e62::/64" in finding.evidence[0]


def test_another_computer_with_our_address_is_a_problem(lan: ExaminedLan) -> None:
    lan.lan.ip(lan.other, "addr", "add", "192.0.2.10/24", "dev", "c0")
    report = lan.examine(**LEASES)

    (finding,) = above_note(report)
    assert (finding.check, finding.level) == ("lan.duplicate_address", "problem")
    assert "another computer has the address 192.0.2.10 of s0" in finding.sentence
    assert finding.evidence[0].startswith("ARP from ")


def test_a_relay_is_a_note(lan: ExaminedLan) -> None:
    relayed = message(opts(vendor=UEFI, more=[(82, b"\1\4eth7")]), giaddr=RELAY, hops=1)

    def relays() -> None:
        time.sleep(0.3)
        lan.wire.send(relayed, source=(RELAY, 67), to=("192.0.2.255", 67))

    (finding,) = found_by(lan.examine(meanwhile=relays, **LEASES), "lan.relay")

    assert finding.level == "note"
    assert f"the DHCP relay {RELAY} forwards requests" in finding.sentence
    assert finding.evidence == (f"a request of DHCP has giaddr {RELAY} with option 82",)
