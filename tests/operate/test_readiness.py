"""Why a host cannot be installed: every reason at once, the same sentences for `check`, `arm` and the API."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

import pytest
from fixtures.installer import arm64_image, bzimage
from fixtures.services import LOADERS, MAC

from netboot.boot.documents.documents import Documents
from netboot.boot.documents.host_content import HostContent
from netboot.content.assets import assets_directory
from netboot.content.bootfiles.directories import BootFiles
from netboot.content.library.record import Record
from netboot.errors import Problem
from netboot.model.boot.boot_client import BootProtocol, Cpu, Machine
from netboot.model.boot.offer import LoaderRule, Policy, UnknownHosts
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.firmware import LocalBootMethod
from netboot.model.host.hardware import Hardware, InspectedDisk
from netboot.model.host.host import Cluster, Host, HostName, HostSet
from netboot.model.host.host_network import HostNetwork
from netboot.model.host.network import DhcpMode
from netboot.model.install.install import Install, InstallState
from netboot.model.release import RemoteRelease
from netboot.operate.planning.host_plan import local_boot_texts
from netboot.operate.readiness import NO_INTERFACE, Readiness, ServerFacts
from netboot.render.template_engine import Engine

NOW = datetime(2026, 11, 21, tzinfo=UTC)
NO_DISK = "cannot render kickstart for cp1: template kickstart/node.ks.j2:26 uses undefined 'disk'"
NO_ADDRESS = (
    "cp1 cannot be identified: dhcp.mode is off, so its DHCP requests are not seen, and it has no registered address; "
    "set hosts.cp1.network.address to the address that the LAN's DHCP server gives it, or set dhcp.mode: proxy"
)


MIXED = (
    "cp1 cannot start what it installs: its boot medium M is for aarch64 and release R is for x86_64; "
    "correct hosts.cp1.boot_media or hosts.cp1.release"
)


@pytest.fixture
def cp1(hosts: HostSet) -> Host:
    return hosts.hosts[HostName("cp1")]


def readiness(content: Path, server: ServerFacts | None = None, policy: Policy | None = None) -> Readiness:
    documents = Documents(Engine([assets_directory() / "templates"]), HostContent(content))
    policy = policy or Policy(UnknownHosts.IGNORE, LOADERS)
    return Readiness(documents, policy, bootfiles=BootFiles([]), server=server or ServerFacts())


def reasons(checked: Readiness, host: Host, machines: Sequence[Machine] = ()) -> list[str]:
    return asyncio.run(checked.reasons(host, machines=machines))


def a_machine(arch: str, vendor_class: str = "PXEClient") -> Machine:
    return Machine(MAC, first_seen=NOW, last_seen=NOW, arch=arch, vendor_class=vendor_class)


def test_a_host_with_everything_in_place_has_no_reason(content: Path, cp1: Host):
    assert reasons(readiness(content), cp1) == []


def test_a_release_of_another_server_need_not_be_here(content: Path, cp1: Host):
    host = replace(cp1, release=RemoteRelease("http://192.0.2.20/ostree", "ock/1.33"))

    assert reasons(readiness(content), host) == []


def test_every_reason_is_listed_and_not_the_first_alone(content: Path, cp1: Host):
    host = replace(cp1, boot_media="ol9", release="ock-2", disk=None, ignition=cp1.ignition and cp1.ignition / "none")

    found = reasons(readiness(content, ServerFacts(DhcpMode.OFF)), host)

    assert [word for word in ("ol9", "ock-2", "disk", "Ignition", "dhcp.mode is off") if word in " ".join(found)] == [
        "ol9",
        "ock-2",
        "disk",
        "Ignition",
        "dhcp.mode is off",
    ]


def test_no_boot_loader_is_a_reason_unless_the_host_names_one(content: Path, cp1: Host):
    checked = readiness(content, policy=Policy(UnknownHosts.IGNORE, {}))

    assert reasons(checked, cp1) == [
        "no UEFI loader below no directory; install the package ipxe, or set bootfiles.directories"
    ]
    assert reasons(checked, replace(cp1, loader="mine.efi")) == []


def test_a_rule_that_names_a_boot_loader_counts_as_one(content: Path, cp1: Host):
    (protocol, cpu), loader = next(iter(LOADERS.items()))
    policy = Policy(UnknownHosts.IGNORE, {}, rules=(LoaderRule(protocol, cpu, loader),))

    assert reasons(readiness(content, policy=policy), cp1) == []


@pytest.mark.parametrize(
    ("arch", "vendor_class"), [("arm64-uefi", "PXEClient:Arch:00011"), ("x64-uefi-http", "HTTPClient:Arch:00016")]
)
def test_a_machine_that_was_seen_needs_a_boot_loader_for_what_it_is(
    content: Path, cp1: Host, arch: str, vendor_class: str
):
    found = reasons(readiness(content), cp1, [a_machine(arch, vendor_class)])

    assert len(found) == 1
    assert found[0].startswith("cp1 gets no boot loader: no loader for ")
    assert reasons(readiness(content), cp1, [a_machine("x64-uefi"), a_machine("x86-bios")]) == []
    assert reasons(readiness(content), cp1, [Machine(MAC, first_seen=NOW, last_seen=NOW)]) == []


def test_a_boot_loader_for_another_cpu_than_the_machine_has_is_a_reason(content: Path, cp1: Host):
    host = replace(cp1, loader="undionly.kpxe")

    assert reasons(readiness(content), host, [a_machine("x64-uefi")]) == [
        "cp1 boots as x64, and its boot loader undionly.kpxe is built for x86-bios; "
        "correct hosts.cp1.loader, or remove it"
    ]


@pytest.mark.parametrize("mode", list(DhcpMode))
def test_only_without_dhcp_requests_does_a_host_need_a_registered_address(content: Path, cp1: Host, mode: DhcpMode):
    with_address = replace(cp1, network=HostNetwork(IPv4Interface("192.0.2.101/24")))
    checked = readiness(content, ServerFacts(mode))

    assert reasons(checked, cp1) == ([NO_ADDRESS] if mode is DhcpMode.OFF else [])
    assert reasons(checked, with_address) == []


def test_a_host_for_which_the_only_dhcp_server_has_no_address_is_not_ready(content: Path, cp1: Host):
    checked = readiness(content, ServerFacts(DhcpMode.RESERVATION, leases_a_pool=False))
    cure = "set hosts.cp1.network.address or network.pool, or dhcp.pool"
    what = (
        "cp1 gets no IPv4 address: dhcp.mode is reservation, dhcp.pool is empty, and the host has no static address on "
        "the boot LAN"
    )
    only_ipv6 = replace(cp1, network=HostNetwork(address6=IPv6Interface("2001:db8::101/64")))
    with_address = replace(cp1, network=HostNetwork(IPv4Interface("192.0.2.101/24")))

    assert reasons(checked, cp1) == [f"{what}; {cure}"]
    assert reasons(checked, only_ipv6) == [f"{what}, and IPv6 alone is not possible; {cure}"]
    assert reasons(checked, with_address) == []
    assert reasons(readiness(content, ServerFacts(DhcpMode.RESERVATION)), only_ipv6) == []


def test_without_dhcp_the_boot_loader_is_the_business_of_another_server(content: Path, cp1: Host):
    host = replace(cp1, network=HostNetwork(IPv4Interface("192.0.2.101/24")))
    checked = readiness(content, ServerFacts(DhcpMode.OFF), Policy(UnknownHosts.IGNORE, {}))

    assert reasons(checked, host) == []


def test_a_fault_of_a_file_is_a_reason_for_the_hosts_that_it_names(content: Path, cp1: Host):
    def fault(where: str) -> Problem:
        return Problem("hosts.yaml", 3, 5, where, "there is no x.efi", "put it there")

    faults = (fault("hosts.cp1.loader"), fault("hosts.cp10.loader"), fault("bootfiles.loaders[0].loader"))

    assert reasons(readiness(content, ServerFacts(faults=faults)), cp1) == [str(faults[0]), str(faults[2])]


@pytest.mark.parametrize(
    ("kernel", "release", "arch", "reason"),
    [
        (bzimage("5.15"), "amd64", "x64-uefi", None),
        (arm64_image("5.15"), "arm64", "arm64-uefi", None),
        (
            b"unknown",
            "amd64",
            "arm64-uefi",
            "cp1 boots as aarch64, and its release R is for x86_64; correct hosts.cp1.release",
        ),
        (
            bzimage("5.15"),
            "",
            "arm64-uefi",
            "cp1 boots as aarch64, and its boot medium M is for x86_64; correct hosts.cp1.boot_media",
        ),
        (arm64_image("5.15"), "amd64", "", MIXED),
    ],
)
def test_medium_release_and_machine_are_of_one_architecture(
    content: Path, cp1: Host, tmp_path: Path, kernel: bytes, release: str, arch: str, reason: str | None
):
    own = tmp_path / "own"
    shutil.copytree(content, own)
    (own / "media" / str(cp1.boot_media) / "vmlinuz").write_bytes(kernel)
    Record("a.tar", "0" * 64, NOW.isoformat(), architecture=release).write(own / "ostree" / str(cp1.release))
    policy = Policy(UnknownHosts.IGNORE, LOADERS | {(BootProtocol.PXE, Cpu.ARM64): "snponly-arm64.efi"})

    found = reasons(readiness(own, policy=policy), cp1, [a_machine(arch)] if arch else [])

    names = {f" {cp1.boot_media} ": " M ", f" {cp1.release} ": " R "}
    for name, short in names.items():
        found = [each.replace(name, short) for each in found]
    assert found == ([reason] if reason else [])


def test_a_machine_that_booted_as_bios_last_is_a_warning(content: Path, cp1: Host):
    bios, later = a_machine("x86-bios"), replace(a_machine("x64-uefi"), last_seen=NOW.replace(hour=1))
    install, cluster = Install(cp1.name), Cluster("rackone", "cp2")
    checked = readiness(content)

    assert checked.warnings(cp1, install, cluster, machines=[bios]) == [
        "cp1 booted as BIOS at 2026-11-21 00:00 UTC, and OCK starts by UEFI only; set the machine's firmware to UEFI"
    ]
    assert checked.warnings(cp1, install, cluster, machines=[bios, later]) == []


def test_a_local_boot_that_does_not_fit_the_firmware_of_the_machine_is_a_warning(content: Path, cp1: Host):
    install, cluster, machines = Install(cp1.name), Cluster("rackone", "cp2"), [a_machine("x64-uefi")]
    grub, fits = replace(cp1, local_boot=LocalBootMethod.GRUB), replace(cp1, local_boot=LocalBootMethod.EXIT)
    checked = readiness(content)
    what = "hosts.cp1.local_boot: grub does not fit pxe/x64, so it is not used"
    cure = "choose one of no-file, exit, sanboot, no-offer, or set its loader to shim or GRUB"

    assert checked.warnings(grub, install, cluster, machines=machines) == [f"{what}; {cure}"]
    assert checked.warnings(fits, install, cluster, machines=machines) == []
    assert local_boot_texts(grub, Policy(UnknownHosts.IGNORE, LOADERS), {})["UEFI x64, PXE"] == (
        f"no-file: {what}; {cure}"
    )


def test_an_operator_is_warned_of_what_an_install_would_destroy_and_of_a_server_that_does_not_answer(
    content: Path, cp1: Host
):
    cluster, w1 = Cluster("rackone", "cp1"), replace(cp1, name=HostName("w1"))
    quiet = readiness(content, ServerFacts(DhcpMode.LISTEN, names_interfaces=False))

    assert readiness(content).warnings(cp1, Install(cp1.name), Cluster("rackone", "cp2")) == []
    assert readiness(content).warnings(cp1, Install(cp1.name, InstallState.READY), cluster) == [
        "cp1 is ready: a node that may be running; its next install wipes the disk",
        "cp1 is cluster.init: its installed system starts a new cluster rackone",
    ]
    assert readiness(content).warnings(w1, Install(w1.name).armed(at=NOW, reason="new disk", attempts=3), cluster) == [
        "w1 was armed already at 2026-11-21 00:00 (new disk); the new arming replaces that one"
    ]
    assert quiet.warnings(cp1, Install(cp1.name), Cluster("rackone")) == [
        "dhcp.mode is listen, so no machine is offered a boot loader; "
        "set dhcp.mode: proxy, or let the LAN's DHCP server name this server",
        NO_INTERFACE,
    ]


SDA = InspectedDisk("sda", 480_000_000_000, False, False, False, serials=("S1",))


@pytest.mark.parametrize(
    ("disk", "disks", "expected"),
    [
        (DiskRule(serial="S1"), (SDA,), []),
        (None, (), [NO_DISK]),
        (
            DiskRule(serial="S2"),
            (SDA, replace(SDA, name="sdb")),
            ["no disk fits hosts.cp1.disk (serial S2) among the disks of its last inspection (sda, sdb)"],
        ),
        (
            DiskRule(serial="S1"),
            (SDA, replace(SDA, name="sdb")),
            ["sda and sdb all fit hosts.cp1.disk (serial S1) among the disks of its last inspection (sda, sdb)"],
        ),
        ("/dev/vda", (), ["no disk fits hosts.cp1.disk (/dev/vda) among the disks of its last inspection (none)"]),
    ],
    ids=str,
)
def test_a_disk_that_is_not_exactly_one_of_the_inspected_ones_is_a_reason(
    content: Path, cp1: Host, disk: DiskRule | str | None, disks: Sequence[InspectedDisk], expected: list[str]
):
    host = replace(cp1, disk=disk)
    checked = readiness(content)

    found = asyncio.run(checked.reasons(host, hardware=Hardware("uefi", disks=disks)))

    assert [reason.partition("; ")[0] for reason in found] == expected
    assert all(reason.endswith("netboot host inspect cp1") for reason in found if "inspection" in reason)


@pytest.mark.parametrize(
    ("policy", "is_registered", "expected"),
    [
        (Policy(UnknownHosts.INSPECT, LOADERS, inspect_media="ol8u10-x86_64"), False, []),
        (Policy(UnknownHosts.IGNORE, LOADERS), True, []),
        (
            Policy(UnknownHosts.IGNORE, LOADERS),
            False,
            [
                "no boot medium is named for it; set hosts.inspect_media",
                "unregistered machines get no reply; set hosts.unknown: wait, or inspect",
            ],
        ),
    ],
)
def test_why_a_machine_cannot_be_inspected(
    content: Path, cp1: Host, policy: Policy, is_registered: bool, expected: list[str]
):
    medium, found = asyncio.run(readiness(content, policy=policy).inspection(cp1 if is_registered else None))

    assert found == expected
    assert (medium is None) == (expected != [])


def test_a_medium_that_cannot_be_served_inspects_no_machine(content: Path):
    policy = Policy(UnknownHosts.INSPECT, LOADERS, inspect_media="ol99")

    medium, found = asyncio.run(readiness(content, policy=policy).inspection(None))

    assert medium == "ol99"
    assert len(found) == 1
    assert "ol99" in found[0]
