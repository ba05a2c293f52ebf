"""The keyfiles of every form of network."""

import subprocess
from configparser import ConfigParser
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface

import pytest
from fixtures.keyfiles import keyfiles

from netboot.model.host.host import Host
from netboot.model.host.host_network import Bond, HostNetwork, Route
from netboot.render import kernel_line
from netboot.render.template_engine import Engine

STATIC = HostNetwork(
    address=IPv4Interface("192.0.2.101/24"),
    gateway=IPv4Address("192.0.2.1"),
    nameservers=(IPv4Address("192.0.2.2"), IPv6Address("2001:db8::2")),
)
DUAL = replace(
    STATIC,
    interface="enp1s0",
    address6=IPv6Interface("2001:db8::101/64"),
    gateway6=IPv6Address("fe80::1"),
    search=("rack.example.org", "example.org"),
    mtu_bytes=9000,
    routes=(Route(IPv4Network("198.51.100.0/24"), IPv4Address("192.0.2.254")),),
)
BOND = replace(STATIC, bond=Bond("active-backup", {"miimon": "100"}))

ETHERNET_PORT = """\
[connection]
id=bond0-port{number}
type=ethernet
autoconnect-priority=10
master=bond0
slave-type=bond

[ethernet]
mac-address={mac}
"""
BOND_FILE = """\
[connection]
id=bond0
type=bond
interface-name=bond0
autoconnect-priority=10

[ethernet]

[bond]
mode=active-backup
miimon=100
"""
ADDRESSES = """\

[ipv4]
method=manual
address1=192.0.2.101/24,192.0.2.1
dns=192.0.2.2;
may-fail=false

[ipv6]
method=auto
dns=2001:db8::2;
"""
DUAL_FILE = """\
[connection]
id=enp1s0
type=ethernet
interface-name=enp1s0
autoconnect-priority=10

[ethernet]
mtu=9000

[ipv4]
method=manual
address1=192.0.2.101/24,192.0.2.1
dns=192.0.2.2;
dns-search=rack.example.org;example.org;
route1=198.51.100.0/24,192.0.2.254
may-fail=false

[ipv6]
method=manual
address1=2001:db8::101/64,fe80::1
dns=2001:db8::2;
dns-search=rack.example.org;example.org;
"""


def test_a_dual_stack_with_routes_search_domains_and_mtu(engine: Engine, cp1: Host):
    assert keyfiles(engine, replace(cp1, network=DUAL)) == {"enp1s0.nmconnection": DUAL_FILE}


def test_a_bond_of_every_card(engine: Engine, cp2: Host):
    files = keyfiles(engine, replace(cp2, network=BOND))

    macs = ("52:54:00:AA:BB:02", "52:54:00:AA:BB:12", "52:54:00:AA:BB:22")
    ports = {f"bond0-port{n}.nmconnection": ETHERNET_PORT.format(number=n, mac=mac) for n, mac in enumerate(macs)}
    assert files == ports | {"bond0.nmconnection": BOND_FILE + ADDRESSES}


def test_a_vlan_on_a_bond_has_the_addresses_and_the_bond_has_none(engine: Engine, cp2: Host):
    files = keyfiles(engine, replace(cp2, network=replace(BOND, vlan=120)))

    assert list(files)[-2:] == ["bond0.nmconnection", "bond0.120.nmconnection"]
    assert files["bond0.nmconnection"].endswith("miimon=100\n\n[ipv4]\nmethod=disabled\n\n[ipv6]\nmethod=disabled\n")
    assert files["bond0.120.nmconnection"] == (
        "[connection]\nid=bond0.120\ntype=vlan\ninterface-name=bond0.120\nautoconnect-priority=10\n\n"
        "[ethernet]\n\n[vlan]\nid=120\nparent=bond0\n" + ADDRESSES
    )


