"""Checks values against each other: cards and names of two hosts, groups, disks, the host that starts the cluster."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from netboot.model.host.host import HostName, Role
from netboot.model.host.mac import Mac
from netboot.registry.faulty import macs_in
from netboot.registry.host_files import Declared
from netboot.registry.host_sections import HostSection
from netboot.registry.merge import ADDS, Merged
from netboot.yamlfile.faults import Faults, did_you_mean, nearest, shown
from netboot.yamlfile.nodes import Listing, Node, Scalar, Table, find
from netboot.yamlfile.sections import Section

Hosts = Mapping[HostName, Merged[HostSection]]

_DESCRIBED: Final = {
    "disk": "write the path of a disk, or what it must have, as {serial: S3Z8NB0K}",
    "release": "write the name of a release, or {url: http://192.0.2.20/ostree, ref: ock}",
}
_NEEDED_KEYS = {
    "role": f"add role: {' or '.join(Role)}",
    "mac": "add mac: 52:54:00:aa:bb:01, the address of the card that boots",
}


def check_needed_keys(declared: Declared, faults: Faults) -> None:
    """Refuse a host without role or card."""
    for name, entry in declared.table("hosts").entries.items():
        if isinstance(entry.value, Table) or (isinstance(entry.value, Scalar) and entry.value.is_null):
            for key, cure in _NEEDED_KEYS.items():
                if _lacks(declared.table("hosts", name), key, HostSection):
                    faults.add(entry.key.place, f"hosts.{name}", what=f"has no {key}", cure=cure)


def _lacks(table: Table, key: str, section: type[Section]) -> bool:
    """Return whether a key is missing, and no unknown key, which is a fault of its own, stands for it."""
    known = section.key_names()
    return key not in table.entries and not any(
        name not in known and nearest(name, known) == key for name in table.entries
    )


def check_groups(declared: Declared, hosts: Hosts, *, known: Collection[str], faults: Faults) -> None:
    """Refuse a group that is not declared, and one that a host lists twice."""
    for host in hosts.values():
        names = host.values.groups or ()
        for index, name in enumerate(names):
            origin = host.layers[0].written("groups", index)
            if name not in declared.table("groups").entries:
                cure = did_you_mean(name, known) if known else f"declare it: groups: {{{name}: {{…}}}}"
                faults.add(origin.place, origin.where, what=f"no group is called {shown(name)}", cure=cure)
            elif name in names[:index]:
                faults.add(origin.place, origin.where, what=f"{name} is listed already", cure="list it once")


def check_lists(declared: Declared, faults: Faults) -> None:
    """Refuse a list that is replaced and extended in one place."""
    for where, table in layer_tables(declared):
        for added in table.entries.keys() & set(ADDS.values()):
            name = added.removeprefix("+")
            if name in table.entries:
                what, cure = f"{name} is there too ({table.entries[name].key.place})", "write one of the two"
                faults.add(table.entries[added].key.place, f"{where}.{added}", what=what, cure=cure)


def check_abbreviated(declared: Declared, faults: Faults) -> None:
    """Refuse a disk or release that nothing describes, and an archive without URL or ref."""
    for where, table in layer_tables(declared):
        for key, cure in _DESCRIBED.items():
            entry = table.entries.get(key)
            if entry is None:
                continue
            value = entry.value
            if not value.entries if isinstance(value, Table) else _is_null(value):
                faults.add(value.place, f"{where}.{key}", what="is empty", cure=cure)
            elif key == "release" and isinstance(value, Table):
                _check_archive(value, f"{where}.{key}", faults)


def _check_archive(release: Table, where: str, faults: Faults) -> None:
    for key, other, example in (("url", "ref", "ref: ock"), ("ref", "url", "url: http://192.0.2.20/ostree")):
        if key in release.entries and other not in release.entries:
            faults.add(release.entries[key].key.place, f"{where}.{key}", what=f"has no {other}", cure=f"add {example}")


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.is_null


def layer_tables(declared: Declared) -> Iterator[tuple[str, Table]]:
    """Walk the tables whose lists a layer can extend: each layer, and its network."""
    layers = [("defaults", declared.tree.entries.get("defaults"))]
    for section in ("roles", "groups", "hosts"):
        layers += [(f"{section}.{name}", entry) for name, entry in declared.table(section).entries.items()]
    for where, entry in layers:
        for path in ((), ("network",)):
            if entry is not None and isinstance(table := find(entry.value, path), Table):
                yield ".".join((where, *path)), table


def check_host_names(hosts: Hosts, faults: Faults) -> None:
    """Refuse a system name of two hosts: Kubernetes identifies a node by it."""
    owners: dict[str, HostName] = {name: name for name, host in hosts.items() if host.values.hostname is None}
    for name, host in hosts.items():
        owner = owners.setdefault(host.values.hostname or name, name)
        if owner != name:
            [origin, *_] = host.origins("hostname")
            what = f"{host.values.hostname} is the name of {owner} ({hosts[owner].layers[0].table.place})"
            faults.add(origin.place, origin.where, what=what, cure="give each machine a name of its own")


def check_macs(hosts: Hosts, faults: Faults) -> None:
    """Refuse a card that two hosts claim, or one host twice."""
    owners: dict[Mac, tuple[HostName, int]] = {}
    for name, host in hosts.items():
        for index, mac in _cards(host):
            owner, first = owners.setdefault(mac, (name, index))
            if (owner, first) == (name, index):
                continue
            whose = "is listed already" if owner == name else f"belongs to {owner} already"
            cure = "list it once" if owner == name else "give each NIC to one host"
            origin, earlier = host.layers[0].written("mac", index), hosts[owner].layers[0].written("mac", first)
            faults.add(origin.place, origin.where, what=f"{mac} {whose} ({earlier.place})", cure=cure)


def _cards(host: Merged[HostSection]) -> Iterable[tuple[int, Mac]]:
    """List the cards of a host, each with its position; of a refused list those that can be read."""
    node = find(host.layers[0].table, ("mac",))
    if host.values.mac is not None or not isinstance(node, Listing):
        return enumerate(host.values.mac or ())
    return [
        (index, mac) for index, item in enumerate(node.items) if isinstance(item, Scalar) for mac in macs_in(item.text)
    ]


def check_init(declared: Declared, hosts: Hosts, *, init: str | None, faults: Faults) -> None:
    """Refuse a `cluster.init` that is not a control-plane host or has no `init` file, and unused `init` files."""
    if "init" not in declared.table("cluster").entries:
        _check_nobody_starts(hosts, faults)
        return
    if init is None:
        return
    host = hosts.get(HostName(init))
    if host is None and init in declared.table("hosts").entries:
        return  # a fault of its own
    refused = _refused_init(init, host, hosts)
    if refused is not None:
        place = declared.table("cluster").entries["init"].value.place
        faults.add(place, "cluster.init", what=refused[0], cure=refused[1])


def _refused_init(name: str, host: Merged[HostSection] | None, hosts: Hosts) -> tuple[str, str] | None:
    """Return why a host cannot start the cluster, and the cure."""
    if host is None:
        return f"no host is called {shown(name)}", did_you_mean(name, hosts) if hosts else "write it below hosts"
    role, ignition = host.values.role, host.values.ignition
    if role is not None and role is not Role.CONTROL_PLANE:
        place = host.origins("role")[0].place
        return f"{name} is a {role} ({place}), and the first node cannot be one", "name a control-plane host"
    if role is not None and ignition.init is None and ignition.join is not None:
        what = f"{name} starts the cluster, but its role has no init Ignition"
        return what, f"add roles.{role}.ignition.init, or remove cluster.init"
    return None


def _check_nobody_starts(hosts: Hosts, faults: Faults) -> None:
    for name, host in hosts.items():
        ignition = host.values.ignition
        if host.values.role is Role.CONTROL_PLANE and ignition.init and ignition.init != ignition.join:
            origin = host.origins("ignition", "init")[0]
            what = "is for the host that starts the cluster, and none does"
            faults.add(origin.place, origin.where, what=what, cure=f"add cluster: {{init: {name}}}")
            return
