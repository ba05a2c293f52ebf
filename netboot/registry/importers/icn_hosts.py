"""Akraino ICN: the Provisioning objects of the Binary Provisioning Agent. Masters are control planes.

Source: `cmd/bpa-operator/deploy/crds` of akraino-edge-stack/icn, branch icn-v0.3.0.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from netboot.model.host.host import Role
from netboot.registry.host_values import is_label
from netboot.registry.importers.foreign_object import ForeignObject
from netboot.registry.importers.imported import Imported, ImportedHost
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import Listing, Scalar, Table, find

KINDS: Final = frozenset({"Provisioning"})

_ROLES: Final = {"masters": Role.CONTROL_PLANE, "workers": Role.WORKER}


def icn_hosts(objects: Sequence[ForeignObject], faults: Faults) -> Imported:
    """Return the hosts of both lists, labelled with the owner."""
    hosts = [host for each in objects for host in _hosts(each, faults)]
    clusters = [name for each in objects if (name := each.text("metadata", "labels", "cluster")) is not None]
    return Imported(hosts=hosts, clusters=clusters)


def _hosts(found: ForeignObject, faults: Faults) -> Iterator[ImportedHost]:
    owner = found.text("metadata", "labels", "owner")
    labels = {"owner": owner} if owner is not None and is_label("owner", owner.text) else {}
    for key, role in _ROLES.items():
        nodes = find(found.table, ("spec", key))
        if not isinstance(nodes, Listing):
            if nodes is not None and not (isinstance(nodes, Scalar) and nodes.is_null):
                where = f"{found.full_name} spec.{key}"
                faults.add(nodes.place, where, what="must be a list", cure="write - name: {mac-address: MAC}")
            continue
        for index, node in enumerate(nodes.items):
            where = f"{found.full_name} spec.{key}[{index}]"
            if not isinstance(node, Table):
                faults.add(node.place, where, what="must be a table", cure="write name: {mac-address: MAC}")
                continue
            for entry in node.entries.values():
                mac = find(entry.value, ("mac-address",))
                if not isinstance(mac, Scalar) or mac.is_null or not mac.text:
                    faults.add(entry.key.place, where, what="has no mac-address", cure="write mac-address: MAC")
                    continue
                others = sorted(entry.value.entries.keys() - {"mac-address"}) if isinstance(entry.value, Table) else []
                notes = (f"not taken over: {', '.join(others)}",) if others else ()
                yield ImportedHost(entry.key, mac, role, labels=labels, source=found.full_name, notes=notes)
