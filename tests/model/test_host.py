"""Hosts are found by name, by each card and by their address."""

from ipaddress import IPv4Address, IPv4Interface

import pytest

from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.host_network import Bond, HostNetwork
from netboot.model.host.mac import Mac

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
