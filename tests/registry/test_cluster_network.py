"""What only `byo.yaml` states of a cluster is compared with hosts and pools as what its Ignition files state."""

import pytest
from fixtures.role_files import SAMPLES, altered
from fixtures.site import Site

HOSTS = """\
cluster: {name: rackone, byo: byo.yaml}
address_pools:
  rack1: {subnet: 192.0.2.0/24, addresses: 192.0.2.40-192.0.2.50}
hosts:
  w1: {role: worker, mac: 52:54:00:00:00:11, network: {address: 192.0.2.10/24}}
  w2: {role: worker, mac: 52:54:00:00:00:12, network: {pool: rack1}}
"""
BALANCER = {"virtualIp: 192.0.2.10 ": "loadBalancer: 192.0.2.10 "}


def declare(site: Site, changes: dict[str, str], hosts: str = HOSTS) -> None:
    text = (SAMPLES / "byo.yaml").read_text()
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    site.write("hosts.yaml", hosts)
    (site.directory / "byo.yaml").write_text(text)


@pytest.mark.parametrize(
    ("changes", "noun", "place"), [({}, "virtual IP", "7:12"), (BALANCER, "load balancer", "7:15")]
)
def test_the_address_of_the_api_is_that_of_no_host(site: Site, changes: dict[str, str], noun: str, place: str):
    declare(site, changes)

    assert site.faults() == [
        f"hosts.yaml:5:65: hosts.w1.network.address: 192.0.2.10 is the {noun} of the cluster (byo.yaml:{place}); "
        "give the host another"
    ]


@pytest.mark.parametrize(("changes", "place"), [({}, "7:12"), (BALANCER, "7:15")])
def test_the_address_of_the_api_is_in_no_pool(site: Site, changes: dict[str, str], place: str):
    hosts = HOSTS.replace("192.0.2.10/24", "192.0.2.9/24").replace("192.0.2.40-", "192.0.2.10-")
    declare(site, changes, hosts)

    assert site.faults() == [
        "hosts.yaml:3:44: address_pools.rack1.addresses: 192.0.2.10-192.0.2.50 contains 192.0.2.10, the address of "
        f"the cluster's API (byo.yaml:{place}); write the addresses without it"
    ]


@pytest.mark.parametrize(
    ("changes", "overlaps", "cure"),
    [
        ({"10.244.0.0/16": "192.0.0.0/16"}, "pod subnet 192.0.0.0/16 of the cluster (byo.yaml:9:12)", "podSubnet"),
        (
            {"10.96.0.0/12": "'10.96.0.0/12,192.0.2.128/25'"},
            "service subnet 192.0.2.128/25 of the cluster (byo.yaml:10:16)",
            "serviceSubnet",
        ),
    ],
)
def test_no_subnet_of_a_pool_overlaps_one_of_the_cluster(site: Site, changes: dict[str, str], overlaps: str, cure: str):
    declare(site, changes, HOSTS.replace("network: {address: 192.0.2.10/24}", "network: {}"))

    assert site.faults() == [
        f"hosts.yaml:3:19: address_pools.rack1.subnet: 192.0.2.0/24 overlaps the {overlaps}; "
        f"correct the subnet, or write another {cure} in byo.yaml"
    ]


def test_no_host_has_an_address_in_a_subnet_also_not_in_one_that_is_ocnes_default(site: Site):
    hosts = HOSTS.replace("192.0.2.10/24", "10.244.7.1/24")
    declare(site, {"podSubnet: 10.244.0.0/16\n": ""}, hosts)

    assert site.faults() == [
        "hosts.yaml:5:65: hosts.w1.network.address: 10.244.7.1 is in the pod subnet 10.244.0.0/16 of the cluster "
        "(byo.yaml:2:1); give the host another, or write another podSubnet in byo.yaml"
    ]


def test_a_cluster_beside_its_hosts_has_its_addresses_and_no_warning(site: Site):
    declare(site, {}, HOSTS.replace("192.0.2.10/24", "192.0.2.9/24"))

    configuration = site.load()

    assert configuration.warnings == ()
    assert [(each.noun, str(each.address), each.cure) for each in configuration.hosts.cluster.addresses] == [
        ("virtual IP", "192.0.2.10", "write another virtualIp in byo.yaml")
    ]


def test_a_workers_file_has_the_virtual_ip_as_its_endpoint_if_byo_yaml_has_it(site: Site):
    role = "roles: {worker: {ignition: {join: w.ign}}}\n"
    declare(site, {}, HOSTS.replace("hosts:\n", f"{role}hosts:\n"))
    (site.directory / "w.ign").write_bytes(altered("worker-join.ign", {}))

    assert site.faults() == [
        "hosts.yaml:6:65: hosts.w1.network.address: 192.0.2.10 is the virtual IP of the cluster (w.ign); "
        "give the host another"
    ]


def test_a_file_that_states_no_subnet_leaves_those_of_byo_yaml(site: Site):
    role = "roles: {worker: {ignition: {join: w.ign}}}\n"
    hosts = HOSTS.replace("hosts:\n", f"{role}hosts:\n").replace("192.0.2.10/24", "192.0.2.9/24")
    declare(site, {"10.244.0.0/16": "192.0.0.0/16"}, hosts)
    (site.directory / "w.ign").write_bytes(altered("worker-join.ign", {}))

    assert [fault.partition(": ")[2] for fault in site.faults()] == [
        "address_pools.rack1.subnet: 192.0.2.0/24 overlaps the pod subnet 192.0.0.0/16 of the cluster "
        "(byo.yaml:9:12); correct the subnet, or write another podSubnet in byo.yaml",
        "hosts.w1.network.address: 192.0.2.9 is in the pod subnet 192.0.0.0/16 of the cluster (byo.yaml:9:12); "
        "give the host another, or write another podSubnet in byo.yaml",
    ]
