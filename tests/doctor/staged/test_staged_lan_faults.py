"""Faults of the LAN, staged by real servers and by frames of switches, beside an appliance whose daemon runs.

The doctor runs as a process on the appliance. Each list of findings above notes is the whole one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.packets import message, opts
from fixtures.servers import dnsmasq, running_server
from fixtures.staged_appliance import Finding, StagedAppliance, above_notes
from scapy.contrib.lacp import LACP, SlowProtocol
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, LLC, STP, Dot1Q, Dot3, Ether
from scapy.packet import Raw

pytestmark = pytest.mark.integration
SECONDS = ("--seconds", "1.5")
SWITCH, NEIGHBOUR = "02:00:00:00:00:51", "02:00:00:00:00:66"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
ESCAPES = "\x1b]0;owned\x07\x1b[2J"
SHOWN_ESCAPES = r"\x1b]0;owned \x1b[2J"
NO_LEASES = Finding(
    "lan.dhcp_server",
    "problem",
    "no DHCP server leases addresses on s0: every machine ends without an address, PXE-E51 or PXE-E18",
    "start a DHCP server on this LAN, let a relay forward to one, or set dhcp.mode: reservation, by which netboot "
    "leases addresses to its hosts itself",
)


@contextmanager
def foreign_server(appliance: StagedAppliance, directory: Path, *options: str, leases: bool = True) -> Iterator[str]:
    """Run dnsmasq on the LAN; give its name in sentences."""
    namespace = appliance.rack.client_namespace
    with running_server(namespace, *dnsmasq(directory, *options, interface="c0", leases=leases)):
        yield f"192.0.2.66 ({appliance.rack.client_mac()}) on s0"


def test_option_60_of_the_dhcp_server(appliance: StagedAppliance, tmp_path: Path):
    with foreign_server(appliance, tmp_path, "--dhcp-option-force=60,PXEClient") as server:
        found = appliance.finds("lan", *SECONDS)

    assert found == [
        Finding(
            "lan.pxe_option",
            "problem",
            f"the DHCP server {server} sends option 60 (PXEClient), so machines may boot from it instead of netboot",
            "remove option 60 from its replies: pxe-service and dhcp-option=60 of dnsmasq, "
            "vendor-class-identifier of ISC dhcpd and Kea; docs/other-servers.md",
        )
    ]


def test_a_boot_file_of_the_dhcp_server_is_reported_once_and_its_text_is_harmless(
    appliance: StagedAppliance, tmp_path: Path
):
    """The daemon sees the replies to the doctor too. The boot file has escape sequences for the terminal."""
    appliance.rack.stop()
    appliance.rack.start()  # it forgets the servers of other tests
    boot = f"--dhcp-boot={ESCAPES}pxelinux.0,{ESCAPES}name,192.0.2.9"
    with foreign_server(appliance, tmp_path, boot) as server:
        areas = ("--area", "configuration", "--area", "lan", *SECONDS)
        printed = appliance.rack.run("doctor", *areas).stdout  # on stderr is that it listens
        assert appliance.rack.api("/api/v1/status")["other_servers"] != []
        report = appliance.report(*areas)

    assert above_notes(report, appliance.directory) == [
        Finding(
            "lan.boot_file",
            "warning",
            f"the DHCP server {server} sends the boot file {SHOWN_ESCAPES}pxelinux.0 on 192.0.2.9, "
            "so machines may boot that instead of netboot",
            "remove boot file and next server (options 66 and 67) from it: dhcp-boot of dnsmasq, "
            "filename and next-server of ISC dhcpd, boot-file-name and next-server of Kea; docs/other-servers.md",
        )
    ]
    assert f"option 66 {SHOWN_ESCAPES}name" in printed
    assert printed.splitlines()[-1] == "nothing was found that would stop a boot, 1 warning"
    texts = [printed, *strings_of(report)]
    assert [text for text in texts if not text.replace("\n", "").isprintable()] == []


def strings_of(value: object) -> list[str]:
    """List every text in a JSON value."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings_of(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings_of(each)]
    return [value] if isinstance(value, str) else []


def test_another_pxe_server_and_no_dhcp_server(appliance: StagedAppliance, tmp_path: Path):
    options = ("--dhcp-range=192.0.2.0,proxy", "--pxe-service=x86-64_EFI,Foreign,foreign.efi")
    with foreign_server(appliance, tmp_path, *options, leases=False) as server:
        found = appliance.finds("lan", *SECONDS)

    assert found == [
        Finding(
            "lan.pxe_server",
            "warning",
            f"the PXE server {server} answers boot requests, so machines may boot from it instead of netboot",
            "stop it, or let it ignore the machines of netboot; docs/other-servers.md",
        ),
        NO_LEASES,
    ]


def test_a_duplicate_address_and_a_port_of_the_switch_that_is_wrong(appliance: StagedAppliance):
    """ARP of another computer, RSTP on a port that learns, LACP, DHCP requests that are tagged; and no DHCP server."""
    tree = STP(version=2, bpdutype=2, bpduflags=0x1C, rootmac=SWITCH, bridgemac=SWITCH)
    request = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / Raw(message(opts()))
    frames = (
        Ether(dst=EVERYBODY, src=NEIGHBOUR) / ARP(op=2, hwsrc=NEIGHBOUR, psrc="192.0.2.10", pdst="192.0.2.10"),
        Dot3(dst="01:80:c2:00:00:00", src=SWITCH) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / tree,
        Ether(dst="01:80:c2:00:00:02", src=SWITCH) / SlowProtocol() / LACP(actor_system=SWITCH, actor_port_number=7),
        Ether(dst=EVERYBODY, src=NEIGHBOUR) / Dot1Q(vlan=100) / request,
    )
    with appliance.frames(*frames):
        found = appliance.finds("lan", *SECONDS)

    assert found == [
        NO_LEASES,
        Finding(
            "lan.duplicate_address",
            "problem",
            "another computer has the address 192.0.2.10 of s0: machines are sent to one or the other",
            "give one of the two another address; arping -D shows when it is free",
        ),
        Finding(
            "lan.spanning_tree",
            "warning",
            "the switch's port at s0 is learning, so it forwards nothing yet",
            "let the ports of machines be edge ports: spanning-tree portfast (Cisco, Arista), edge-port (Juniper), "
            "admin-edge (HPE, Dell), or spanning tree off on them",
        ),
        Finding(
            "lan.lacp",
            "warning",
            "the switch sends LACP on s0, which is no bond: it may not forward for a single port",
            "take the port out of the link aggregation, or make a bond (mode 802.3ad) and serve that; for machines: "
            "LACP fallback (Arista), no lacp suspend-individual (Cisco), force-up (Juniper): firmware has no LACP",
        ),
        Finding(
            "lan.vlan",
            "warning",
            "DHCP requests tagged VLAN 100 arrive on s0, which serves untagged machines only",
            "if machines boot in VLAN 100: ip link add link s0 name s0.100 type vlan id 100, give it an address, and "
            "serve s0.100 in network.interfaces; or let the switch send this VLAN untagged",
        ),
    ]
