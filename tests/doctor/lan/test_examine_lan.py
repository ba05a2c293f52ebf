"""Other people's DHCP and PXE servers on the LAN, as the doctor finds them by its few packets."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.examined_lan import FOREIGN, ExaminedLan, above_note, found_by
from fixtures.packets import message, opts
from fixtures.servers import Started, dhcpd, dnsmasq, kea, running_server
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import UDP
from scapy.layers.l2 import ARP

from netboot.doctor.lan.packets.server_offer import options_of

pytestmark = pytest.mark.integration

OWN_MAC = "02:6e:62"
PINGED_S = 3.5  # dhcpd pings an address for a second before its offer


def discovers(lan: ExaminedLan) -> list[DHCP]:
    return [frame for frame in lan.sent if DHCP in frame]


def test_a_lan_with_one_dhcp_server_has_no_finding_above_a_note_and_few_packets_are_sent(
    lan: ExaminedLan, tmp_path: Path
) -> None:
    with running_server(lan.other, *dnsmasq(tmp_path, interface="c0")):
        report = lan.examine(seconds=4.0)

    assert above_note(report) == []
    (server,) = found_by(report, "lan.dhcp_server")
    assert server.sentence.startswith(f"the DHCP server {FOREIGN} (")
    assert server.sentence.endswith(") on s0 leases addresses and sends no boot file")
    assert len(server.evidence) == 5
    assert report.not_checked.keys() == {"lan.own_offers"}
    assert len(discovers(lan)) == 5
    assert {frame.src[:8] for frame in discovers(lan)} == {OWN_MAC}
    assert Counter(options_of(frame[DHCP])["message-type"] for frame in discovers(lan)) == {1: 5}
    assert len([frame for frame in lan.sent if ARP in frame and frame[ARP].psrc == "0.0.0.0"]) == 3


def test_without_a_dhcp_server_each_request_is_sent_twice_and_that_is_a_problem(lan: ExaminedLan) -> None:
    report = lan.examine()

    (finding,) = above_note(report)
    assert (finding.check, finding.level) == ("lan.dhcp_server", "problem")
    assert "no DHCP server leases addresses on s0" in finding.sentence
    assert "dhcp.mode: reservation" in (finding.cure or "")
    sent = Counter(frame[BOOTP].xid for frame in discovers(lan))
    assert sorted(sent.values()) == [2] * 5
    assert [frame for frame in lan.sent if UDP in frame and frame[UDP].dport == 4011] == []


def test_reservation_needs_no_other_dhcp_server(lan: ExaminedLan) -> None:
    assert above_note(lan.examine(leases=True)) == []


def test_a_server_of_this_appliance_is_not_judged_by_packets_that_do_not_reach_it(lan: ExaminedLan) -> None:
    report = lan.examine(port_67_holder="dnsmasq (process 12)")

    (finding,) = found_by(report, "lan.dhcp_server")
    assert finding.level == "note"
    assert "dnsmasq (process 12) on this appliance holds port 67" in finding.sentence


def boot_dnsmasq(directory: Path) -> Started:
    return dnsmasq(directory, "--dhcp-boot=pxelinux.0,,192.0.2.9", interface="c0")


def boot_dhcpd(directory: Path) -> Started:
    return dhcpd(directory, 'filename "pxelinux.0";', "next-server 192.0.2.9;", interface="c0")


def boot_kea(directory: Path) -> Started:
    return kea(directory, interface="c0", **{"next-server": "192.0.2.9", "boot-file-name": "pxelinux.0"})


@pytest.mark.parametrize("server", [boot_dnsmasq, boot_dhcpd, boot_kea])
def test_a_boot_file_of_another_server_is_a_warning_with_what_it_does_to_each_firmware(
    lan: ExaminedLan, tmp_path: Path, server: Callable[[Path], Started]
) -> None:
    """dnsmasq writes option 67 if it is requested, which shim does not read; the others write the field as well."""
    lan.wait_for_link()
    with running_server(lan.other, *server(tmp_path)):
        report = lan.examine(seconds=PINGED_S)

    (finding,) = above_note(report)
    assert (finding.check, finding.level) == ("lan.boot_file", "warning")
    assert "sends the boot file pxelinux.0 on 192.0.2.9" in finding.sentence
    assert "remove boot file and next server" in (finding.cure or "")
    effects = [line for line in finding.evidence if line.startswith("effect: ")]
    assert "effect: iPXE loads pxelinux.0 on 192.0.2.9 if netboot's offer comes later than the lease" in effects
    assert "effect: U-Boot loads pxelinux.0 on 192.0.2.9" in effects
    of_shim = "effect: shim and GRUB request their next files from 192.0.2.9, directory /, not from netboot"
    assert (of_shim in effects) == (server is not boot_dnsmasq)
    assert not any("UEFI PXE" in line for line in effects)


def test_a_boot_file_on_this_appliance_is_a_note(lan: ExaminedLan, tmp_path: Path) -> None:
    server = dhcpd(tmp_path, 'filename "snponly.efi";', "next-server 192.0.2.10;", interface="c0")
    with running_server(lan.other, *server):
        report = lan.examine(seconds=PINGED_S)

    assert above_note(report) == []
    (finding,) = found_by(report, "lan.boot_file")
    assert "which is this appliance" in finding.sentence
    assert not any(line.startswith("effect: ") for line in finding.evidence)


def test_option_60_of_a_dhcp_server_is_a_problem_and_its_port_4011_is_queried_once(
    lan: ExaminedLan, tmp_path: Path
) -> None:
    with running_server(lan.other, *dnsmasq(tmp_path, "--dhcp-option-force=60,PXEClient", interface="c0")):
        report = lan.examine()

    (finding,) = above_note(report)
    assert (finding.check, finding.level) == ("lan.pxe_option", "problem")
    assert f"port 4011 of {FOREIGN} did not reply" in finding.evidence
    assert any("UEFI PXE" in line and "PXE-E16" in line for line in finding.evidence)
    assert any("a BIOS ROM" in line and "PXE-E55" in line for line in finding.evidence)
    assert any("iPXE" in line and "it boots nothing" in line for line in finding.evidence)
    assert "vendor-class-identifier of ISC dhcpd and Kea" in (finding.cure or "")
    assert len([frame for frame in lan.sent if UDP in frame and frame[UDP].dport == 4011]) == 1
    assert len(discovers(lan)) == 5


def test_option_60_with_a_boot_file_and_option_43_leads_firmware_there(lan: ExaminedLan, tmp_path: Path) -> None:
    statements = ('filename "foreign.efi";', "next-server 192.0.2.9;", 'option vendor-class-identifier "PXEClient";')
    with running_server(lan.other, *dhcpd(tmp_path, *statements, interface="c0")):
        (finding,) = found_by(lan.examine(seconds=PINGED_S), "lan.pxe_option")

    assert (
        f"effect: UEFI PXE takes {FOREIGN} for its boot server and ignores netboot's offer: "
        "it loads foreign.efi on 192.0.2.9"
    ) in finding.evidence
    assert "effect: a BIOS ROM loads foreign.efi on 192.0.2.9 instead of netboot's loader" in finding.evidence
    assert [frame for frame in lan.sent if UDP in frame and frame[UDP].dport == 4011] == []


def test_another_pxe_server_is_a_warning_with_the_boot_file_of_its_port_4011(lan: ExaminedLan, tmp_path: Path) -> None:
    options = ("--dhcp-range=192.0.2.0,proxy", "--pxe-service=x86-64_EFI,Foreign,foreign.efi")
    with running_server(lan.other, *dnsmasq(tmp_path, *options, interface="c0", leases=False)):
        report = lan.examine(leases=True)

    (finding,) = above_note(report)
    assert (finding.check, finding.level) == ("lan.pxe_server", "warning")
    assert f"port 4011 of {FOREIGN} names the boot file foreign.efi" in finding.evidence


def test_a_dhcp_server_beside_our_own_leases_is_a_warning(lan: ExaminedLan, tmp_path: Path) -> None:
    with running_server(lan.other, *dnsmasq(tmp_path, interface="c0")):
        (finding,) = above_note(lan.examine(leases=True))

    assert (finding.check, finding.level) == ("lan.lease_servers", "warning")
    assert "leases addresses beside netboot" in finding.sentence


def test_two_dhcp_servers_are_a_warning(lan: ExaminedLan, tmp_path: Path) -> None:
    second = message(opts(kind=2, vendor=None, more=[(54, bytes((192, 0, 2, 253)))]), op=2)
    second = second[:16] + bytes((192, 0, 2, 99)) + second[20:]  # yiaddr

    def reply_to_a_machine() -> None:
        time.sleep(0.5)
        lan.wire.send(second, source=("192.0.2.253", 67), to=("255.255.255.255", 68), mac="02:00:00:00:00:53")

    with running_server(lan.other, *dnsmasq(tmp_path, interface="c0")):
        (finding,) = above_note(lan.examine(meanwhile=reply_to_a_machine))

    assert (finding.check, finding.level) == ("lan.lease_servers", "warning")
    assert "2 DHCP servers lease addresses on s0" in finding.sentence


def test_nothing_is_sent_if_that_is_required(lan: ExaminedLan, tmp_path: Path) -> None:
    lan.lan.ip(lan.lan.server, "link", "set", "s0", "addrgenmode", "none")
    with running_server(lan.other, *dnsmasq(tmp_path, interface="c0")):
        report = lan.examine(sends=False)

    assert above_note(report) == []
    assert report.not_checked["lan.dhcp_server"] == "nothing was sent (--no-send)"
    assert [frame.summary() for frame in lan.sent if DHCP in frame or ARP in frame or UDP in frame] == []


def test_an_interface_that_cannot_be_examined_is_listed_with_the_reason(lan: ExaminedLan) -> None:
    lan.lan.ip(lan.other, "link", "set", "c0", "down")

    def reason(*interfaces: str) -> str:
        return lan.examine(interfaces=list(interfaces), seconds=1.0).not_checked["lan"]

    assert reason() == "network.interfaces names no interface, and no --interface was given"
    assert reason("nosuch0") == "this appliance has no interface nosuch0"
    assert reason("lo") == "lo is no Ethernet interface"
    assert reason("s0") == "s0 has no carrier; check its cable and the switch's port"
    lan.lan.ip(lan.lan.server, "link", "set", "s0", "down")
    assert reason("s0") == "s0 is down; ip link set s0 up"
