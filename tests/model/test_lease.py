"""A range of addresses has both of its ends."""

from datetime import UTC
from ipaddress import IPv4Address, IPv4Network

from netboot.model.clock import utc_now
from netboot.model.lease import AddressRange, is_address_in

FIRST, SECOND, THIRD = (IPv4Address(f"192.0.2.{number}") for number in (1, 2, 3))


def test_a_range_has_both_of_its_ends():
    pair, single = AddressRange(FIRST, SECOND), AddressRange(FIRST, FIRST)

    assert (str(pair), list(pair), len(pair)) == ("192.0.2.1-192.0.2.2", [FIRST, SECOND], 2)
    assert (str(single), list(single), len(single)) == ("192.0.2.1", [FIRST], 1)
    assert [address in pair for address in (FIRST, SECOND, THIRD)] == [True, True, False]


def test_a_machine_may_have_no_network_address_and_no_broadcast_address():
    networks = [IPv4Network("192.0.2.0/24"), IPv4Network("203.0.113.0/31")]
    wanted = ["192.0.2.0", "192.0.2.255", "192.0.2.1", "203.0.113.0", "198.51.100.1"]

    assert [is_address_in(networks, IPv4Address(each)) for each in wanted] == [False, False, True, True, False]


def test_the_time_of_day_is_utc():
    assert utc_now().tzinfo is UTC
