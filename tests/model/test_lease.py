"""A range of addresses has both of its ends; a lease replaces another one only if no other client has it."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network

import pytest

from netboot.model.clock import utc_now
from netboot.model.host.mac import Mac
from netboot.model.lease import AddressRange, Lease, LeaseState, is_address_in

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


MAC, OTHER_MAC = Mac("52:54:00:aa:bb:01"), Mac("52:54:00:aa:bb:02")
LEASE = Lease(FIRST, "id:ours", MAC, LeaseState.BOUND, 3600, datetime(2026, 11, 30, 7, tzinfo=UTC))
EXPIRED = replace(LEASE, state=LeaseState.EXPIRED)
RENEWED = replace(LEASE, ends_at=datetime(2026, 11, 30, 8, tzinfo=UTC))


@pytest.mark.parametrize(
    ("lease", "stored", "known", "expected"),
    [
        pytest.param(LEASE, None, None, True, id="free"),
        pytest.param(LEASE, None, EXPIRED, True, id="free-by-now"),
        pytest.param(EXPIRED, LEASE, LEASE, True, id="as-it-was-known"),
        pytest.param(EXPIRED, RENEWED, LEASE, False, id="renewed-elsewhere"),
        pytest.param(RENEWED, LEASE, None, True, id="of-the-same-client-and-card"),
        pytest.param(LEASE, replace(LEASE, client="id:theirs"), None, False, id="of-another-client"),
        pytest.param(LEASE, replace(LEASE, mac=OTHER_MAC), None, False, id="of-another-card"),
        pytest.param(LEASE, replace(LEASE, client="x", state=LeaseState.EXPIRED), None, True, id="expired"),
        pytest.param(LEASE, replace(LEASE, client="x", state=LeaseState.RELEASED), None, True, id="released"),
        pytest.param(LEASE, replace(LEASE, state=LeaseState.DECLINED), None, False, id="declined-elsewhere"),
    ],
)
def test_a_lease_is_stored_unless_another_appliance_leased_the_address_meanwhile(
    lease: Lease, stored: Lease | None, known: Lease | None, expected: bool
):
    assert lease.may_replace(stored, known=known) is expected
