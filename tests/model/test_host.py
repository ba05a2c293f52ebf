"""Hosts are found by name, by each card and by their address."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from netboot.errors import UnknownHostError
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.host_network import Bond, HostNetwork
from netboot.model.host.mac import Mac
from netboot.model.release import RemoteRelease

A, B, C = (Mac(f"52:54:00:aa:bb:0{number}") for number in (1, 2, 3))
CP1 = Host(
    HostName("cp1"),
    Role.CONTROL_PLANE,
    (A, B),
    ntp=("192.0.2.1", "pool.example.org"),
    network=HostNetwork(IPv4Interface("192.0.2.101/24")),
)
W1 = Host(HostName("w1"), Role.WORKER, (C,))
HOSTS = HostSet.of(Cluster("rackone", "cp1"), [CP1, W1])


def test_a_host_is_found_by_name_card_and_address():
    assert (len(HOSTS), list(HOSTS)) == (2, [CP1, W1])
    assert [HOSTS.get(name) for name in ("cp1", "w1", "nobody")] == [CP1, W1, None]
    assert [HOSTS.by_mac(mac) for mac in (A, B, C, Mac("52:54:00:aa:bb:04"))] == [CP1, CP1, W1, None]
    found = [HOSTS.by_address(IPv4Address(address)) for address in ("192.0.2.101", "192.0.2.102")]
    assert found == [CP1, None]


def test_a_name_that_is_not_registered_is_refused_with_those_that_are():
    assert HOSTS.named("w1") is W1
    with pytest.raises(UnknownHostError, match=r"^no host is called nobody; the registry has: cp1, w1$"):
        HOSTS.named("nobody")
    with pytest.raises(UnknownHostError, match=r"^no host is called w1; the registry has: none$"):
        HostSet.of(Cluster("rackone"), []).named("w1")


def test_the_installed_system_has_its_own_name_or_that_of_the_host():
    assert (W1.system_name, replace(W1, hostname="w1.example.org").system_name) == ("w1", "w1.example.org")


def test_a_release_of_another_server_is_not_one_of_this_appliance():
    remote = RemoteRelease("https://ostree.example.org/ock", "ock-1.31")

    assert [replace(W1, release=each).local_release for each in ("ock-1.31", remote, None)] == ["ock-1.31", None, None]
    assert str(remote) == "ock-1.31 of https://ostree.example.org/ock"


def test_a_host_has_a_first_card_addresses_and_time_servers_by_address():
    assert (CP1.mac, CP1.addresses, CP1.ntp_addresses) == (
        A,
        {IPv4Address("192.0.2.101")},
        (IPv4Address("192.0.2.1"),),
    )
    assert (W1.mac, W1.addresses, W1.ntp_addresses) == (C, frozenset(), ())


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({}, {"mode": "802.3ad", "miimon": "100"}),
        ({"miimon": "50"}, {"mode": "802.3ad", "miimon": "50"}),
        ({"arp_interval": "200"}, {"mode": "802.3ad", "arp_interval": "200"}),
    ],
)
def test_a_bond_checks_its_links_unless_an_option_sets_another_check(options: dict[str, str], settings: dict[str, str]):
    assert Bond("802.3ad", options).settings == settings


ADDRESS, BOND = IPv4Interface("192.0.2.101/24"), Bond("802.3ad")


@pytest.mark.parametrize(
    ("network", "carrier", "device", "boot_address"),
    [
        (HostNetwork(ADDRESS), None, None, ADDRESS),
        (HostNetwork(ADDRESS, interface="eno1"), "eno1", "eno1", ADDRESS),
        (HostNetwork(ADDRESS, bond=BOND), "bond0", "bond0", ADDRESS),
        (HostNetwork(ADDRESS, bond=BOND, interface="team"), "team", "team", ADDRESS),
        (HostNetwork(ADDRESS, vlan=7), None, "vlan7", None),
        (HostNetwork(ADDRESS, vlan=7, interface="eno1"), "eno1", "eno1.7", None),
        (HostNetwork(ADDRESS, vlan=7, bond=BOND), "bond0", "bond0.7", None),
    ],
)
def test_the_addresses_are_of_the_card_the_bond_or_its_vlan(
    network: HostNetwork, carrier: str | None, device: str | None, boot_address: IPv4Interface | None
):
    assert (network.carrier, network.device, network.boot_address) == (carrier, device, boot_address)
