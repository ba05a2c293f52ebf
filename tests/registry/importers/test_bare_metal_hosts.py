"""BareMetalHosts of Metal3 and MOSK: boot mode, disk, labels; MOSK's Machines give roles, its PublicKeys SSH keys."""

from typing import Any

import pytest
from fixtures.inventories import MAC, document, faults_of, host, read

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 ops@example"


def disk(hints: str) -> tuple[Any, list[str]]:
    imported, faults = read(host(f"{MAC}, rootDeviceHints: {{{hints}}}"))
    assert faults == []
    return document(host(f"{MAC}, rootDeviceHints: {{{hints}}}"))["hosts"]["w1"].get("disk"), list(
        imported.hosts[0].notes
    )


def mosk(kind: str, body: str, *, group: str = "kaas.mirantis.com", namespace: str = "ns") -> str:
    return f"apiVersion: {group}/v1alpha1\nkind: {kind}\nmetadata: {{namespace: {namespace}, {body}\n"


def inventory(labels: str = "", *, kind: str = "BareMetalHostInventory", name: str = "w1") -> str:
    return mosk(kind, f"name: {name}, labels: {{{labels}}}}}\nspec: {{{MAC}}}")


def machine(labels: str, *, selector: str = "", annotations: str = "") -> str:
    spec = f"spec: {{providerSpec: {{value: {{hostSelector: {{matchLabels: {{{selector}}}}}}}}}}}"
    body = f"name: m1, labels: {{{labels}}}, annotations: {{{annotations}}}}}\n{spec}"
    return mosk("Machine", body, group="cluster.k8s.io")


@pytest.mark.parametrize(
    ("mode", "fault"),
    [
        ("legacy", "is legacy, and OCK starts by UEFI only; set the machine's firmware and bootMode to UEFI"),
        ("BIOS", "'BIOS' is no boot mode; write UEFI or UEFISecureBoot"),
    ],
)
def test_a_boot_mode_that_ock_cannot_use_is_refused(mode: str, fault: str):
    assert faults_of(host(f"{MAC}, bootMode: {mode}")) == [f"1.yaml:4:55: BareMetalHost w1 spec.bootMode: {fault}"]


def test_secure_boot_has_a_note_about_the_loader():
    imported, faults = read(host(f"{MAC}, bootMode: UEFISecureBoot"))

    assert faults == []
    assert imported.hosts[0].notes == ("Secure Boot: a signed loader is needed, as loader: shimx64.efi",)


def test_an_object_without_a_name_or_mac_is_refused():
    assert faults_of(host("online: true"), host(MAC, metadata="namespace: ns")) == [
        "1.yaml:1:1: BareMetalHost w1 spec.bootMACAddress: is missing; write it, or leave the object out",
        "2.yaml:1:1: BareMetalHost ns/ metadata.name: is missing; write it, or leave the object out",
    ]


@pytest.mark.parametrize(
    ("hints", "expected", "notes"),
    [
        ("", None, []),
        ("deviceName: /dev/disk/by-id/ata-1", "/dev/disk/by-id/ata-1", []),
        (
            "deviceName: /dev/sda, vendor: ATA, rotational: false",
            "/dev/sda",
            [f"rootDeviceHints.{name} not taken over: deviceName names one disk" for name in ("rotational", "vendor")],
        ),
        ("serialNumber: S3Z8", {"serial": "S3Z8"}, []),
        ("wwnWithExtension: '0x5000c500a1b2c3d4'", {"wwn": "0x5000c500a1b2c3d4"}, []),
        ("minSizeGigabytes: 40, rotational: false", {"min_size": "40GiB", "rotational": False}, []),
        (
            "model: PM983",
            {"model": "PM983"},
            ["rootDeviceHints.model can be any part of the model; disk.model is how it begins: check it"],
        ),
        (
            "serialNumber: S3Z8, hctl: '1:0:0:0'",
            {"serial": "S3Z8"},
            ["rootDeviceHints.hctl not taken over: disk has no such key"],
        ),
    ],
)
def test_root_device_hints_describe_the_disk(hints: str, expected: Any, notes: list[str]):
    assert disk(hints) == (expected, notes)


@pytest.mark.parametrize("hint", ["vendor: ATA", "hctl: '1:0:0:0'", "wwnVendorExtension: '0x1'", "newHint: 1"])
def test_without_a_hint_that_cannot_be_written_no_disk_is_written_because_the_others_could_fit_another(hint: str):
    assert disk(f"minSizeGigabytes: 40, {hint}") == (
        None,
        [
            f"rootDeviceHints.{hint.partition(':')[0]} not taken over: disk has no such key",
            "disk not written: without these hints another disk could fit; write disk",
        ],
    )


