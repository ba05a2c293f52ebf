"""The configuration of `ocne` for the provider `olvm`: the address pools of its machines, which have no MACs.

Source: `doc/cluster-management/olvm.md` of ocne. IPv4 is required there, and IPv6 addresses have no subnet.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Final, TypeVar

from netboot.model.host.host import Role
from netboot.registry.host_sections import HostsDocument
from netboot.registry.importers.foreign_object import ForeignObject
from netboot.registry.importers.imported import Imported, table, text
from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.nodes import Node, Scalar, Table, find_nearest
from netboot.yamlfile.sections import read_section

T = TypeVar("T")

_MACHINES: Final = {Role.CONTROL_PLANE: "controlPlaneMachine", Role.WORKER: "workerMachine"}
# Each key of a pool with its place below the network of a machine.
_KEYS: Final = {"subnet": ("ipv4", "subnet"), "addresses": ("ipv4", "ipAddresses"), "gateway": ("gateway",)}
_POOL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

_Pool = Mapping[str, Scalar]


def olvm_pools(objects: Sequence[ForeignObject], faults: Faults) -> Imported:
    """Return a pool for each kind of machine, or one if both have the same addresses; each role names its pool."""
    found = objects[0]
    name = found.needed_text("name", faults=faults)
    pools = {role: pool for role in Role if (pool := _pool(found, role, faults)) is not None}
    if not pools and not faults:
        where = " or ".join(f"providers.olvm.{machine}" for machine in _MACHINES.values())
        faults.add(found.place, where, what="has no virtualMachine.network", cure="write it, as ocne requires")
    names = _names(pools, name.text if name else "")
    roles: dict[str, Node] = {
        role: table(found.place, {"network": table(found.place, {"pool": text(found.place, pool)})})
        for role, pool in names.items()
    }
    named: dict[str, Node] = {}
    for role, pool in pools.items():
        named.setdefault(names[role], table(_place(found, role), pool))
    _check_cluster_networks(found, table(found.place, named), faults)
    return Imported(
        clusters=[name] if name else [],
        roles=roles,
        pools=named,
        notes=[note for role in pools for note in _notes(found, role)],
    )


def _pool(found: ForeignObject, role: Role, faults: Faults) -> _Pool | None:
    """Return the addresses of one kind of machine; None without a network, or with a fault for one of IPv6 alone."""
    network = _network(role)
    pool = {key: value for key, path in _KEYS.items() if (value := found.text(*network, *path)) is not None}
    if "addresses" in pool:
        return pool
    if found.entries(*network):
        what = "is missing, and IPv6 alone is not possible: OCNE's nodes need IPv4"
        faults.add(
            _place(found, role), ".".join((*network, *_KEYS["addresses"])), what=what, cure="write IPv4 addresses"
        )
    return None


def _place(found: ForeignObject, role: Role) -> Place:
    return find_nearest(found.table, _network(role)).place


def _network(role: Role) -> tuple[str, ...]:
    return ("providers", "olvm", _MACHINES[role], "virtualMachine", "network")


def _names(pools: Mapping[Role, _Pool], cluster: str) -> dict[Role, str]:
    """Name one pool after the cluster, two after the roles."""
    written = {tuple((key, value.text) for key, value in pool.items()) for pool in pools.values()}
    if len(written) > 1:
        return {role: str(role) for role in pools}
    return dict.fromkeys(pools, cluster if _POOL_NAME.fullmatch(cluster) else "olvm")


def _notes(found: ForeignObject, role: Role) -> Iterator[str]:
    network = _network(role)
    interface = found.text(*network, "interface")
    if interface is not None:
        yield f"{_MACHINES[role]}: the interface of the virtual machines is not that of a host: not taken over"
    if found.text(*network, "ipv6", "ipAddresses") is not None:
        yield f"{_MACHINES[role]}: ipv6.ipAddresses not taken over, without a subnet: write subnet6 and addresses6"


def _check_cluster_networks(found: ForeignObject, pools: Table, faults: Faults) -> None:
    """Refuse the virtual IP in a pool, and a pool in the network of pods or services."""
    read = read_section(HostsDocument, table(found.place, {"address_pools": pools}), Faults())
    for name, section in read.address_pools.items():
        pool = section.pool("address")
        for place, virtual_ip in _read(found, "virtualIp", ip_address):
            if pool is not None and virtual_ip in pool:
                what = f"{virtual_ip} is in the pool {name}, so a host could get it"
                faults.add(place, "virtualIp", what=what, cure="write the addresses of the machines without it")
        for key in ("podSubnet", "serviceSubnet"):
            for place, network in _read(found, key, partial(ip_network, strict=False)):
                if network.overlaps(section.subnet):
                    what = f"{network} overlaps {section.subnet}, the subnet of the pool {name}"
                    faults.add(place, key, what=what, cure="give the cluster another network")


def _read(found: ForeignObject, key: str, read: Callable[[str], T]) -> Iterator[tuple[Place, T]]:
    """Yield the values of a key that can be read: one, or one of each family."""
    written = found.text(key)
    if written is None:
        return
    for part in written.text.split(","):
        with suppress(ValueError):
            yield written.place, read(part.strip())
