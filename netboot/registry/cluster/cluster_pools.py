"""Compares address pools with what the cluster uses: the address of its API, and the subnets of pods and services."""

from collections.abc import Mapping
from typing import Final

from netboot.model.host.address_pool import AddressPool
from netboot.model.host.role_ignition import RoleFile
from netboot.registry.cluster.byo import POD_SUBNET, SERVICE_SUBNET
from netboot.registry.cluster.cluster_files import NamedFiles
from netboot.registry.cluster.one_cluster import api_address, first_file, subnets_of
from netboot.registry.host_files import Declared
from netboot.registry.pool_section import PoolSection
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import find_nearest

_DEFAULTS: Final = RoleFile(pod_subnet=POD_SUBNET, service_subnet=SERVICE_SUBNET)
_BYO_KEYS: Final = {"pod subnet": "podSubnet", "service subnet": "serviceSubnet"}


def check_cluster_pools(
    files: NamedFiles, declared: Declared, pools: Mapping[str, PoolSection], faults: Faults
) -> None:
    """Refuse a pool with an address that the cluster uses; warn of one that it uses unless `byo.yaml` has another."""
    for name, section in pools.items():
        for family, suffix in (("address", ""), ("address6", "6")):
            pool = section.pool(family)
            if pool is not None:
                _check_api(files, pool, (name, f"addresses{suffix}"), declared, faults)
                _check_subnet(files, pool, (name, f"subnet{suffix}"), declared, faults)


def _check_api(files: NamedFiles, pool: AddressPool, path: tuple[str, str], declared: Declared, faults: Faults) -> None:
    api, first = api_address(files), first_file(files)
    if api is None or first is None or api.version != pool.subnet.version:
        return
    span = next((span for span in pool.spans if api in span), None)
    if span is not None:
        what = f"{span} contains {api}, the address of the cluster's API ({first.path})"
        _add(path, declared, faults, what=what, cure="write the addresses without it")


def _check_subnet(
    files: NamedFiles, pool: AddressPool, path: tuple[str, str], declared: Declared, faults: Faults
) -> None:
    stated = next((each for each in files.values() if each.file.pod_subnet or each.file.service_subnet), None)
    for noun, network in subnets_of(stated.file if stated is not None else _DEFAULTS):
        if network.version != pool.subnet.version or not pool.subnet.overlaps(network):
            continue
        what = f"{pool.subnet} overlaps the {noun} {network} of"
        if stated is not None:
            cure = "correct the subnet, or make the files again with another subnet"
            _add(path, declared, faults, what=f"{what} the cluster ({stated.path})", cure=cure)
        else:
            cure = f"set another {_BYO_KEYS[noun]} in byo.yaml before you make the Ignition files"
            _add(path, declared, faults, what=f"{what} ocne's default", cure=cure, is_warning=True)


def _add(
    path: tuple[str, str], declared: Declared, faults: Faults, *, what: str, cure: str, is_warning: bool = False
) -> None:
    place = find_nearest(declared.table("address_pools"), path).place
    add = faults.warn if is_warning else faults.add
    add(place, f"address_pools.{'.'.join(path)}", what=what, cure=cure)
