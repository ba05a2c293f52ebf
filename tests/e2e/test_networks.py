"""The real NetworkManager configures a guest's cards from the keyfiles of every form of network: bonds, VLANs, IPv6."""

import json
import subprocess
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from fixtures.keyfiles import keyfiles

from netboot.content.assets import assets_directory
from netboot.lab.media.installed import REF
from netboot.lab.media.kernel import Kernel
from netboot.lab.media.roots import add_file, make_root, pack_initrd, run
from netboot.lab.media.stand_ins import MEDIUM, RELEASE, build_media
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.host_network import Bond, HostNetwork, Route
from netboot.model.host.mac import Mac
from netboot.model.release import EntryKind
from netboot.render.template_engine import Engine

pytestmark = pytest.mark.e2e

MACS: Final = (Mac.parse("52:54:00:aa:bb:02"), Mac.parse("52:54:00:aa:bb:12"))
MODULES: Final = "lib/netboot/modules"
GUEST_S: Final = 120  # about 10 s on an idle machine
BUS: Final = """\
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/></policy></busconfig>
"""
SETTINGS: Final = "[main]\nplugins=keyfile\ndns=none\nno-auto-default=*\n"

V4 = HostNetwork(address=IPv4Interface("192.0.2.101/24"), gateway=IPv4Address("192.0.2.1"))
DUAL = HostNetwork(
    address=V4.address,
    gateway=V4.gateway,
    nameservers=(IPv4Address("192.0.2.2"), IPv6Address("2001:db8::2")),
    address6=IPv6Interface("2001:db8::101/64"),
    gateway6=IPv6Address("fe80::1"),
    search=("rack.example.org",),
    mtu_bytes=1400,
    routes=(Route(IPv4Network("198.51.100.0/24"), IPv4Address("192.0.2.254")),),
)
BOND = HostNetwork(address=V4.address, gateway=V4.gateway, bond=Bond("active-backup", {"miimon": "100"}))


class Device(NamedTuple):
    """What the kernel has of one card, bond or VLAN."""

    kind: str | None
    controller: str | None
    mtu: int
    addresses: tuple[str, ...] = ()