@pytest.mark.parametrize(
    ("hints", "fault"),
    [
        ("deviceName: sda", "hosts.w1.disk.path: 'sda' is not below /dev"),
        ("deviceName: [/dev/sda]", "rootDeviceHints.deviceName: must be one value"),
        ("minSizeGigabytes: -1", "hosts.w1.disk.min_size: '-1GiB' is not a size"),
        ("rotational: maybe", "hosts.w1.disk.rotational: 'maybe' is neither true nor false"),
    ],
)
def test_a_hint_with_a_wrong_value_is_refused(hints: str, fault: str):
    [found] = faults_of(host(f"{MAC}, rootDeviceHints: {{{hints}}}"))

    assert fault.replace("disk.path", "disk") in found


def test_labels_that_a_host_cannot_have_are_named_in_a_note():
    imported, faults = read(host(MAC, metadata='name: w1, labels: {rack: r1, empty: "", "a b": c, list: [x]}'))

    assert faults == []
    assert list(imported.hosts[0].labels) == ["rack"]
    assert imported.hosts[0].notes == ("labels not taken over, because a host cannot have them: a b, empty, list",)


def test_what_is_left_of_the_specification_is_named_without_its_values():
    imported, _ = read(host(f"{MAC}, image: {{url: http://secret}}, userData: {{name: secret}}, online: true"))

    assert imported.hosts[0].notes == ("not taken over: image, userData",)


@pytest.mark.parametrize(
    ("labels", "role"),
    [
        ("hostlabel.bm.kaas.mirantis.com/controlplane: controlplane", "control-plane"),
        ("hostlabel.bm.kaas.mirantis.com/worker: worker", "worker"),
        ("hostlabel.bm.kaas.mirantis.com/storage: storage", "worker"),
    ],
)
def test_the_label_of_a_host_gives_its_role(labels: str, role: str):
    assert document(inventory(labels), role=None)["hosts"]["w1"]["role"] == role


@pytest.mark.parametrize(
    ("label", "role"),
    [
        ('cluster.sigs.k8s.io/control-plane: "true"', "control-plane"),
        ('cluster.sigs.k8s.io/control-plane: ""', "worker"),
        ("", "worker"),
    ],
)
@pytest.mark.parametrize(
    "named",
    [
        {"selector": "kaas.mirantis.com/baremetalhost-id: hw1"},
        {"annotations": "metal3.io/BareMetalHost: ns/w1"},
    ],
)
def test_the_machine_that_uses_a_host_gives_its_role(label: str, role: str, named: dict[str, str]):
    labels = "kaas.mirantis.com/baremetalhost-id: hw1, hostlabel.bm.kaas.mirantis.com/storage: storage"

    assert document(inventory(labels), machine(label, **named), role=None)["hosts"]["w1"]["role"] == role


def test_a_machine_of_another_project_gives_no_role():
    other = machine("", selector="kaas.mirantis.com/baremetalhost-id: hw1").replace("namespace: ns", "namespace: other")

    [fault] = faults_of(inventory("kaas.mirantis.com/baremetalhost-id: hw1"), other, role=None)

    assert "has no role in this file" in fault


def test_a_machine_and_a_cluster_name_the_cluster():
    found = document(
        inventory(),
        machine("cluster.sigs.k8s.io/cluster-name: rackone"),
        mosk("Cluster", "name: rackone}", group="cluster.k8s.io"),
    )

    assert found["cluster"] == {"name": "rackone"}


def test_a_host_that_mosk_keeps_twice_is_imported_once():
    imported, faults = read(inventory(kind="BareMetalHost"), inventory(), inventory(name="w2").replace(":07", ":08"))

    assert faults == []
    assert [each.source for each in imported.hosts] == ["BareMetalHostInventory ns/w1", "BareMetalHostInventory ns/w2"]


def test_the_public_keys_of_a_project_are_a_group_of_its_hosts():
    other = inventory(name="w2").replace("namespace: ns", "namespace: other").replace(":07", ":08")

    found = document(inventory(), mosk("PublicKey", f"name: k}}\nspec:\n  publicKey: |\n    {KEY}"), other)

    assert found["groups"] == {"ns": {"+ssh_keys": [KEY]}}
    assert {name: values.get("groups") for name, values in found["hosts"].items()} == {"w1": ["ns"], "w2": None}


def test_a_private_key_is_refused_and_not_shown():
    pem = "-----BEGIN OPENSSH PRIVATE KEY----- secret"

    faults = faults_of(inventory(), mosk("PublicKey", f"name: k}}\nspec: {{publicKey: '{pem}'}}"))

    assert faults == [
        "2.yaml:4:19: groups.ns.+ssh_keys[0]: is a private key; give the public one, the line in the .pub file"
    ]
