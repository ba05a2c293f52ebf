"""The LAN's own servers and the relay: who leases what, and who only advertises a router."""

from pathlib import Path

from netboot.lab.lan.lan_dhcp import (
    advertiser_command,
    dnsmasq_command,
    far_range,
    relay_command,
    second_dnsmasq_command,
)

LEASES = Path("/leases")


def ranges(command: tuple[str, ...]) -> list[str]:
    return [word.removeprefix("--dhcp-range=") for word in command if word.startswith("--dhcp-range=")]


def test_two_servers_lease_from_ranges_of_their_own():
    assert ranges(dnsmasq_command(LEASES)) == ["fd00:6e62::,ra-only", "192.0.2.100,192.0.2.199,255.255.255.0,1h"]
    assert ranges(second_dnsmasq_command(LEASES)) == ["192.0.2.200,192.0.2.249,255.255.255.0,1h"]


def test_the_advertiser_leases_nothing():
    assert ranges(advertiser_command(LEASES)) == ["fd00:6e62::,ra-only"]


def test_the_relay_asks_the_dhcp_server_and_the_appliance_and_leases_nothing():
    relay = relay_command(LEASES)

    assert [word for word in relay if word.startswith("--dhcp-relay")] == [
        "--dhcp-relay=198.51.100.1,192.0.2.1",
        "--dhcp-relay=198.51.100.1,192.0.2.10",
    ]
    assert ranges(relay) == ["fd00:6e63::,ra-only"]
    assert far_range() == "--dhcp-range=198.51.100.100,198.51.100.199,255.255.255.0,1h"
