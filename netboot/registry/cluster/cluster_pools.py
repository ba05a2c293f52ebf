"""Compares address pools with what the cluster uses: the address of its API, and the subnets of pods and services."""

from collections.abc import Mapping

from netboot.model.host.address_pool import AddressPool
from netboot.registry.cluster.cluster_network import ClusterNetwork
from netboot.registry.host_files import Declared
from netboot.registry.sections.pool_section import PoolSection
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import find_nearest


def check_cluster_pools(
    cluster: ClusterNetwork, declared: Declared, pools: Mapping[str, PoolSection], faults: Faults
) -> None:
    """Refuse a pool with an address that the cluster uses; warn of one that it uses unless `byo.yaml` has another."""
    for name, section in pools.items():
        for family, suffix in (("address", ""), ("address6", "6")):
            pool = section.pool(family)
            if pool is not None:
                _check_api(cluster, pool, (name, f"addresses{suffix}"), declared, faults)
                _check_subnet(cluster, pool, (name, f"subnet{suffix}"), declared, faults)


def _check_api(
    cluster: ClusterNetwork, pool: AddressPool, path: tuple[str, str], declared: Declared, faults: Faults
) -> None:
    for api in cluster.addresses:
        if api.address.version != pool.subnet.version:
            continue
        span = next((span for span in pool.spans if api.address in span), None)
        if span is not None:
            what = f"{span} contains {api.address}, the address of the cluster's API ({api.stated_in})"
            _add(path, declared, faults, what=what, cure="write the addresses without it")


def _check_subnet(
    cluster: ClusterNetwork, pool: AddressPool, path: tuple[str, str], declared: Declared, faults: Faults
) -> None:
    for subnet in cluster.subnets:
        if subnet.network.version != pool.subnet.version or not pool.subnet.overlaps(subnet.network):
            continue
        what = f"{pool.subnet} overlaps the {subnet.noun} {subnet.network} of {subnet.of}"
        cure = subnet.cure if subnet.is_default else f"correct the subnet, or {subnet.cure}"
        _add(path, declared, faults, what=what, cure=cure, is_warning=subnet.is_default)


def _add(
    path: tuple[str, str], declared: Declared, faults: Faults, *, what: str, cure: str, is_warning: bool = False
) -> None:
    place = find_nearest(declared.table("address_pools"), path).place
    add = faults.warn if is_warning else faults.add
    add(place, f"address_pools.{'.'.join(path)}", what=what, cure=cure)
