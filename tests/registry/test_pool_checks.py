"""Faults of address pools with each other and with hosts, each with place and cure."""

from datetime import UTC, datetime
from ipaddress import ip_address

from netboot.model.host.address_pool import RecordedAddress
from netboot.model.host.host import HostName

HOSTS = """\
address_pools:
  rack1: {subnet: 192.0.2.0/24, addresses: 192.0.2.40-192.0.2.41}
hosts:
  w1: {role: worker, mac: 52:54:00:00:00:01, network: {pool: rack1}}
"""
W2 = "  w2: {role: worker, mac: 52:54:00:00:00:02, network: {%s}}\n"
W3 = "  w3: {role: worker, mac: 52:54:00:00:00:03, network: {%s}}\n"


def test_a_pool_that_is_not_declared_is_refused_once_where_it_is_named(site):
    site.write("hosts.yaml", HOSTS + "defaults: {network: {pool: rack2}}\n" + "groups: {g: {network: {pool: x}}}\n")

    assert site.faults() == [
        "hosts.yaml:5:28: defaults.network.pool: no pool is called 'rack2'; did you mean rack1?",
        "hosts.yaml:6:30: groups.g.network.pool: no pool is called 'x'; known here: rack1",
    ]


def test_a_pool_that_is_named_where_none_is_declared_is_refused_with_an_example(site):
    site.write("hosts.yaml", "hosts:\n" + W2 % "pool: rack1")

    assert site.faults() == [
        "hosts.yaml:2:62: hosts.w2.network.pool: no pool is called 'rack1'; "
        "declare it: address_pools: {rack1: {subnet: 192.0.2.0/24, addresses: 192.0.2.40-192.0.2.50}}"
    ]


def test_a_pool_with_a_fault_affects_the_hosts_that_name_it_and_no_other(site):
    site.write(
        "hosts.yaml", HOSTS.replace("192.0.2.41", "192.0.3.41") + W2 % "gateway: 192.0.2.1, address: 192.0.2.9/24"
    )

    read = site.read()

    assert [fault.where for fault in read.faults] == ["address_pools.rack1.addresses"]
    assert [host.name for host in read.hosts] == ["w2"]


def test_an_address_of_two_pools_is_refused_at_the_second(site):
    site.write(
        "hosts.yaml",
        """\
        address_pools:
          b: {subnet: 192.0.2.0/24, addresses: "192.0.2.60, 192.0.2.40-192.0.2.50"}
          a: {subnet: 192.0.2.0/25, addresses: "192.0.2.48/29, 192.0.2.33"}
        """,
    )

    assert site.faults() == [
        "hosts.yaml:3:40: address_pools.a.addresses: 192.0.2.48/29 overlaps 192.0.2.40-192.0.2.50 of b "
        "(hosts.yaml:2:40); give each address to one pool"
    ]


def test_a_host_for_which_no_address_is_left_is_refused_at_its_pool(site):
    more = W2 % "pool: rack1" + W3 % "pool: rack1"
    site.write("hosts.yaml", HOSTS + more)

    assert site.faults() == [
        "hosts.yaml:6:62: hosts.w3.network.pool: the pool rack1 has no address left for w3; "
        "add one to address_pools.rack1.addresses"
    ]
    assert [host.name for host in site.read().hosts] == ["w1", "w2"]


def test_a_host_that_inherits_a_pool_without_an_address_left_is_refused_with_both_places(site):
    site.write(
        "hosts.yaml",
        """\
        address_pools: {p: {subnet: 192.0.2.0/24, addresses: 192.0.2.40}}
        defaults: {network: {pool: p}}
        hosts:
          w1: {role: worker, mac: 52:54:00:00:00:01}
          w2: {role: worker, mac: 52:54:00:00:00:02}
        """,
    )

    assert site.faults() == [
        "hosts.yaml:5:27: hosts.w2.mac: the pool p (hosts.yaml:2:28) has no address left for w2; "
        "add one to address_pools.p.addresses"
    ]


def test_a_pool_without_an_ipv6_address_left_is_named(site):
    pool = "p: {subnet: 192.0.2.0/24, addresses: 192.0.2.0/24, subnet6: 2001:db8::/64, addresses6: '2001:db8::1'}"
    hosts = (W2 + W3) % ("pool: p", "pool: p")
    site.write("hosts.yaml", f"address_pools: {{{pool}}}\nhosts:\n{hosts}")

    assert site.faults() == [
        "hosts.yaml:4:62: hosts.w3.network.pool: the pool p has no IPv6 address left for w3; "
        "add one to address_pools.p.addresses6"
    ]


def test_an_own_address_that_another_host_has_from_its_pool_is_refused_and_the_other_keeps_it(site):
    site.write("hosts.yaml", HOSTS + W2 % "address: 192.0.2.40/24")
    address = ip_address("192.0.2.40")
    recorded = {address: RecordedAddress(address, HostName("w1"), datetime(2026, 11, 29, tzinfo=UTC))}

    read = site.read(recorded)

    assert [str(fault) for fault in read.faults] == [
        "hosts.yaml:5:65: hosts.w2.network.address: 192.0.2.40 was allocated to w1 from the pool rack1; "
        "give w2 another address"
    ]
    assert [str(host.network.address) for host in read.hosts] == ["192.0.2.40/24"]


def test_a_gateway_of_a_host_outside_the_subnet_of_its_pool_is_refused(site):
    site.write("hosts.yaml", HOSTS.replace("pool: rack1", "pool: rack1, gateway: 198.51.100.1"))

    assert site.faults() == [
        "hosts.yaml:4:78: hosts.w1.network.gateway: the gateway 198.51.100.1 is outside 192.0.2.0/24; "
        "correct the gateway or the prefix"
    ]
