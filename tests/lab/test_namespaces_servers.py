"""The LAN's own servers and the relay: who leases what, and who only advertises a router."""

from pathlib import Path

import pytest
from lab_lans import LeasingLan, RelayedLan, TwoServersLan

from netboot.lab.lan.namespaces import Lan

PLAIN_RANGE = "192.0.2.100,192.0.2.199,255.255.255.0,1h"


def options(lan: Lan, option: str) -> dict[str, list[str]]:
    """List the values of one option of each server on a LAN."""
    begin = f"--{option}="
    return {
        name: [word.removeprefix(begin) for word in command if word.startswith(begin)]
        for name, command in lan.servers(Path("/work"))
    }


@pytest.mark.parametrize(
    ("lan", "ranges"),
    [
        (Lan("x"), {"dhcp": ["fd00:6e62::,ra-only", PLAIN_RANGE]}),
        (LeasingLan("x"), {"dhcp": ["fd00:6e62::,ra-only"]}),
        (
            TwoServersLan("x"),
            {
                "dhcp": ["fd00:6e62::,ra-only", PLAIN_RANGE],
                "dhcp2": ["192.0.2.200,192.0.2.249,255.255.255.0,1h"],
            },
        ),
        (
            RelayedLan("x"),
            {
                "dhcp": ["fd00:6e62::,ra-only", PLAIN_RANGE, "198.51.100.100,198.51.100.199,255.255.255.0,1h"],
                "relay": ["fd00:6e63::,ra-only"],
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_server_leases_from_a_range_of_its_own_or_only_advertises(lan: Lan, ranges: dict[str, list[str]]):
    assert options(lan, "dhcp-range") == ranges


def test_the_relay_passes_requests_to_the_dhcp_server_and_to_the_appliance():
    assert options(RelayedLan("x"), "dhcp-relay")["relay"] == ["198.51.100.1,192.0.2.1", "198.51.100.1,192.0.2.10"]