NETWORKS: Final = {
    "static": V4,
    "dual": DUAL,
    "named": HostNetwork(address=V4.address, interface="eth1"),
    "bond": BOND,
    "vlan": HostNetwork(address=V4.address, vlan=120),
    "bond-vlan": HostNetwork(address=V4.address, address6=DUAL.address6, bond=BOND.bond, vlan=120, interface="team0"),
}


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Boot one guest with two cards; return what it printed of each network."""
    directory = tmp_path_factory.mktemp("networks")
    image, kernel = lab_kernel(directory / "kernel")
    root = make_root(directory / "root", "NetworkManager", "nm-online", "dbus-daemon", "ip")
    kernel.add_modules(root, ("virtio_pci", "virtio_net", "bonding", "8021q"))
    run("unxz", *(root / MODULES).glob("*.ko.xz"))
    add_file(root, "init", Path(__file__).parent / "networks_init", mode=0o755)
    engine = Engine([assets_directory() / "templates"])
    for name, network in NETWORKS.items():
        host = Host(HostName("cp1"), Role.CONTROL_PLANE, MACS, network=network)
        write(root / "networks" / name, keyfiles(engine, host))
    write(root / "etc", {"bus.conf": BUS, "passwd": "root:x:0:0:root:/:/bin/sh\n"})
    write(root / "etc/NetworkManager", {"NetworkManager.conf": SETTINGS})
    pack_initrd(root, directory / "initrd")
    cards = [
        *("-netdev", "hubport,id=n0,hubid=0", "-device", f"virtio-net-pci,netdev=n0,romfile=,mac={MACS[0]}"),
        *("-netdev", "hubport,id=n1,hubid=0", "-device", f"virtio-net-pci,netdev=n1,romfile=,mac={MACS[1]}"),
    ]
    guest = subprocess.run(
        [
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-m", "512"),
            *("-serial", "stdio", "-kernel", str(image), "-initrd", str(directory / "initrd")),
            *("-append", "console=ttyS0 quiet no_timer_check", *cards),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUEST_S,
        check=True,
    )
    return dict(line[4:].split(" ", 1) for line in guest.stdout.splitlines() if line.startswith("=== "))


def read_network(printed: str) -> tuple[dict[str, Device], dict[str, str]]:
    """Return the devices that have an address or a controller, and the way to each network that is not attached."""
    decoder, at, parts = json.JSONDecoder(), 0, []
    while at < len(printed) and printed[at] == "[":
        part, at = decoder.raw_decode(printed, at)
        parts.append(part)
    devices, *routes = parts
    found = {
        each["ifname"]: Device(
            each.get("linkinfo", {}).get("info_kind"), each.get("master"), each["mtu"], global_addresses(each)
        )
        for each in devices
        if each["ifname"] != "lo"
    }
    ways = {
        f"{each['dst']} {'v6' if routed is routes[1] else 'v4'}": f"{each['gateway']} {each['dev']}"
        for routed in routes
        for each in routed
        if "gateway" in each
    }
    return {name: device for name, device in found.items() if device.addresses or device.controller}, ways


def global_addresses(device: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{each['local']}/{each['prefixlen']}" for each in device["addr_info"] if each["scope"] == "global")


def lab_kernel(directory: Path) -> tuple[Path, Kernel]:
    """Take the kernel of the lab's medium, and its modules out of the lab's release."""
    content = build_media(print)
    repository, modules = EntryKind.RELEASE.path(content, RELEASE), directory / "lib/modules"
    modules.parent.mkdir(parents=True)
    options = ("--user-mode", "--disable-cache", "--subpath=/usr/lib/modules")  # a cache would be in the lab's release
    run("ostree", "checkout", f"--repo={repository}", *options, REF, modules)
    kernel = Kernel(directory, next(modules.iterdir()).name)
    run("depmod", "-b", directory, kernel.version)
    return EntryKind.MEDIUM.path(content, MEDIUM) / "vmlinuz", kernel


def write(directory: Path, files: Mapping[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)


V4_ADDRESS, V6_ADDRESS = "192.0.2.101/24", "2001:db8::101/64"
EXPECTED: Final = {
    "static": ({"eth0": Device(None, None, 1500, (V4_ADDRESS,))}, {"default v4": "192.0.2.1 eth0"}),
    "dual": (
        {"eth0": Device(None, None, 1400, (V4_ADDRESS, V6_ADDRESS))},
        {
            "default v4": "192.0.2.1 eth0",
            "198.51.100.0/24 v4": "192.0.2.254 eth0",
            "default v6": "fe80::1 eth0",
        },
    ),
    "named": ({"eth1": Device(None, None, 1500, (V4_ADDRESS,))}, {}),
    "bond": (
        {
            "eth0": Device(None, "bond0", 1500),
            "eth1": Device(None, "bond0", 1500),
            "bond0": Device("bond", None, 1500, (V4_ADDRESS,)),
        },
        {"default v4": "192.0.2.1 bond0"},
    ),
    "vlan": ({"vlan120": Device("vlan", None, 1500, (V4_ADDRESS,))}, {}),
    "bond-vlan": (
        {
            "eth0": Device(None, "team0", 1500),
            "eth1": Device(None, "team0", 1500),
            "team0.120": Device("vlan", None, 1500, (V4_ADDRESS, V6_ADDRESS)),
        },
        {},
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networkmanager_makes_the_devices_addresses_and_routes(configured: Mapping[str, str], name: str):
    assert read_network(configured[name]) == EXPECTED[name]


def test_an_active_backup_bond_has_one_active_card(configured: Mapping[str, str]):
    assert configured["bond"].rpartition('"active":')[2] == "eth0"
