"""Faults of address pools with the address of the cluster's API and with its subnets."""

import pytest
from fixtures.role_files import altered
from fixtures.site import Site

HOSTS = """\
cluster: {name: rackone, init: cp1}
roles: {control-plane: {ignition: {init: init.ign}}}
address_pools:
  rack1: {subnet: %s, addresses: %s}
hosts:
  cp1: {role: control-plane, mac: 52:54:00:00:00:01, network: {pool: rack1}}
"""


def declare(site: Site, subnet: str, addresses: str) -> None:
    site.write("hosts.yaml", HOSTS % (subnet, addresses))
    (site.directory / "init.ign").write_bytes(altered("init.ign", {}))


def test_the_address_of_the_api_is_in_no_pool(site):
    declare(site, "192.0.2.0/24", "'192.0.2.40, 192.0.2.8/30'")

    assert site.faults() == [
        "hosts.yaml:4:44: address_pools.rack1.addresses: 192.0.2.8/30 contains 192.0.2.10, the address of the "
        "cluster's API (init.ign); write the addresses without it"
    ]


def test_addresses_of_the_other_family_are_compared_with_no_ipv4_address(site):
    declare(site, "192.0.2.0/24, subnet6: '::/64', addresses6: '::c000:20a'", "192.0.2.40")  # 192.0.2.10 as a number

    assert site.load().warnings == ()


@pytest.mark.parametrize(
    ("subnet", "addresses", "overlaps"),
    [
        ("10.244.7.0/24", "10.244.7.10", "the pod subnet 10.244.0.0/16"),
        ("10.0.0.0/9", "10.9.0.10", "the service subnet 10.96.0.0/12"),
    ],
)
def test_a_subnet_of_the_cluster_is_no_subnet_of_a_pool(site, subnet: str, addresses: str, overlaps: str):
    declare(site, subnet, addresses)

    assert site.faults() == [
        f"hosts.yaml:4:19: address_pools.rack1.subnet: {subnet} overlaps {overlaps} of the cluster (init.ign); "
        "correct the subnet, or make the files again with another subnet"
    ]


def test_a_pool_beside_the_cluster_has_no_fault_and_a_subnet_that_the_cluster_moved_from_is_free(site):
    declare(site, "10.244.7.0/24", "10.244.7.10")
    (site.directory / "init.ign").write_bytes(altered("init.ign", {"10.244.0.0/16": "10.200.0.0/16"}))

    configuration = site.load()

    assert configuration.warnings == ()
    assert [str(host.network.address) for host in configuration.hosts] == ["10.244.7.10/24"]


def test_without_a_file_that_states_them_a_default_of_ocne_is_a_warning(site):
    site.write(
        "hosts.yaml",
        """\
        address_pools:
          a: {subnet: 10.244.7.0/24, addresses: 10.244.7.10}
          b: {subnet: 10.100.0.0/16, addresses: 10.100.0.10}
        """,
    )

    assert [str(warning) for warning in site.load().warnings] == [
        "hosts.yaml:2:15: address_pools.a.subnet: 10.244.7.0/24 overlaps the pod subnet 10.244.0.0/16 of ocne's "
        "default; set another podSubnet in byo.yaml before you make the Ignition files",
        "hosts.yaml:3:15: address_pools.b.subnet: 10.100.0.0/16 overlaps the service subnet 10.96.0.0/12 of ocne's "
        "default; set another serviceSubnet in byo.yaml before you make the Ignition files",
    ]
