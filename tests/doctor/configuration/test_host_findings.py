"""Findings that compare hosts and cluster with the box and with the shipped example."""

from pathlib import Path

import pytest
from doctor.configuration.conftest import Write, link
from fixtures.files import HOSTS

from netboot.content.assets import assets_directory
from netboot.doctor.configuration.check_report import CheckReport
from netboot.doctor.configuration.host_findings import check_hosts

LINKS = {"lo": link("127.0.0.1/8"), "s0": link("192.0.2.10/24")}
SAMPLES = Path(__file__).parents[2] / "ignition" / "samples"


def with_address(address: str) -> str:
    return HOSTS.replace("mac: 52:54:00:12:34:56", f"mac: 52:54:00:12:34:56, network: {{address: {address}}}")


def test_sound_hosts_have_no_finding(appliance: Write):
    assert check_hosts(appliance(hosts=with_address("192.0.2.21/24")), LINKS) == CheckReport()


def test_an_address_of_this_box_is_a_problem_and_one_beside_the_lan_a_warning(appliance: Write, tmp_path: Path):
    ours = check_hosts(appliance(hosts=with_address("192.0.2.10/24")), LINKS)
    beside = check_hosts(appliance(hosts=with_address("10.7.0.5/24")), LINKS)
    behind_a_router = check_hosts(
        appliance("network: {interfaces: [{name: s0, advertise: 10.1.0.1}]}\n", hosts=with_address("10.7.0.5/24")),
        LINKS,
    )

    place = f"{tmp_path}/hosts.yaml:8:3: hosts.w1.network.address"
    assert ours == CheckReport(problems=[f"{place}: 192.0.2.10 is this appliance's own, on s0; give the host another"])
    assert beside == CheckReport(
        warnings=[
            f"{place}: 10.7.0.5 is outside 192.0.2.0/24, the boot LAN; correct it, unless the host boots behind a relay"
        ]
    )
    assert behind_a_router == CheckReport()


def test_an_address_of_this_box_that_a_host_has_from_its_pool_is_a_problem_of_the_pool(
    appliance: Write, tmp_path: Path
):
    pool = "address_pools: {rack1: {subnet: 192.0.2.0/24, addresses: 192.0.2.10-192.0.2.20}}\n"
    hosts = pool + HOSTS.replace("12:34:56", "12:34:56, network: {pool: rack1}")

    assert check_hosts(appliance(hosts=hosts), LINKS).problems == [
        f"{tmp_path}/hosts.yaml:9:3: hosts.w1.network.address: 192.0.2.10 is this appliance's own, on s0; "
        "write address_pools.rack1.addresses without it"
    ]


def test_the_api_of_the_cluster_has_no_address_of_this_box_nor_of_its_pool(appliance: Write, tmp_path: Path):
    for name in ("init.ign", "controlplane-join.ign", "worker-join.ign"):
        (tmp_path / "ign" / name).write_bytes((SAMPLES / name).read_bytes())
    settings = "network: {interfaces: [s0]}\ndhcp: {mode: reservation, pool: [192.0.2.5-192.0.2.15]}\n"

    assert check_hosts(appliance(settings), LINKS).problems == [
        "the API of the cluster has 192.0.2.10, which is this appliance's own, on s0; "
        "make the Ignition files again with another virtualIp or loadBalancer",
        "the API of the cluster has 192.0.2.10, which dhcp.pool leases (192.0.2.5-192.0.2.15); take it out of the pool",
    ]


@pytest.mark.parametrize("key", ["virtualIp", "loadBalancer"])
def test_an_api_that_only_byo_yaml_has_is_compared_too(key: str, appliance: Write, tmp_path: Path):
    text = (SAMPLES / "byo.yaml").read_text().replace("virtualIp: 192.0.2.10", f"{key}: 192.0.2.10")
    (tmp_path / "byo.yaml").write_text(text)
    hosts = "cluster: {name: rackone, byo: byo.yaml}\nhosts: {w1: {role: worker, mac: 52:54:00:12:34:56}}\n"

    assert check_hosts(appliance(hosts=hosts), LINKS).problems == [
        f"the API of the cluster has 192.0.2.10, which is this appliance's own, on s0; write another {key} in byo.yaml"
    ]


def test_a_disk_named_by_the_kernels_order_is_one_warning_for_all_hosts(appliance: Write, tmp_path: Path):
    more = "".join(f"  w{n}: {{role: worker, mac: '52:54:00:12:35:{n:02}'}}\n" for n in range(2, 8))

    report = check_hosts(appliance(hosts=HOSTS.replace("/dev/vda", "/dev/sda") + more), LINKS)

    assert report == CheckReport(
        warnings=[
            f"{tmp_path}/hosts.yaml:7:3: hosts.cp1.disk: /dev/sda can name another disk at the next boot of a machine "
            "that has several, and that one would be wiped; write its path below /dev/disk/by-path or "
            "/dev/disk/by-id (also w1, w2, w3, w4, w5, …)"
        ]
    )


def test_values_of_the_example_are_warnings_where_the_lan_is_not_one_of_examples(appliance: Write, tmp_path: Path):
    example = (assets_directory() / "examples" / "hosts.yaml").read_text()
    links = {"s0": link("10.7.0.10/24")}

    warnings = check_hosts(appliance(hosts=example), links).warnings

    texts = [warning.partition(": hosts.")[2] for warning in warnings]
    assert "cp1.ssh_keys: this is the key of the example, and nobody can log in with it; write your own" in texts
    assert [text for text in texts if ".mac: " in text] == [
        "cp1.mac: 52:54:00:aa:bb:01 is a MAC of the example; write the one of the machine's card",
        "worker1.mac: 52:54:00:aa:bb:11 is a MAC of the example; write the one of the machine's card",
        "worker1.mac: 52:54:00:aa:bb:12 is a MAC of the example; write the one of the machine's card",
    ]
    assert "cp1.network.gateway: 192.0.2.1 is an address for examples (RFC 5737); write one of your LAN" in texts
