"""The addresses of a pool that a host can have."""

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import islice

import pytest

from netboot.model.host.address_pool import AddressPool, AddressSpan, Allocation, RecordedAddress, unusable
from netboot.model.host.host import HostName

W1 = HostName("w1")
FIRST, LAST = IPv4Address("192.0.2.254"), IPv4Address("192.0.2.255")
NETWORK = IPv4Network("192.0.2.0/24")


def span(first: str, last: str) -> AddressSpan:
    return AddressSpan(ip_address(first), ip_address(last), f"{first}-{last}")


def test_the_addresses_of_all_spans_are_in_order_without_those_that_no_host_can_have():
    pool = AddressPool(NETWORK, [span("192.0.2.254", "192.0.2.255"), span("192.0.2.0", "192.0.2.2")])

    assert list(map(str, pool.addresses())) == ["192.0.2.1", "192.0.2.2", "192.0.2.254"]
    assert [
        str(address)
        for address in map(ip_address, ("192.0.2.2", "192.0.2.3", "192.0.2.0", "::c000:202"))
        if address in pool
    ] == ["192.0.2.2"]


def test_a_large_pool_is_not_expanded():
    pool = AddressPool(IPv6Network("2001:db8::/64"), [span("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff")])

    assert list(map(str, islice(pool.addresses(), 2))) == ["2001:db8::1", "2001:db8::2"]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("192.0.2.0/24", {IPv4Address("192.0.2.0"): "network", IPv4Address("192.0.2.255"): "broadcast"}),
        ("192.0.2.0/31", {}),
        ("192.0.2.1/32", {}),
        ("2001:db8::/64", {IPv6Address("2001:db8::"): "router anycast"}),
        ("2001:db8::/127", {}),
    ],
)
def test_network_broadcast_and_anycast_addresses_belong_to_no_host(network: str, expected: dict[object, str]):
    assert unusable(ip_network(network)) == expected


def test_spans_overlap_if_they_share_an_address_and_are_shown_as_they_were_written():
    middle = span("192.0.2.40", "192.0.2.50")

    overlaps = [
        middle.overlaps(span(*ends))
        for ends in (("192.0.2.30", "192.0.2.40"), ("192.0.2.50", "192.0.2.60"), ("192.0.2.51", "192.0.2.60"))
    ]
    assert overlaps == [True, True, False]
    assert str(middle) == "192.0.2.40-192.0.2.50"


def test_a_row_of_the_store_is_an_address_of_a_host_since_a_time():
    recorded = RecordedAddress.parse("192.0.2.254", "w1", "2026-11-29T08:00:00+00:00")

    assert recorded == RecordedAddress(FIRST, W1, datetime(2026, 11, 29, 8, tzinfo=UTC))


def test_an_allocation_is_recorded_if_the_store_has_it_for_the_same_host():
    recorded = RecordedAddress.parse("192.0.2.254", "w1", "2026-11-29T08:00:00+00:00")

    assert Allocation(FIRST, W1, recorded).is_recorded
    assert not Allocation(FIRST, HostName("w2"), recorded).is_recorded
    assert not Allocation(LAST, W1).is_recorded
