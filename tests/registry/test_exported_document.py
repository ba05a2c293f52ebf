"""All hosts files as one document: each value as it was declared, each path absolute, whichever file has it."""

from pathlib import Path

import pytest
from fixtures.site import Site

from netboot.errors import ConfigError, UnknownHostError
from netboot.registry.writing.exported_document import Document, exported_document

SHARED = """\
hosts:
  cp1: {role: control-plane, mac: 52:54:00:00:00:01}
cluster: {name: rackone, init: cp1, byo: byo.yaml}
defaults: {release: 1.30, bmc: {certificate: ca.pem}}
"""
OF_W1 = """\
hosts:
  w1:
    role: worker
    mac: [525400000011, "52:54:00:00:00:12"]
    ignition: ign/w1.ign
    disk: {serial: 1e5, rotational: False, min_size: 400GB}
    labels: {number: 0x1f, plain: 017, flag: true, text: "7"}
    network: {mtu: 0x5DC, vlan: 15, routes: [{to: 198.51.100.0/24, via: 192.0.2.9}]}
    +ntp: [192.0.2.1]
    ca_anchors: [/etc/ca.pem, ca.pem]
groups: {g: {disk: }}
roles:
"""


def exported(*names: str) -> Document:
    return exported_document(Path("netboot.yaml"), names)


@pytest.fixture
def shared(site: Site) -> Site:
    site.write("netboot.yaml", "hosts: {files: [rack/hosts.yaml, hosts.d]}\n")
    site.write("rack/hosts.yaml", SHARED)
    site.write("hosts.d/w1.yaml", OF_W1)
    return site


def test_the_files_become_one_document_in_the_order_of_the_documentation(shared: Site):
    found = exported()

    assert list(found) == ["cluster", "defaults", "groups", "hosts"]
    assert found == {
        "cluster": {"name": "rackone", "init": "cp1", "byo": str(shared.directory / "rack/byo.yaml")},
        "defaults": {"release": "1.30", "bmc": {"certificate": str(shared.directory / "rack/ca.pem")}},
        "groups": {"g": {"disk": None}},
        "hosts": {
            "cp1": {"role": "control-plane", "mac": "52:54:00:00:00:01"},
            "w1": {
                "role": "worker",
                "mac": [525400000011, "52:54:00:00:00:12"],
                "ignition": str(shared.directory / "hosts.d/ign/w1.ign"),
                "disk": {"serial": "1e5", "rotational": False, "min_size": "400GB"},
                "labels": {"number": "0x1f", "plain": "017", "flag": True, "text": "7"},
                "network": {"mtu": 1500, "vlan": 15, "routes": [{"to": "198.51.100.0/24", "via": "192.0.2.9"}]},
                "+ntp": ["192.0.2.1"],
                "ca_anchors": ["/etc/ca.pem", str(shared.directory / "hosts.d/ca.pem")],
            },
        },
    }


def test_with_names_the_other_hosts_are_left_out_and_with_the_first_host_the_name_of_it(shared: Site):
    of_w1, of_both = exported("w1"), exported("w1", "cp1")

    assert (list(of_w1["hosts"]), list(of_w1["cluster"])) == (["w1"], ["name", "byo"])
    assert of_both == exported()
    assert exported("cp1")["cluster"] == of_both["cluster"]


def test_a_cluster_without_a_first_host_is_exported_as_it_is(shared: Site):
    shared.write("rack/hosts.yaml", SHARED.replace("init: cp1, ", ""))

    assert exported("w1")["cluster"] == {"name": "rackone", "byo": str(shared.directory / "rack/byo.yaml")}


def test_a_host_that_no_file_declares_is_unknown(shared: Site):
    with pytest.raises(UnknownHostError) as refused:
        exported("w1", "w9")
    assert str(refused.value) == "no host is called w9; known here: cp1, w1"


def test_nothing_is_exported_if_a_file_or_a_value_has_a_fault(shared: Site):
    shared.write("hosts.d/a.yaml", "hosts: {a: {rol: worker}}\n")
    shared.write("hosts.d/b.yaml", "{")

    with pytest.raises(ConfigError) as refused:
        exported("w1")
    assert {problem.file for problem in refused.value.problems} == {"hosts.d/a.yaml", "hosts.d/b.yaml"}
