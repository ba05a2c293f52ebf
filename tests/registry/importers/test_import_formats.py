"""The inventories of neighbouring systems become a hosts file; each fault names its place in the imported file."""

from pathlib import Path

import pytest
from fixtures.inventories import MAC, document, faults_of, host, read, sample

from netboot.model.host.host import Role
from netboot.registry.importers.format_names import ImportFormat
from netboot.registry.importers.imported_text import imported_text
from netboot.yamlfile.plain_values import plain_value

METAL3 = """\
# Imported by netboot from 1.yaml.
# not imported: 1 Secret
# Not in such a file, so to be written under defaults: boot_media, release.
hosts:
  # 1.yaml:10:9: BareMetalHost metal3/rack1-node07
  # user and password of its BMC are not taken over: verify its url, then netboot bmc credentials rack1-node07
  # rootDeviceHints.minSizeGigabytes not taken over: deviceName names one disk
  rack1-node07:
    role: worker
    mac: 52:54:00:aa:bb:07
    labels:
      rack: rack1
    disk: /dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0
    bmc:
      url: https://192.0.2.207
      system: /redfish/v1/Systems/1
      certificate: none
"""
MOSK = """\
# Imported by netboot from 1.yaml.
# not imported: 1 BareMetalHostCredential
# Not in such a file, so to be written under defaults: boot_media, release, disk.
cluster:
  name: rackone
hosts:
  # 1.yaml:14:9: BareMetalHost managed-ns/rack1-node07
  # BMC not taken over: its address is not of Redfish
  rack1-node07:
    role: worker
    mac: 52:54:00:aa:bb:07
    labels:
      kaas.mirantis.com/baremetalhost-id: rack1-node07
      kaas.mirantis.com/provider: baremetal
      hostlabel.bm.kaas.mirantis.com/worker: worker
"""
ICN = """\
# Imported by netboot from 1.yaml.
# not imported: 1 Software
# Not in such a file, so to be written under defaults: boot_media, release, disk.
cluster:
  name: rackone
hosts:
  # 1.yaml:8:7: Provisioning provisioning-rackone
  rack1-node01:
    role: control-plane
    mac: 52:54:00:aa:bb:01
    labels:
      owner: site1
  # 1.yaml:10:7: Provisioning provisioning-rackone
  rack1-node07:
    role: worker
    mac: 52:54:00:aa:bb:07
    labels:
      owner: site1
"""


@pytest.mark.parametrize(
    ("name", "role", "expected"),
    [("metal3-host.yaml", Role.WORKER, METAL3), ("mosk-host.yaml", None, MOSK), ("icn-bpa.yaml", None, ICN)],
)
def test_a_sample_becomes_a_hosts_file(name: str, role: Role | None, expected: str):
    imported, faults = read(sample(name), role=role)

    assert faults == []
    assert imported_text(imported, ["1.yaml"]) == expected
    for secret in ("made-up", "YWRtaW4", "bWFkZXVw", "admin"):
        assert secret not in imported_text(imported, ["1.yaml"])


def test_byo_yaml_names_the_cluster_and_itself():
    assert document(sample("byo.yaml")) == {"cluster": {"name": "rackone", "byo": str(Path.cwd() / "1.yaml")}}


def test_files_of_several_formats_are_imported_together():
    both = document(sample("byo.yaml"), sample("icn-bpa.yaml"))

    assert list(both["cluster"]) == ["name", "byo"]
    assert list(both["hosts"]) == ["rack1-node01", "rack1-node07"]


def test_the_role_that_is_given_is_that_of_hosts_without_one():
    both = document(sample("icn-bpa.yaml"), host(MAC.replace(":07", ":09")), role=Role.CONTROL_PLANE)

    assert {name: values["role"] for name, values in both["hosts"].items()} == {
        "rack1-node01": "control-plane",
        "rack1-node07": "worker",
        "w1": "control-plane",
    }


