"""What the importers write is read as a hosts file with equal values; hostile inventories end with faults."""

import time
from typing import Any

import pytest
import yaml
from fixtures.inventories import MAC, host, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netboot.registry.importers.import_formats import import_documents
from netboot.registry.importers.imported_text import imported_text
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.plain_values import plain_value
from netboot.yamlfile.positions import parse, parse_documents

SECRET = "swordfish"
TEXTS = st.sampled_from(
    [
        *(
            "52:54:00:12:34:56",
            "w1",
            "w2",
            "UEFI",
            "legacy",
            "worker",
            "rack1",
            "no",
            "1.30",
            "",
            "~",
            "true",
            "-1",
            "0x1f",
        ),
        *(
            "/dev/sda",
            "a: b",
            "# x",
            "a\nb",
            "\x1b[31m",
            "‮",
            "{{ x }}",
            "'",
            '"',
            "*a",
            "&a",
            "!!str",
            "ns/w1",
            "x" * 300,
        ),
        *("192.0.2.0/24", "192.0.2.5-192.0.2.9", "192.0.2.5", "2001:db8::/64", "fd00::1", "a,b", "ssh-ed25519 AAAAC3"),
    ]
) | st.text(max_size=20)
KEYS = st.sampled_from(
    [
        *("name", "namespace", "labels", "annotations", "spec", "bootMACAddress", "bootMode", "rootDeviceHints"),
        *("deviceName", "serialNumber", "minSizeGigabytes", "vendor", "model", "masters", "workers", "mac-address"),
        *("publicKey", "providerSpec", "value", "hostSelector", "matchLabels", "kaas.mirantis.com/baremetalhost-id"),
        *("items", "cluster", "owner", "providers", "olvm", "controlPlaneMachine", "virtualMachine", "network", "ipv4"),
        *("ipAddresses", "subnet", "gateway", "virtualIp", "podSubnet", "cluster.sigs.k8s.io/cluster-name"),
    ]
) | st.text(max_size=8)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)
KINDS = st.sampled_from(
    [
        {"apiVersion": "metal3.io/v1alpha1", "kind": "BareMetalHost"},
        {"apiVersion": "kaas.mirantis.com/v1alpha1", "kind": "BareMetalHostInventory"},
        {"apiVersion": "kaas.mirantis.com/v1alpha1", "kind": "PublicKey"},
        {"apiVersion": "cluster.k8s.io/v1alpha1", "kind": "Machine"},
        {"apiVersion": "bpa.akraino.org/v1alpha1", "kind": "Provisioning"},
        {"apiVersion": "v1", "kind": "Secret", "data": {"password": SECRET}},
        {"apiVersion": "v1", "kind": "List"},
        {"provider": "byo", "password": SECRET},
        {"provider": "olvm", "virtualIp": "192.0.2.5"},
    ]
)
BMCS = st.fixed_dictionaries(
    {
        "address": st.sampled_from(
            [
                SECRET,
                f"redfish://root:{SECRET}@192.0.2.7",
                f"redfish://192.0.2.7/redfish/v1/{SECRET}?x",
                "redfish:192.0.2.7",
            ]
        )
        | TEXTS
    },
    optional={"credentialsName": st.just(SECRET), "disableCertificateVerification": st.booleans() | TEXTS},
)
HOSTS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("metal3.io/v1alpha1"),
        "kind": st.just("BareMetalHost"),
        "metadata": st.fixed_dictionaries({"name": st.sampled_from(["w1", "w2"]) | TEXTS}, optional={"labels": VALUES}),
        "spec": st.fixed_dictionaries(
            {"bootMACAddress": st.sampled_from(["52:54:00:12:34:56", "525400123457"]) | TEXTS},
            optional={"rootDeviceHints": VALUES, "bmc": BMCS, "image": st.just(SECRET)},
        ),
    }
)
OBJECTS = HOSTS | st.builds(lambda kind, rest: {**rest, **kind}, KINDS, st.dictionaries(KEYS, VALUES, max_size=5))


def hosts_text(inventory: str) -> tuple[str, Any] | None:
    """Import an inventory; return the text and its values, or None if it has faults, of which none shows a secret."""
    faults = Faults()
    imported = import_documents(parse_documents(inventory, "i.yaml", faults), faults, source="i.yaml")
    assert all(SECRET not in str(problem) for problem in faults.problems)
    text = imported_text(imported, ["i.yaml"])
    return None if faults else (text, plain_value(imported.document()))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OBJECTS, min_size=1, max_size=4))
def test_any_inventory_becomes_a_hosts_file_or_faults(objects: list[Any]):
    written = hosts_text(yaml.safe_dump_all(objects))

    if written is not None:
        text, values = written
        faults = Faults()
        read_back = parse(text, "hosts.yaml", faults)
        assert faults.problems == []
        assert read_back is not None
        assert plain_value(read_back) == values
        assert SECRET not in text


@given(st.text(max_size=400))
def test_any_text_is_an_inventory_or_has_faults(text: str):
    faults = Faults()
    import_documents(parse_documents(text, "i.yaml", faults), faults, source="i.yaml")

    assert len(faults) > 0


def test_the_text_of_a_comment_cannot_end_its_line():
    imported, faults = read(host(MAC, metadata='name: w1, labels: {"a\\nhosts: {}": x}'))

    assert faults == []
    assert "# labels not taken over, because a host cannot have them: a hosts: {}\n" in imported_text(imported, ["f\n"])


def test_two_thousand_hosts_are_imported_in_seconds():
    hosts = (
        host(f"bootMACAddress: 52:54:00:00:{number // 256:02x}:{number % 256:02x}", metadata=f"name: w{number}")
        for number in range(2000)
    )
    begun = time.monotonic()

    imported, faults = read("---\n".join(hosts))
    text = imported_text(imported, ["i.yaml"])

    assert faults == []
    assert text.count("role: worker") == 2000
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("text", ["- {}\n" * 150_000, "--- {}\n" * 150_000])
def test_a_huge_inventory_ends_with_a_limited_number_of_faults(text: str):
    faults = Faults()
    documents = parse_documents(text, "i.yaml", faults)
    import_documents(documents, faults, source="i.yaml")

    assert 0 < len(faults) < 100
