"""The URL in the firmware of a host has the address of this appliance on the host's LAN; else there is none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from netboot.model.boot.boot_client import Machine
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.host_network import HostNetwork
from netboot.model.host.mac import Mac
from netboot.model.host.network import Interface
from netboot.operate.power.boot_lan import BootLans, NoBootUri, address_for

MACS = (Mac.parse("52:54:00:00:00:01"), Mac.parse("52:54:00:00:00:02"))
W1 = Host(HostName("w1"), Role.WORKER, MACS)
NOW = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
CURE = "hosts.w1.network.address or network.pool, or bmc.network_boot: pxe"
UNKNOWN = "the URL for the firmware of w1 is not known"


def interface(name: str, address: str) -> Interface:
    own = IPv4Interface(address)
    return Interface(name, 1, own.ip, (own.ip,), networks=(own.network,))


S0, S1 = interface("s0", "198.51.100.10/24"), interface("s1", "192.0.2.10/24")
BOTH = BootLans((S0, S1), ("s0", "s1"), 8080)


def declared(address: str) -> Host:
    return replace(W1, network=HostNetwork(address=IPv4Interface(address)))


def machine(number: int, *addresses: str, ago_s: float = 0) -> Machine:
    seen_at = NOW - timedelta(seconds=ago_s)
    return Machine(MACS[number], NOW, seen_at, addresses=tuple(map(IPv4Address, addresses)))


@pytest.mark.parametrize(
    ("host", "machines", "lans", "expected"),
    [
        pytest.param(declared("192.0.2.44/24"), [], BOTH, "192.0.2.10", id="its-own-address"),
        pytest.param(
            declared("192.0.2.44/24"), [machine(0, "198.51.100.7")], BOTH, "192.0.2.10", id="declared-before-seen"
        ),
        pytest.param(W1, [machine(0, "198.51.100.7", "192.0.2.7")], BOTH, "192.0.2.10", id="the-address-it-used-last"),
        pytest.param(
            W1,
            [machine(0, "198.51.100.7", ago_s=9), machine(1, "192.0.2.7"), machine(1)],
            BOTH,
            "192.0.2.10",
            id="the-card-that-was-seen-last",
        ),
        pytest.param(declared("203.0.113.5/24"), [], BootLans((S1,), ("s1",), 80), "192.0.2.10", id="behind-a-relay"),
        pytest.param(
            declared("192.0.2.44/24"),
            [],
            BootLans((S0, replace(S1, advertise=IPv4Address("203.0.113.1"))), ("s0", "s1"), 80),
            "203.0.113.1",
            id="the-published-address",
        ),
        pytest.param(
            declared("192.0.3.44/24"),
            [],
            BootLans((S0, replace(S1, networks=(*S1.networks, IPv4Network("192.0.3.0/24")))), ("s0", "s1"), 80),
            "192.0.2.10",
            id="a-further-network-of-an-interface",
        ),
    ],
)
def test_the_address_on_the_lan_of_the_host(host, machines, lans, expected):
    assert address_for(host, machines, lans) == IPv4Address(expected)


@pytest.mark.parametrize(
    ("host", "machines", "lans", "reason"),
    [
        pytest.param(
            declared("192.0.2.44/24"),
            [],
            BootLans((), ("s0", "s1"), 80),
            f"this appliance serves no interface of the boot LAN now, so that {UNKNOWN}; see netboot check, and "
            "network.interfaces",
            id="none-is-served",
        ),
        pytest.param(
            W1,
            [machine(0)],
            BOTH,
            f"{UNKNOWN}: w1 is on the LAN of one of s0, s1, and it has no address; set {CURE}",
            id="it-was-not-seen",
        ),
        pytest.param(
            declared("192.0.2.44/24"),
            [machine(0, "198.51.100.7")],
            BootLans((S0,), ("s0", "s1"), 80),
            f"{UNKNOWN}: its address 192.0.2.44 is on no LAN of s0, s1 that is served now; see netboot check, or "
            f"correct {CURE}",
            id="its-lan-is-down",
        ),
    ],
)
def test_none_if_it_is_not_known(host, machines, lans, reason):
    assert address_for(host, machines, lans) == NoBootUri(reason)