def test_a_host_without_a_role_is_refused_once_for_all_such_hosts():
    hosts = [host(MAC.replace(":07", f":0{n}"), metadata=f"name: w{n}") for n in (1, 2, 3)]

    assert faults_of(*hosts, role=None) == [
        "1.yaml:3:18: hosts.w1: has no role in this file, nor have 2 other hosts; "
        "give the role of such hosts: --role control-plane or --role worker"
    ]
    assert faults_of(hosts[0], role=None) == [
        "1.yaml:3:18: hosts.w1: has no role in this file; "
        "give the role of such hosts: --role control-plane or --role worker"
    ]


def test_a_list_of_kubectl_is_read_object_by_object():
    text = """\
        apiVersion: v1
        kind: List
        items:
          - apiVersion: metal3.io/v1alpha1
            kind: BareMetalHost
            metadata:
              name: w1
              annotations:
                kubectl.kubernetes.io/last-applied-configuration: |
                  {"password": "secret"}
              managedFields: [{fieldsV1: {"f:metadata": {".": {}}}}]
            spec: {bootMACAddress: 52:54:00:12:34:56}
            status: {provisioning: {}}
          - 7
    """
    imported, faults = read(text)

    assert faults == ["1.yaml:14:5: items[1]: is not a table of keys; remove it"]
    assert plain_value(imported.document()) == {"hosts": {"w1": {"role": "worker", "mac": "52:54:00:12:34:56"}}}


@pytest.mark.parametrize("text", ["{}", "name: x", "provider: libvirt", "- 1", "7", "---\n---\n", ""])
def test_what_is_of_no_format_is_refused(text: str):
    [fault] = faults_of(text)

    assert fault.startswith("1.yaml:")
    assert "name a file of" in fault


def test_a_provider_of_ocne_that_installs_no_machines_is_refused():
    assert faults_of("name: a\nprovider: oci\n") == [
        "1.yaml:2:11: provider: is 'oci', whose machines netboot does not install; "
        "name a file of the provider olvm or byo"
    ]


def test_an_object_of_another_format_is_left_out_if_one_is_chosen():
    imported, faults = read(sample("icn-bpa.yaml"), host(MAC), wanted=ImportFormat.METAL3)

    assert faults == []
    assert [each.name.text for each in imported.hosts] == ["w1"]
    assert imported.notes == ["not imported: 1 Provisioning, 1 Software"]


def test_a_file_without_an_object_of_the_chosen_format_is_refused():
    assert faults_of(sample("icn-bpa.yaml"), wanted=ImportFormat.MOSK) == [
        "1.yaml: has no object of mosk; name a file of one of the formats: metal3, mosk, icn, olvm, byo"
    ]


def test_a_configuration_of_ocne_without_a_provider_is_read_if_its_format_is_chosen():
    assert document("name: rackone", wanted=ImportFormat.BYO) == {
        "cluster": {"name": "rackone", "byo": str(Path.cwd() / "1.yaml")}
    }


def test_two_hosts_of_one_name_or_card_are_refused_with_both_places():
    assert faults_of(host(MAC), host(MAC)) == [
        "2.yaml:3:18: hosts.w1: is there already (1.yaml:3:18); give each machine a name of its own"
    ]
    assert faults_of(host(MAC), host(MAC, metadata="name: w2")) == [
        "2.yaml:4:24: hosts.w2.mac: 52:54:00:aa:bb:07 belongs to w1 already (1.yaml:4:24); give each NIC to one host"
    ]


def test_objects_of_two_clusters_are_refused():
    assert faults_of(sample("byo.yaml"), sample("icn-bpa.yaml").replace("rackone", "racktwo")) == [
        "2.yaml:5:21: cluster.name: is of the cluster 'racktwo', and 1.yaml:3:7 of 'rackone'; "
        "import the files of one cluster"
    ]


