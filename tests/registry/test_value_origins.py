"""Each value of a host with the places that it comes from, those that it overrides, and the record of its address."""

from datetime import UTC, datetime
from ipaddress import IPv4Interface, IPv4Network, ip_address
from pathlib import Path

import pytest

from netboot.errors import UnknownHostError
from netboot.model.hidden import HIDDEN
from netboot.model.host.address_pool import RecordedAddress
from netboot.model.host.host import HostName, Role
from netboot.registry.allocation import NONE_RECORDED, Recorded
from netboot.registry.load import ExplainedHost, explain, read_written
from netboot.registry.value_origins import ExplainedValue

HOSTS = """\
address_pools:
  rack1: {subnet: 192.0.2.0/24, addresses: 192.0.2.40, gateway: 192.0.2.1, nameservers: [192.0.2.2]}
defaults: {timezone: UTC, network: {pool: rack1}}
hosts:
  w1: {role: worker, mac: 52:54:00:00:00:01, timezone: Asia/Tokyo, network: {+nameservers: [192.0.2.3]}}
  w3:
    {role: worker, mac: 52:54:00:00:00:03, release: ock, kernel_arguments: [quiet, user.password=abcd],
     registries: {ghcr.io: ["192.0.2.4:5000", {location: "192.0.2.5:5000", insecure: true}]},
     network: {routes: [{to: 198.51.100.0/24, via: 192.0.2.9}]}, variables: {api_token: efgh, rack: r1}}
  w2: {rol: worker, mac: 52:54:00:00:00:02, network: {address: 192.0.2.50/24}}
"""
ADDRESS = ip_address("192.0.2.40")
RECORD = RecordedAddress(ADDRESS, HostName("w1"), datetime(2026, 11, 29, tzinfo=UTC))


def explained(site, name: str, recorded: Recorded = NONE_RECORDED) -> ExplainedHost:
    site.write("hosts.yaml", HOSTS)
    return explain(read_written(Path("netboot.yaml")), HostName(name), recorded)


def value(host: ExplainedHost, key: str) -> ExplainedValue:
    [found] = [each for each in host.values if each.key == key]
    return found


def places(origins: object) -> list[str]:
    return [f"{origin.place}: {origin.where}" for origin in origins]  # type: ignore[attr-defined]


def test_a_value_has_its_place_and_those_that_it_overrides(site):
    zone = value(explained(site, "w1"), "timezone")

    assert zone.value == "Asia/Tokyo"
    assert places(zone.origins) == ["hosts.yaml:5:56: hosts.w1.timezone"]
    assert places(zone.overridden) == ["hosts.yaml:3:22: defaults.timezone"]


def test_what_a_pool_gives_has_the_place_in_the_pool_and_the_address_its_record(site):
    recorded = explained(site, "w1", {ADDRESS: RECORD})
    not_recorded = value(explained(site, "w1"), "network.address").allocation

    address, gateway = value(recorded, "network.address"), value(recorded, "network.gateway")
    assert address.value == IPv4Interface("192.0.2.40/24")
    assert places(address.origins) == ["hosts.yaml:2:44: address_pools.rack1.addresses"]
    assert address.allocation is not None
    assert address.allocation.recorded == RECORD
    assert not_recorded is not None
    assert not_recorded.recorded is None
    assert (places(gateway.origins), gateway.allocation) == (["hosts.yaml:2:65: address_pools.rack1.gateway"], None)
    assert places(value(recorded, "network.nameservers").origins) == [
        "hosts.yaml:5:92: hosts.w1.network.+nameservers",
        "hosts.yaml:2:89: address_pools.rack1.nameservers",
    ]


def test_the_own_address_of_a_host_has_its_own_place_and_the_host_its_faults(site):
    host = explained(site, "w2")

    address = value(host, "network.address")
    assert (places(address.origins), address.allocation) == (["hosts.yaml:10:64: hosts.w2.network.address"], None)
    assert [fault.where for fault in host.faults] == ["hosts.w2.rol"]


def test_values_are_shown_as_they_can_be_written_and_secrets_are_hidden(site):
    host = explained(site, "w3")

    assert {each.key: each.value for each in host.values} == {
        "role": Role.WORKER,
        "mac": ("52:54:00:00:00:03",),
        "release": "ock",
        "kernel_arguments": ("quiet", f"user.password={HIDDEN}"),
        "registries.ghcr.io": ("192.0.2.4:5000", {"location": "192.0.2.5:5000", "insecure": True}),
        "network.pool": "rack1",
        "network.gateway": ip_address("192.0.2.1"),
        "network.nameservers": (ip_address("192.0.2.2"),),
        "network.routes": ({"to": IPv4Network("198.51.100.0/24"), "via": ip_address("192.0.2.9")},),
        "timezone": "UTC",
        "variables.api_token": HIDDEN,
        "variables.rack": "r1",
    }


def test_an_unknown_host_is_refused_with_the_known_ones(site):
    with pytest.raises(UnknownHostError, match="no host is called w9; known here: w1, w2, w3"):
        explained(site, "w9")
