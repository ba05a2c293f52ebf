"""The machines of a storm: distinct, always the same, and a hosts file that the registry reads."""

from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from netboot.probe.storm.storm_machines import MOST_HOSTS, StormRefusedError, hosts_file, storm_machines
from netboot.registry.load import load


def test_machines_are_distinct_and_the_same_each_time():
    machines = storm_machines(MOST_HOSTS, IPv4Interface("198.18.0.1/16"))

    assert machines == storm_machines(MOST_HOSTS, IPv4Interface("198.18.0.1/16"))
    for values in (
        {each.mac for each in machines},
        {each.uuid for each in machines},
        {each.address for each in machines},
    ):
        assert len(values) == MOST_HOSTS
    assert (machines[0].name, machines[0].mac) == ("storm-0001", "02:6e:62:f0:00:01")
    assert machines[-1].address == IPv4Interface("198.18.7.208/16")


@pytest.mark.parametrize("first", ["192.0.2.236/24", "255.255.255.250/8"])
def test_more_machines_than_addresses_are_refused(first: str):
    with pytest.raises(StormRefusedError, match="20 machines need 20 addresses"):
        storm_machines(20, IPv4Interface(first))


def test_the_last_address_of_a_network_is_used_but_not_its_broadcast():
    assert storm_machines(20, IPv4Interface("192.0.2.235/24"))[-1].address == IPv4Interface("192.0.2.254/24")


@pytest.mark.parametrize("first", [None, IPv4Interface("192.0.2.100/24")])
def test_the_printed_hosts_are_read_by_the_appliance(tmp_path: Path, first: IPv4Interface | None):
    machines = storm_machines(3, first)
    (tmp_path / "netboot.yaml").write_text("hosts: {files: [hosts.yaml]}\n")
    (tmp_path / "hosts.yaml").write_text("cluster: {name: rackone}\n" + hosts_file(machines))

    hosts = load(tmp_path / "netboot.yaml").hosts

    assert [(host.name, host.mac) for host in hosts] == [(each.name, each.mac) for each in machines]
    assert [host.addresses for host in hosts] == [{each.address.ip} if each.address else set() for each in machines]