def test_a_value_is_verified_as_in_a_hosts_file_and_its_fault_has_the_place_in_the_imported_file():
    assert faults_of(host("bootMACAddress: 01:00:5e:00:00:01", metadata="name: W1")) == [
        "1.yaml:3:18: hosts.W1: 'W1' has capital letters, which Kubernetes refuses; write w1",
        "1.yaml:4:24: hosts.W1.mac: '01:00:5e:00:00:01' is not a unicast MAC address; "
        "write the card's own, as 52:54:00:aa:bb:01",
    ]


def test_a_name_of_several_lines_does_not_divide_its_message():
    assert faults_of(host(MAC, metadata=r'name: "w\n1"')) == [
        "1.yaml:3:18: hosts.w\N{REPLACEMENT CHARACTER}1: 'w\\n1' is not a host name; "
        "use letters, digits and hyphens, as cp1 or cp1.example.com"
    ]


def test_a_table_where_one_value_belongs_is_refused_at_its_place():
    assert faults_of(host("bootMACAddress: [52:54:00:aa:bb:07]")) == [
        "1.yaml:4:24: BareMetalHost w1 spec.bootMACAddress: must be one value; write a text, or leave the object out"
    ]


@pytest.mark.parametrize("workers", ["{w1: {mac-address: 52:54:00:aa:bb:07}}", "w1"])
def test_hosts_of_icn_that_are_no_list_are_refused_and_not_left_out(workers: str):
    head = "apiVersion: bpa.akraino.org/v1alpha1\nkind: Provisioning\nmetadata: {name: p}\nspec:\n"

    assert faults_of(f"{head}  workers: {workers}\n  masters:\n") == [
        "1.yaml:5:12: Provisioning p spec.workers: must be a list; write - name: {mac-address: MAC}"
    ]


@pytest.mark.parametrize(
    ("node", "fault"),
    [
        ("w1", "must be a table; write name: {mac-address: MAC}"),
        ("w1: {}", "has no mac-address; write mac-address: MAC"),
        ("w1:", "has no mac-address; write mac-address: MAC"),
        ("w1: {mac-address: ''}", "has no mac-address; write mac-address: MAC"),
    ],
)
def test_a_host_of_icn_without_a_card_is_refused_and_the_others_are_read(node: str, fault: str):
    head = "apiVersion: bpa.akraino.org/v1alpha1\nkind: Provisioning\nmetadata: {name: p}\nspec:\n  workers:\n"

    imported, faults = read(f"{head}    - {node}\n    - w2: {{mac-address: 52:54:00:aa:bb:08, bmc: a, nics: b}}\n")

    assert faults == [f"1.yaml:6:7: Provisioning p spec.workers[0]: {fault}"]
    assert [(each.name.text, each.mac.text, each.notes) for each in imported.hosts] == [
        ("w2", "52:54:00:aa:bb:08", ("not taken over: bmc, nics",))
    ]


def test_the_name_of_a_group_that_is_refused_has_a_place():
    key = "apiVersion: kaas.mirantis.com/v1alpha1\nkind: PublicKey\nmetadata: {name: k, namespace: a b}\nspec:\n"

    [fault] = faults_of(f"{key}  publicKey: ssh-ed25519 AAAAC3\n", host(MAC))

    assert fault.startswith("1.yaml:5:14: groups.a b: 'a b' is not a name of a group")


def test_a_value_of_several_lines_is_refused():
    key = "apiVersion: kaas.mirantis.com/v1alpha1\nkind: PublicKey\nmetadata: {name: k}\nspec:\n  publicKey: |\n"

    [fault] = faults_of(f"{key}    ssh-ed25519 AAAAC3 one\n    two\n", host(MAC))

    assert fault.startswith("1.yaml:5:14: groups.mosk.+ssh_keys[0]: has several lines")


@pytest.mark.parametrize("name", ["byo.yaml", "olvm.yaml"])
def test_a_second_configuration_of_ocne_is_refused(name: str):
    assert faults_of(sample(name), sample(name)) == [
        f"2.yaml:{1 if name == 'olvm.yaml' else 2}:1: is a second configuration of ocne "
        f"(1.yaml:{1 if name == 'olvm.yaml' else 2}:1); import the files of one cluster"
    ]
