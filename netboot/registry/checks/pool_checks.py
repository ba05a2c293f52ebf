"""Checks address pools against each other and with the hosts that name them."""

from collections.abc import Mapping
from itertools import combinations, product
from typing import Final

from netboot.model.host.address_pool import Allocation
from netboot.model.host.host import HostName
from netboot.registry.allocation import Given, Hosts
from netboot.registry.checks.host_checks import layer_tables
from netboot.registry.checks.network_checks import add_network_fault
from netboot.registry.host_files import Declared
from netboot.registry.sections.pool_section import POOL_KEYS, PoolSection
from netboot.yamlfile.faults import Faults, Place, did_you_mean, shown
from netboot.yamlfile.nodes import Scalar, find, find_nearest

Pools = Mapping[str, PoolSection]

_EXAMPLE: Final = "{subnet: 192.0.2.0/24, addresses: 192.0.2.40-192.0.2.50}"


def check_pools(declared: Declared, pools: Pools, faults: Faults) -> None:
    """Refuse an address of two pools, and a name of none."""
    _check_names(declared, faults)
    _check_overlaps(declared, pools, faults)


def check_given(hosts: Hosts, given: Given, faults: Faults) -> None:
    """Refuse a host that its pool has no address for, and a host's own address that another one has from a pool."""
    owners = {
        own.ip: (name, key)
        for name, host in hosts.items()
        for key in POOL_KEYS
        if (own := getattr(host.layers[0].values.network, key)) is not None
    }
    for (name, key), allocation in given.items():
        pool = hosts[name].values.network.pool
        if allocation is None:
            what = f"has no {'IPv6 ' if key == 'address6' else ''}address left for {name}"
            cure = f"add one to address_pools.{pool}.{POOL_KEYS[key]}"
            add_network_fault(hosts[name], "pool", f"the pool {pool}", what, cure, faults)
        elif allocation.address in owners:
            _refuse_own_address(owners[allocation.address], allocation, hosts, faults)


def _refuse_own_address(owner: tuple[HostName, str], allocation: Allocation, hosts: Hosts, faults: Faults) -> None:
    (name, key), pool = owner, hosts[allocation.host].values.network.pool
    [origin] = hosts[name].origins("network", key)
    what = f"{allocation.address} was allocated to {allocation.host} from the pool {pool}"
    faults.add(origin.place, origin.where, what=what, cure=f"give {name} another address")


def _check_names(declared: Declared, faults: Faults) -> None:
    known = declared.table("address_pools").entries
    for where, table in layer_tables(declared):
        named = find(table, ("network", "pool"))
        if isinstance(named, Scalar) and named.text and not named.is_null and named.text not in known:
            example = f"declare it: address_pools: {{{named.text}: {_EXAMPLE}}}"
            cure = did_you_mean(named.text, known) if known else example
            what = f"no pool is called {shown(named.text)}"
            faults.add(named.place, f"{where}.network.pool", what=what, cure=cure)


def _check_overlaps(declared: Declared, pools: Pools, faults: Faults) -> None:
    for (first, one), (second, other) in combinations(pools.items(), 2):
        for key in POOL_KEYS.values():
            pairs = product(getattr(one, key) or (), getattr(other, key) or ())
            shared = next(((before, span) for before, span in pairs if before.overlaps(span)), None)
            if shared is not None:
                before, span = shared
                what = f"{span} overlaps {before} of {first} ({_place(declared, first, key)})"
                place, where = _place(declared, second, key), f"address_pools.{second}.{key}"
                faults.add(place, where, what=what, cure="give each address to one pool")


def _place(declared: Declared, *path: str) -> Place:
    return find_nearest(declared.table("address_pools"), path).place
