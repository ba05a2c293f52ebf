"""A fault of one host leaves the others in; every MAC that a faulty host names is found, however little can be read."""

import os
from pathlib import Path

import pytest
from fixtures.site import CLUSTER

from netboot.registry.allocation import NONE_RECORDED
from netboot.registry.load import load_accepted, read

EVERYBODY = {"52:54:00:00:00:01", "52:54:00:00:00:11"}
W7 = "52:54:00:00:00:17"


@pytest.mark.parametrize(
    "w7",
    [
        f"hosts: {{w7: {{role: wroker, mac: {W7}}}}}",
        f"hosts: {{w7: {{mac: {W7}}}}}",
        f"hosts: {{w7: {{role: worker, mac: [{W7}, nonsense]}}}}",
        f"hosts: {{w7: {{role: worker, mac: {{first: {W7}}}}}}}",
        f"hosts: {{w7: {{role: worker, mac: {W7}, disks: /dev/sda}}}}",
        f"hosts: {{w7: [{W7}]}}",
        f"hosts: {{W7: {{role: worker, mac: {W7}}}}}",
        "hosts:\n  w7:\n    role: worker\n    mac: 52:54:00:00:00:99\n    mac: 5254.0000.0017\n",
        f"hosts:\n  w7: {{role: worker, mac: 52:54:00:00:00:98}}\n  w7:\n    role: worker\n    mac: {W7}\n",
        f"hosts:\n  w7:\n   role: worker\n  mac: {W7}\n",
        f"hosts:\n\tw7: {{role: worker, mac: {W7}}}\n",
        f'hosts: {{w7: {{role: worker, mac: {W7}, release: "\xe9\u2028"}}}}',
        "hosts: {w7: {role: worker, mac: 52-54-00-00-00-17",
        f"hosts: {{w7: {{role: worker, mac: {W7}, network: {{address: 192.0.2.300/24}}}}}}",
        f"w7: {{role: worker, mac: {W7}}}",
    ],
)
def test_a_faulty_host_is_left_out_with_its_mac_and_the_others_stay(site, w7: str):
    site.write("hosts.yaml", CLUSTER)
    site.write("hosts.d/w7.yaml", w7)

    found = read(Path("netboot.yaml"))

    assert found.faults
    if not w7.startswith("w7"):  # an unknown section may be one that all hosts share
        assert list(found.hosts.hosts) == ["cp1", "w1"]
        assert not found.left_out & EVERYBODY
    assert W7 in found.left_out
    assert not found.hides_hosts


def test_a_fault_within_one_line_concerns_its_host_alone(site):
    site.write(
        "hosts.yaml", CLUSTER + f"  w7: {{role: wroker, mac: {W7}}}\n  w8: {{role: worker, mac: 525400000018}}\n"
    )

    found = read(Path("netboot.yaml"))

    assert (list(found.hosts.hosts), found.left_out) == (["cp1", "w1", "w8"], {W7})


def test_a_mac_of_two_hosts_boots_its_own_disk(site):
    site.write("hosts.yaml", CLUSTER + "  w7: {role: worker, mac: 52:54:00:00:00:11}\n")

    found = read(Path("netboot.yaml"))

    assert (list(found.hosts.hosts), found.left_out) == (["cp1", "w1"], {"52:54:00:00:00:11"})


@pytest.mark.parametrize(
    ("section", "left"),
    [
        ("defaults: {timezone: Nowhere/Land}", []),
        ("defaults: {no_such_key: 1}", []),
        ("cluster: {init: cp9}", []),
        ("roles: {worker: {timezone: Nowhere/Land}}", ["cp1"]),
        ("roles: {wroker: {timezone: UTC}}", []),
    ],
)
def test_a_fault_of_what_hosts_share_concerns_all_that_share_it(site, section: str, left: list[str]):
    shared = (
        CLUSTER.replace("  worker: {", "  worker: {timezone: Nowhere/Land, ") if "worker: {t" in section else CLUSTER
    )
    site.write("hosts.yaml", shared.replace("cluster: {init: cp1}\n", "") if "cluster" in section else shared)
    if shared is CLUSTER:
        site.write("hosts.d/more.yaml", section)

    found = read(Path("netboot.yaml"))

    assert list(found.hosts.hosts) == left
    assert found.left_out == (EVERYBODY if not left else {"52:54:00:00:00:11"})


def test_an_ignition_file_with_wrong_content_concerns_the_hosts_that_get_it(site):
    site.write("hosts.yaml", CLUSTER)
    site.write("init.ign", "<html>")

    found = read(Path("netboot.yaml"))

    assert (list(found.hosts.hosts), found.left_out) == (["w1"], {"52:54:00:00:00:01"})


@pytest.mark.skipif(os.geteuid() != 0, reason="a file of somebody else's needs root to be made")
def test_a_file_that_nobody_may_read_hides_its_hosts(site, monkeypatch):
    site.write("hosts.yaml", CLUSTER)
    site.write("hosts.d/w7.yaml", f"hosts: {{w7: {{role: worker, mac: {W7}}}}}")
    (site.directory / "hosts.d" / "w7.yaml").unlink()
    (site.directory / "hosts.d" / "w7.yaml").symlink_to("nowhere")

    found = read(Path("netboot.yaml"))

    assert (list(found.hosts.hosts), found.hides_hosts) == (["cp1", "w1"], True)


def test_without_what_hosts_share_nobody_is_served(site):
    site.write("hosts.yaml", CLUSTER.replace("hosts:", "hosts: ["))
    site.write("hosts.d/w7.yaml", f"hosts: {{w7: {{role: worker, mac: {W7}}}}}")

    found = read(Path("netboot.yaml"))

    assert (list(found.hosts.hosts), found.left_out) == ([], {*EVERYBODY, W7})


def test_no_hosts_file_at_all_is_a_fault_and_no_host(site):
    (site.directory / "hosts.yaml").unlink()

    found = read(Path("netboot.yaml"))

    assert ([str(fault) for fault in found.faults], len(found.hosts), found.hides_hosts) == (
        ["hosts.yaml: is not there; write it; docs/settings.md has the smallest one"],
        0,
        True,
    )


def test_accepted_files_give_the_same_hosts_again_from_any_directory(site, monkeypatch):
    site.write("hosts.yaml", CLUSTER)
    accepted = read(Path("netboot.yaml"))
    monkeypatch.chdir("/")

    hosts, _ = load_accepted(accepted.texts, NONE_RECORDED)

    assert [(host.name, host.macs, host.ignition, host.faults) for host in hosts] == [
        (host.name, host.macs, host.ignition, ()) for host in accepted.hosts
    ]


def test_an_ignition_file_that_was_replaced_holds_back_its_hosts_alone(site):
    site.write("hosts.yaml", CLUSTER)
    accepted = read(Path("netboot.yaml"))
    site.write("init.ign", "<html>")

    hosts, _ = load_accepted(accepted.texts, NONE_RECORDED)

    assert {host.name: len(host.faults) for host in hosts} == {"cp1": 1, "w1": 0}
