"""MOSK (Mirantis OpenStack for Kubernetes): hosts, the Machine that uses each, the cluster, and SSH keys.

Source: docs.mirantis.com, mosk/latest/api/mgmt-api/cluster-api: bmh, bmhi, machine, publickey.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from netboot.model.host.host import Role
from netboot.registry.importers.bare_metal.bare_metal_host import bare_metal_host
from netboot.registry.importers.foreign_object import ForeignObject
from netboot.registry.importers.imported import Imported, ImportedHost, table
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import Listing, Node, Scalar

KINDS: Final = frozenset({"BareMetalHost", "BareMetalHostInventory", "Cluster", "Machine", "PublicKey"})

_CLUSTER: Final = "cluster.sigs.k8s.io/cluster-name"
_CONTROL_PLANE: Final = "cluster.sigs.k8s.io/control-plane"  # any text; on a worker empty or missing
_ID: Final = "kaas.mirantis.com/baremetalhost-id"
_SELECTOR: Final = ("spec", "providerSpec", "value", "hostSelector", "matchLabels", _ID)
# The labels by which a Machine selects a host.
_ROLES: Final = {
    "hostlabel.bm.kaas.mirantis.com/controlplane": Role.CONTROL_PLANE,
    "hostlabel.bm.kaas.mirantis.com/worker": Role.WORKER,
    "hostlabel.bm.kaas.mirantis.com/storage": Role.WORKER,
}

# A machine in its project: by the name of the host, or by its identity.
_Key = tuple[str, str, str]


def mosk_hosts(objects: Sequence[ForeignObject], faults: Faults) -> Imported:
    """Return the hosts with the roles of their Machines; the keys of a project are a group of its hosts."""
    machines = {key: each for each in objects if each.kind == "Machine" for key in _keys_of_machine(each)}
    keys = _ssh_keys(objects, faults)
    hosts = [_host(each, machines, keys, faults) for each in _host_objects(objects)]
    clusters = [
        name
        for each in objects
        if (name := each.name if each.kind == "Cluster" else each.text("metadata", "labels", _CLUSTER)) is not None
    ]
    return Imported(hosts=[host for host in hosts if host is not None], clusters=clusters, groups=keys)


def _host(
    found: ForeignObject, machines: Mapping[_Key, ForeignObject], keys: Mapping[str, Node], faults: Faults
) -> ImportedHost | None:
    group = _group(found)
    host = bare_metal_host(found, faults, role=_role(found, machines))
    return replace(host, groups=(group,)) if host is not None and group in keys else host


def _host_objects(objects: Sequence[ForeignObject]) -> Iterator[ForeignObject]:
    """Yield each host once: MOSK keeps a BareMetalHost beside each BareMetalHostInventory."""
    inventories = [each for each in objects if each.kind == "BareMetalHostInventory"]
    yield from inventories
    described = {_by_name(each) for each in inventories}
    yield from (each for each in objects if each.kind == "BareMetalHost" and _by_name(each) not in described)


def _by_name(found: ForeignObject) -> _Key:
    return ("name", found.namespace, found.name.text if found.name else "")


def _keys_of_machine(machine: ForeignObject) -> Iterator[_Key]:
    """Yield what names the host of a Machine: its annotation, its selector."""
    named = machine.text("metadata", "annotations", "metal3.io/BareMetalHost")
    if named is not None:
        namespace, _, name = named.text.rpartition("/")
        yield ("name", namespace, name)
    selected = machine.text(*_SELECTOR)
    if selected is not None:
        yield ("id", machine.namespace, selected.text)


def _role(found: ForeignObject, machines: Mapping[_Key, ForeignObject]) -> Role | None:
    """Return the role of the Machine that uses a host, else that of its labels."""
    identity = found.text("metadata", "labels", _ID)
    by_id = machines.get(("id", found.namespace, identity.text)) if identity else None
    machine = machines.get(_by_name(found), by_id)
    if machine is not None:
        is_control_plane = machine.text("metadata", "labels", _CONTROL_PLANE) is not None
        return Role.CONTROL_PLANE if is_control_plane else Role.WORKER
    labels = found.entries("metadata", "labels")
    return next((role for label, role in _ROLES.items() if label in labels), None)


def _ssh_keys(objects: Sequence[ForeignObject], faults: Faults) -> dict[str, Node]:
    """Return a group for each project that has keys: they are added to those that its hosts inherit."""
    keys: dict[str, list[Scalar]] = {}
    for each in objects:
        if each.kind == "PublicKey" and (key := each.needed_text("spec", "publicKey", faults=faults)) is not None:
            keys.setdefault(_group(each), []).append(key)
    return {
        group: table(lines[0].place, {"+ssh_keys": Listing(lines[0].place, tuple(lines))})
        for group, lines in keys.items()
    }


def _group(found: ForeignObject) -> str:
    return found.namespace or "mosk"