def test_a_vlan_on_a_card_without_a_name_has_the_uuid_of_its_connection_as_parent(engine: Engine, cp1: Host):
    files = keyfiles(engine, replace(cp1, network=replace(STATIC, vlan=120)))

    card, vlan = files["netboot.nmconnection"], files["vlan120.nmconnection"]
    uuid = next(line for line in card.splitlines() if line.startswith("uuid=")).removeprefix("uuid=")
    assert f"parent={uuid}\n" in vlan
    assert "mac-address=52:54:00:AA:BB:01\n" in card
    assert "method=disabled" in card


@pytest.mark.parametrize(
    "network",
    [
        HostNetwork(),
        HostNetwork(nameservers=STATIC.nameservers, search=("example.org",)),
        STATIC,
        DUAL,
        replace(DUAL, vlan=120),
        replace(DUAL, interface=None, vlan=4094),
        BOND,
        replace(BOND, bond=Bond("802.3ad", {"lacp_rate": "fast", "xmit_hash_policy": "layer3+4", "miimon": "50"})),
        replace(BOND, interface="team0", vlan=7, mtu_bytes=1400),
    ],
    ids=["dhcp", "dhcp-dns", "static", "dual", "vlan", "vlan-on-any", "bond", "lacp", "bond-vlan-mtu"],
)
def test_networkmanager_reads_every_value_of_a_keyfile(engine: Engine, cp2: Host, network: HostNetwork):
    for name, text in keyfiles(engine, replace(cp2, network=network)).items():
        read = subprocess.run(
            ["nmcli", "--offline", "connection", "modify"], input=text, capture_output=True, text=True, timeout=20
        )

        assert (read.returncode, read.stderr) == (0, ""), name
        assert values(text) - values(read.stdout) == set(), name


def values(keyfile: str) -> set[tuple[str, str, str]]:
    parser = ConfigParser(interpolation=None, delimiters=("=",))
    parser.read_string(keyfile)
    return {(section, key, value) for section in parser.sections() for key, value in parser[section].items()}


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (
            DUAL,
            [
                "ip=192.0.2.101::192.0.2.1:255.255.255.0:cp2:enp1s0:none:9000",
                "nameserver=192.0.2.2",
                "rd.route=198.51.100.0/24:192.0.2.254",
            ],
        ),
        (
            BOND,
            [
                "ifname=lan0:52:54:00:aa:bb:02",
                "ifname=lan1:52:54:00:aa:bb:12",
                "ifname=lan2:52:54:00:aa:bb:22",
                "bond=bond0:lan0,lan1,lan2:mode=active-backup,miimon=100",
                "ip=192.0.2.101::192.0.2.1:255.255.255.0:cp2:bond0:none",
                "nameserver=192.0.2.2",
            ],
        ),
        (
            replace(STATIC, vlan=120),
            [
                "ifname=lan:52:54:00:aa:bb:02",
                "vlan=vlan120:lan",
                "ip=192.0.2.101::192.0.2.1:255.255.255.0:cp2:vlan120:none",
                "nameserver=192.0.2.2",
            ],
        ),
        (
            HostNetwork(interface="enp1s0", vlan=120, mtu_bytes=1400),
            ["vlan=enp1s0.120:enp1s0", "ip=enp1s0.120:dhcp:1400"],
        ),
    ],
    ids=["dual-stack", "bond", "vlan", "vlan-by-dhcp"],
)
def test_the_first_boot_has_the_same_devices(cp2: Host, network: HostNetwork, expected: list[str], base_url: str):
    arguments = kernel_line.installed(replace(cp2, network=network), mac=cp2.mac, base_url=base_url, ignition_token="i")

    assert list(arguments[1 : arguments.index("rd.neednet=1")]) == expected


def test_the_installer_boots_by_dhcp_if_the_address_is_in_a_vlan(cp2: Host, base_url: str):
    host = replace(cp2, network=replace(BOND, vlan=120))

    arguments = kernel_line.installer(host, mac=cp2.mac, base_url=base_url, kickstart_token="k")

    assert [word for word in arguments if word.startswith(("ip=", "bond=", "BOOTIF="))] == [
        "ip=dhcp",
        "BOOTIF=01-52-54-00-aa-bb-02",
    ]
