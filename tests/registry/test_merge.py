"""Where a value comes from: file and line of the one in force, and of those that it overrides."""

from pathlib import Path

import pytest

from netboot.model.host.image_trust import RegistryMirror
from netboot.registry.host_files import declare, read_files
from netboot.registry.host_sections import HostsDocument, HostSection
from netboot.registry.hosts import merge_layers
from netboot.registry.merge import Merged
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.sections import read_section

DEFAULTS = """\
defaults:
  timezone: UTC
  kernel_arguments: [quiet]
  network: {gateway: 192.0.2.1, nameservers: [192.0.2.1]}
roles:
  worker:
    timezone: Europe/Berlin
    ignition: {join: join.ign}
"""
HOSTS = """\
hosts:
  w1:
    role: worker
    mac: 52:54:00:00:00:01
    kernel_arguments: []
    network: {address: 192.0.2.5/24, nameservers: [192.0.2.9]}
    ignition: own.ign
"""


def merged(site, hosts: str, *, groups: str | None = None) -> Merged[HostSection]:
    site.write("hosts.yaml", DEFAULTS)
    site.write("hosts.d/w1.yaml", hosts)
    faults = Faults()
    files = ["hosts.yaml", "hosts.d/w1.yaml", *([groups] if groups else [])]
    declared = declare(read_files(list(map(Path, files)), faults), faults)
    _, by_name = merge_layers(declared, read_section(HostsDocument, declared.tree, faults))
    return next(iter(by_name.values()))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("role",), ["hosts.d/w1.yaml:3:11: hosts.w1.role"]),
        (("timezone",), ["hosts.yaml:7:15: roles.worker.timezone", "hosts.yaml:2:13: defaults.timezone"]),
        (
            ("kernel_arguments",),
            ["hosts.d/w1.yaml:5:23: hosts.w1.kernel_arguments", "hosts.yaml:3:21: defaults.kernel_arguments"],
        ),
        (("network", "gateway"), ["hosts.yaml:4:22: defaults.network.gateway"]),
        (
            ("network", "nameservers"),
            ["hosts.d/w1.yaml:6:51: hosts.w1.network.nameservers", "hosts.yaml:4:46: defaults.network.nameservers"],
        ),
        (
            ("ignition", "join"),
            ["hosts.d/w1.yaml:7:15: hosts.w1.ignition", "hosts.yaml:8:22: roles.worker.ignition.join"],
        ),
        (("disk",), []),
    ],
)
def test_every_place_that_sets_a_value_is_found_the_one_in_force_first(
    site, path: tuple[str, ...], expected: list[str]
):
    origins = merged(site, HOSTS).origins(*path)

    assert [f"{origin.place}: {origin.where}" for origin in origins] == expected


GROUPS = """\
groups:
  rack1:
    +ntp: [192.0.2.3, 192.0.2.2]
    labels: {rack: r1, row: a}
    variables: {vlan: 120}
    timezone: Asia/Tokyo
    network: {+nameservers: [192.0.2.7]}
  lit:
    timezone: Europe/Paris
    labels: {row: b}
"""


def test_groups_follow_the_role_in_the_order_in_which_a_host_lists_them_and_add_to_lists(site):
    text = HOSTS.replace(
        "    kernel_arguments: []\n", "    groups: [rack1, lit]\n    +kernel_arguments: [quiet, debug]\n"
    )
    text = text.replace(", nameservers: [192.0.2.9]", "")
    site.write("hosts.d/groups.yaml", GROUPS.replace("groups:", "defaults: {ntp: [192.0.2.2]}\ngroups:"))
    host = merged(site, text + "    labels: {owner: me}\n", groups="hosts.d/groups.yaml")

    values = host.values

    assert (values.timezone, values.ntp, values.kernel_arguments) == (
        "Europe/Paris",
        ("192.0.2.2", "192.0.2.3"),
        ("quiet", "debug"),
    )
    assert values.labels == {"rack": "r1", "row": "b", "owner": "me"}
    assert values.variables == {"vlan": "120"}
    assert [str(each) for each in values.network.nameservers] == ["192.0.2.1", "192.0.2.7"]
    assert [[f"{each.place}: {each.where}" for each in origins] for origins in host.sources("ntp")] == [
        ["hosts.d/groups.yaml:4:11: groups.rack1.+ntp", "hosts.d/groups.yaml:1:17: defaults.ntp"],
        [],
    ]
    assert [[each.where for each in origins] for origins in host.sources("timezone")] == [
        ["groups.lit.timezone"],
        ["groups.rack1.timezone", "roles.worker.timezone", "defaults.timezone"],
    ]
    assert [[each.where for each in origins] for origins in host.sources("labels", "row")] == [
        ["groups.lit.labels.row"],
        ["groups.rack1.labels.row"],
    ]


def test_a_value_that_was_refused_is_not_in_force(site):
    host = merged(site, HOSTS.replace("kernel_arguments: []", "timezone: Nowhere/Land"))

    assert host.values.timezone == "Europe/Berlin"
    assert [str(origin.place) for origin in host.origins("timezone")] == ["hosts.yaml:7:15", "hosts.yaml:2:13"]


def test_the_mirrors_of_each_registry_are_replaced_as_a_list_and_the_other_registries_stay(site):
    site.write(
        "hosts.yaml",
        """\
        defaults: {registries: {quay.io: [a.example, {location: b.example/q, insecure: true}], docker.io: [a.example]}}
        hosts:
          w1: {role: worker, mac: 52:54:00:00:00:01, registries: {quay.io: [c.example], "ghcr.io/x": [d.example:5000]}}
          w2: {role: worker, mac: 52:54:00:00:00:02}
        """,
    )

    w1, w2 = (host.registries for host in site.load().hosts)

    docker = (RegistryMirror("a.example"),)
    assert w1 == {
        "quay.io": (RegistryMirror("c.example"),),
        "docker.io": docker,
        "ghcr.io/x": (RegistryMirror("d.example:5000"),),
    }
    assert w2 == {
        "quay.io": (RegistryMirror("a.example"), RegistryMirror("b.example/q", insecure=True)),
        "docker.io": docker,
    }
