"""Faults of the box, of its content and of its configuration, staged on an appliance whose daemon runs.

The doctor runs as a process on it. Each list of findings is the whole one, so that a fault reports nothing else, and
what an earlier test repaired is reported no more.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from fixtures import signed_loaders as made
from fixtures.daemon import wait_until
from fixtures.installer import initrd
from fixtures.rack import a_rack, token_in
from fixtures.servers import dnsmasq, running_server
from fixtures.staged_appliance import (
    IPXE,
    KERNEL,
    TIME_SERVER,
    Finding,
    StagedAppliance,
    above_notes,
    write_appliance,
)

from netboot.content.bootfiles.loader_packages import SIGNED_LOADERS
from netboot.model.boot.boot_client import Cpu

pytestmark = pytest.mark.integration
MEDIUM, RELEASE = "content/media/ol8u10-x86_64", "content/ostree/ock-1.31-amd64"
HOLDER = f"{Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})"
W1 = ("52:54:00:12:34:56", "192.0.2.51")
HARDWARE = """\
firmware uefi
secure_boot {secure_boot}
memory_kib 65536000
disk vda
size_bytes 480000000000
read_only 0
removable 0
"""
CLOSED = """\
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        ct state established,related accept
        tcp dport 22 accept
    }
}
"""
SET_CLOCK = (
    "set the clock: chronyc makestep, or date -u -s 'YYYY-MM-DD hh:mm:ss' && hwclock --systohc; then "
    "systemctl enable --now chronyd (or systemd-timesyncd), with a server in its configuration"
)
BY_THE_CLOCK = "tokens, certificates and the deadlines of Ignition files are judged by it"
NO_LOADER = Finding(
    "content.loaders",
    "problem",
    "no UEFI loader below DIR/boot",
    "install the package ipxe, or set bootfiles.directories",
)
NO_DAEMON = Finding(
    "box.daemon",
    "warning",
    "no daemon with these settings runs on this computer, so no machine is answered",
    "systemctl enable --now netboot; journalctl -u netboot states why it ended",
)
SIGNED_PAIR = f"a shim that Microsoft signed and the GRUB of its distribution, of {SIGNED_LOADERS[Cpu.X64]}"


def test_nothing_is_reported_on_a_healthy_appliance(appliance: StagedAppliance, tmp_path: Path):
    server = dnsmasq(tmp_path, interface="c0")
    with running_server(appliance.rack.client_namespace, *server):
        report = appliance.report("--seconds", "2")

    assert above_notes(report, appliance.directory) == []
    assert report["ok"] is True
    assert {check for area in report["areas"] for check in area["not_checked"]} == {"content.digests", "lan.own_offers"}
    assert [area["area"] for area in report["areas"]] == ["box", "configuration", "content", "lan"]


def test_a_port_that_is_taken_before_the_start(tmp_path: Path):
    (tmp_path / "box").mkdir()
    directory = write_appliance(tmp_path / "box")
    with a_rack(directory) as rack:
        appliance = StagedAppliance(rack)
        with appliance.time_server():
            with rack.server_socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
                holder.bind(("", 69))
                taken = appliance.finds("box")
            cured = appliance.finds("box")

    sentence = f"tftp.port: UDP port 69 on s0 is in use by {HOLDER}"
    taken_port = Finding("box.listening", "problem", sentence, "stop it, or give one of the two another port")
    assert taken == [NO_DAEMON, taken_port]
    assert cured == [NO_DAEMON]


def test_a_closed_firewall_and_the_commands_that_open_it(appliance: StagedAppliance):
    appliance.on_appliance("nft", "-f", "-", text=CLOSED)

    found = appliance.finds("box")

    assert found == [
        Finding(
            "box.firewall",
            "problem",
            "the firewall (table inet filter, chain input) drops DHCP requests (UDP 67), "
            "UEFI's boot requests (UDP 4011), TFTP requests (UDP 69), HTTP (TCP 8080) on s0",
            "nft 'insert rule inet filter input iifname \"s0\" udp dport { 67, 69, 4011 } accept' && "
            "nft 'insert rule inet filter input iifname \"s0\" tcp dport { 8080 } accept'; "
            "add the rules to the file that sets them at the start, as /etc/nftables.conf",
        )
    ]
    appliance.execute(found[0].cure)
    assert appliance.finds("box") == []


def test_faults_of_the_network_and_their_cures(appliance: StagedAppliance):
    """A dropped port, MTU 1400, a second card, a network of containers, an address by DHCP, sockets on our ports."""
    with faults_of_the_network(appliance):
        found = appliance.finds("box")
        for each in found:
            if each.check in ("box.firewall", "box.mtu", "box.routing"):
                appliance.execute(each.cure)

    assert appliance.finds("box") == []
    assert found == [
        Finding(
            "box.listening",
            "problem",
            f"UDP port 69 on 192.0.2.10 belongs to {HOLDER}, whose socket is bound to that address: "
            "TFTP requests do not reach netboot",
            "stop it (ss -lunp 'sport = :69' names it), or take this service out of it",
        ),
        Finding(
            "box.ports",
            "warning",
            f"{HOLDER} has a socket on 192.0.2.10, UDP port 67: it gets what relays send there, and netboot does not",
            "stop it (ss -lunp 'sport = :67' names it), or set dhcp.listen: packet",
        ),
        Finding(
            "box.firewall",
            "problem",
            "the firewall (iptables, table filter, chain INPUT) drops TFTP requests (UDP 69) on s0",
            "iptables -t filter -I INPUT -i s0 -p udp -m multiport --dports 69 -j ACCEPT; "
            "save them for the next start, as iptables-save > /etc/iptables/rules.v4",
        ),
        Finding(
            "box.mtu",
            "warning",
            "s0 has the MTU 1400: firmware sends frames of up to 1500 bytes, which may be lost, and "
            "TFTP has blocks of at most 1368 bytes in place of 1468",
            "ip link set dev s0 mtu 1500; set it in the configuration of the network too",
        ),
        Finding(
            "box.dhcp_client",
            "warning",
            "s0 has its address 192.0.2.10 from a DHCP server: if it changes, running installs fail",
            "give s0 the fixed address 192.0.2.10/24 in the configuration of the network, or reserve it",
        ),
        Finding(
            "box.routing",
            "warning",
            "d0 and s0 are both in 192.0.2.0/24: each answers ARP for the address of the other, so machines may "
            "send to the wrong card",
            "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2; "
            "write both into /etc/sysctl.d/90-netboot.conf, or take one card out of this network",
        ),
        Finding(
            "box.networks",
            "problem",
            "the network 192.0.2.128/25 of docker0 overlaps 192.0.2.0/24, the boot LAN on s0: "
            "answers to machines with such an address go to docker0",
            'set "default-address-pools" and "bip" in /etc/docker/daemon.json, then systemctl restart docker',
        ),
    ]


@contextmanager
def faults_of_the_network(appliance: StagedAppliance) -> Iterator[None]:
    ip, rack = appliance.rack.ip, appliance.rack
    appliance.on_appliance("iptables", "-A", "INPUT", "-p", "udp", "--dport", "69", "-j", "DROP")
    ip("link", "set", "s0", "mtu", "1400")
    ip("addr", "change", "192.0.2.10/24", "dev", "s0", "valid_lft", "3600", "preferred_lft", "3600")
    ip("link", "add", "d0", "type", "veth", "peer", "name", "docker0")
    for name, address in (("d0", "192.0.2.20/24"), ("docker0", "192.0.2.129/25")):
        ip("addr", "add", address, "dev", name)
        ip("link", "set", name, "up")
    with ExitStack() as opened:
        for port in (67, 69):
            held = opened.enter_context(rack.server_socket(socket.AF_INET, socket.SOCK_DGRAM))
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("192.0.2.10", port))
        yield
    ip("link", "delete", "d0")
    ip("addr", "change", "192.0.2.10/24", "dev", "s0", "valid_lft", "forever", "preferred_lft", "forever")


def test_a_full_disk_and_a_wrong_clock(appliance: StagedAppliance):
    """The time server is ahead of this clock, and a medium was imported in three days."""
    medium, full = appliance.directory / MEDIUM, appliance.directory / "store/full"
    before = medium.stat()
    resize(appliance, "8m")
    subprocess.run(["dd", "if=/dev/zero", f"of={full}", "bs=64k"], capture_output=True, timeout=10, check=False)
    os.utime(medium, (time.time() + 3 * 86_400,) * 2)
    appliance.ahead_s = 600.0

    full_disk, *clock = reversed(appliance.finds("box"))

    full.unlink()
    resize(appliance, "300m")
    os.utime(medium, (before.st_atime, before.st_mtime))
    appliance.ahead_s = 0.0
    assert appliance.finds("box") == []
    wait_until(lambda: appliance.rack.api("/api/v1/status")["problems"] == [] or None)  # a write that failed
    assert full_disk == Finding(
        "box.disks",
        "problem",
        "DIR/store (the store) has 0 B of free space: no boot and no install can be recorded, and machines wait",
        "free some space: df -h DIR/store; netboot content gc; du -xsh DIR/store/*",
    )
    by_server, by_import = clock
    sentence = f"the clock is 600 s behind the time server {TIME_SERVER}; {BY_THE_CLOCK}"
    assert by_server == Finding("box.clock", "problem", sentence, SET_CLOCK)
    assert by_import.sentence.startswith("the clock is wrong: it has ")
    assert by_import.sentence.endswith(f"before the import of media ol8u10-x86_64; {BY_THE_CLOCK}")
    assert by_import[:2] + by_import[3:] == ("box.clock", "problem", SET_CLOCK)


def resize(appliance: StagedAppliance, size: str) -> None:
    command = ["mount", "-o", f"remount,size={size}", str(appliance.directory / "store")]
    subprocess.run(command, check=True, timeout=10)


def test_faults_of_the_content_and_their_cures(appliance: StagedAppliance):
    """A loader that is cut off, an initrd of another kernel, a damaged summary, an expired Ignition file."""
    expired = appliance.directory / "ign/worker-join.ign"
    written = time.time() - 3 * 86_400
    cut = (IPXE / "snponly.efi").read_bytes()[:-7000]
    with ExitStack() as changes:
        changes.enter_context(appliance.replaced("boot/snponly.efi", cut))
        changes.enter_context(appliance.replaced("ign/worker-join.ign", expired.read_bytes()))
        changes.enter_context(appliance.replaced(f"{MEDIUM}/initrd.img", initrd("5.15.0-2.el8uek.x86_64")))
        (appliance.directory / RELEASE / "summary").write_bytes(b"damaged")
        os.utime(expired, (written, written))
        loader, medium, release, ignition = appliance.finds("content")
        appliance.execute((release.cure or "").replace("DIR", str(appliance.directory)))

    assert appliance.finds("content") == []
    size = (IPXE / "snponly.efi").stat().st_size
    what = f"snponly.efi: it is cut off: 7000 of {size} bytes are missing"
    cure = "download or copy it again whole, then compare its checksum"
    assert loader == Finding("content.loader_files", "problem", what, cure)
    assert medium == Finding(
        "content.media",
        "problem",
        f"boot medium ol8u10-x86_64: the kernel is {KERNEL}, and the initrd has modules of 5.15.0-2.el8uek.x86_64 only",
        "netboot content import-iso FILE --name ol8u10-x86_64, after netboot content remove ol8u10-x86_64",
    )
    assert (release.check, release.level) == ("content.releases", "warning")
    assert release.sentence.startswith("release ock-1.31-amd64: its summary is not served: ")
    assert release.cure == f"ostree summary -u --repo=DIR/{RELEASE}"
    ended = time.strftime("%Y-%m-%d %H:%M", time.gmtime(written + 86_400))
    assert ignition == Finding(
        "content.role_files",
        "problem",
        f"the bootstrap token in DIR/ign/worker-join.ign ended at {ended} UTC, 24 h after the file was written",
        "run ocne cluster join -c byo.yaml -w 1 > FILE and the commands that it prints, then netboot cluster ignition "
        "set worker FILE (--renewed if only the commands were run again)",
    )


def test_a_medium_and_a_loader_that_are_missing(appliance: StagedAppliance):
    medium = appliance.directory / MEDIUM
    with appliance.replaced("boot/snponly.efi", None):
        medium.rename(appliance.directory / "elsewhere")
        found = appliance.finds("content")
        (appliance.directory / "elsewhere").rename(medium)

    assert found[0] == NO_LOADER
    assert found[1:] == [
        Finding(
            "content.hosts",
            "problem",
            "cannot find boot medium ol8u10-x86_64: DIR/content/media/ol8u10-x86_64 is not a directory",
            "netboot content import-iso FILE --name ol8u10-x86_64, or copy vmlinuz, initrd.img and images/install.img "
            "there",
        )
    ]


def test_an_unsigned_loader_and_secure_boot_until_shim_and_grub_are_complete(appliance: StagedAppliance):
    inspect(appliance, secure_boot=True)
    microsoft, vendor = [made.microsoft(2011), made.microsoft(2023)], made.authority("Debian")

    unsigned = appliance.finds("content")
    with (
        appliance.changed(
            "hosts.yaml", lambda text: text.replace("role: worker,", "role: worker, loader: shimx64.efi,")
        ),
        appliance.replaced("boot/shimx64.efi", made.shim(vendor, signers=microsoft)),
    ):
        without = appliance.finds("content")
        with appliance.replaced("boot/grubx64.efi", made.grub(signers=[vendor])):
            complete = appliance.finds("content")
    inspect(appliance, secure_boot=False)

    assert complete == appliance.finds("content") == []
    assert unsigned == [
        Finding(
            "content.secure_boot",
            "problem",
            "w1 (52:54:00:12:34:56) boot with Secure Boot and are offered snponly.efi, which is not signed: "
            "the firmware prints a security violation (Access Denied) and boots its next entry",
            f"set hosts.w1.loader to a shim: {SIGNED_PAIR}; or switch Secure Boot off",
        )
    ]
    assert without == [
        Finding(
            "content.second_stage",
            "problem",
            "shimx64.efi requests grubx64.efi beside itself, and there is none",
            f"put grubx64.efi into a directory of bootfiles.directories: {SIGNED_PAIR}",
        )
    ]


def inspect(appliance: StagedAppliance, *, secure_boot: bool) -> None:
    """Let w1 boot into its inspection and report its firmware."""
    machine = appliance.rack.machine(*W1)
    appliance.rack.netboot("host", "inspect", "w1")
    machine.boots()
    hardware = HARDWARE.format(secure_boot=int(secure_boot))
    assert machine.report(token_in(machine.script(), "inspect"), "inspected", hardware) == 200


def test_a_host_without_a_disk_and_a_file_with_a_fault(appliance: StagedAppliance):
    with appliance.changed("hosts.yaml", lambda text: text.replace(", disk: /dev/vda", "")):
        without_disk = appliance.finds("configuration")
    with appliance.changed("hosts.yaml", lambda text: text.replace("roles:", "rols:")):
        faulty = above_notes(appliance.report("--area", "configuration", status=2), appliance.directory)

    sentence = (
        "DIR/hosts.yaml:{}:3: hosts.{}: cannot render kickstart for {}: "
        "template kickstart/node.ks.j2:26 uses undefined 'disk'"
    )
    assert without_disk == [
        Finding("configuration.hosts", "problem", sentence.format(line, host, host), f"set hosts.{host}.disk")
        for line, host in ((7, "cp1"), (8, "w1"))
    ]
    assert faulty == [
        Finding("configuration.files", "problem", "DIR/hosts.yaml:3:1: rols: no such section", "did you mean roles?")
    ]


def test_a_link_without_carrier(appliance: StagedAppliance):
    lan = appliance.rack.lan
    lan.ip(lan.client, "link", "set", "c0", "down")
    shown = ["ip", "-n", lan.server, "link", "show", "s0"]  # the kernel reports a carrier up to a second late
    wait_until(lambda: "NO-CARRIER" in subprocess.run(shown, capture_output=True, text=True).stdout or None)
    found = appliance.finds("box")
    lan.ip(lan.client, "link", "set", "c0", "up")
    appliance.rack.add_client_address(TIME_SERVER)

    with suppress(OSError):  # the packet socket reports once that its link was down
        appliance.rack.machine(*W1).discover()
    assert found == [
        Finding("box.listening", "warning", "network.interfaces[0]: s0 has no carrier", "check its cable and switch"),
        Finding(
            "box.clock",
            "warning",
            f"the time server {TIME_SERVER} does not answer; nodes and this appliance cannot set their clocks by it",
            "correct ntp of the hosts, or permit UDP 123 to it",
        ),
    ]
