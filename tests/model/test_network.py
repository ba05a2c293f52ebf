"""The address from which an interface answers."""

from ipaddress import IPv4Address, IPv4Interface

from netboot.model.host.network import InterfaceAddress, choose_address, ipv4_of

FIRST = InterfaceAddress(IPv4Interface("192.0.2.10/24"))
SECONDARY = InterfaceAddress(IPv4Interface("192.0.2.11/24"), is_secondary=True)
HOST_ROUTE = InterfaceAddress(IPv4Interface("192.0.2.250/32"))


def test_the_wanted_address_is_chosen():
    assert choose_address([FIRST, SECONDARY], IPv4Address("192.0.2.11")) == IPv4Address("192.0.2.11")


def test_the_first_primary_address_of_a_network_is_chosen():
    assert choose_address([HOST_ROUTE, SECONDARY, FIRST], None) == IPv4Address("192.0.2.10")
    assert choose_address([HOST_ROUTE, SECONDARY], None) == IPv4Address("192.0.2.11")


def test_a_host_route_is_chosen_if_there_is_nothing_else():
    assert choose_address([HOST_ROUTE], None) == IPv4Address("192.0.2.250")


def test_a_peer_has_an_ipv4_address_or_none_of_ours():
    assert ipv4_of("192.0.2.50") == IPv4Address("192.0.2.50")
    assert [ipv4_of(peer) for peer in ("fe80::1", "::ffff:192.0.2.50", "")] == [None, None, None]
