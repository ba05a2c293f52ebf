"""Merges the layers of hosts: `defaults`, the role, the groups and the host, each above the pool that it names."""

from collections.abc import Mapping
from functools import cache, reduce
from typing import Final, TypeVar

from netboot.model.host.host import HostName, Role
from netboot.registry.host_files import Declared
from netboot.registry.host_sections import HostsDocument, HostSection, SharedNetwork, SharedValues
from netboot.registry.merge import NOTHING, Merged, ValueLayer, over
from netboot.registry.sections.pool_section import PoolSection

V = TypeVar("V", bound=SharedValues)
PoolLayers = Mapping[str, ValueLayer[SharedValues]]

_GIVEN_BY_POOL: Final = ("gateway", "gateway6", "nameservers", "search")


def merge_layers(
    declared: Declared, document: HostsDocument
) -> tuple[dict[Role, Merged[SharedValues]], dict[HostName, Merged[HostSection]]]:
    """Return the values of roles and hosts with those of the layers below them; unknown groups are left out.

    The values of a pool are below the layer that names the pool.
    """
    pools = {name: _pool_layer(declared, name, pool) for name, pool in document.address_pools.items()}
    defaults = _over(ValueLayer("defaults", declared.table("defaults"), document.defaults), NOTHING, pools)
    roles = {
        role: _over(ValueLayer(f"roles.{role}", declared.table("roles", role), values), defaults, pools)
        for role, values in document.roles.items()
    }
    groups = {
        name: ValueLayer(f"groups.{name}", declared.table("groups", name), values)
        for name, values in document.groups.items()
    }

    @cache  # many hosts have one role, the same groups and one pool
    def inherited(role: Role | None, names: tuple[str, ...], pool: str | None) -> Merged[SharedValues]:
        below = roles.get(role, defaults) if role else defaults
        known = filter(groups.__contains__, names)
        return _with_pool(pool, reduce(lambda merged, name: _over(groups[name], merged, pools), known, below), pools)

    def merged(name: HostName, own: HostSection) -> Merged[HostSection]:
        layer = ValueLayer(f"hosts.{name}", declared.table("hosts", name), own)
        found = over(layer, inherited(own.role, own.groups or (), own.network.pool))
        pool = document.address_pools.get(found.values.network.pool or "")
        is_elsewhere = pool is not None and own.network.address is not None and own.network.address not in pool.subnet
        return _without_pools(layer, found) if is_elsewhere else found

    return roles, {name: merged(name, own) for name, own in document.hosts.items()}


def _without_pools(top: ValueLayer[V], merged: Merged[V]) -> Merged[V]:
    """Merge the layers of a host again without those of pools: its own address is of another LAN."""
    lower = [layer for layer in merged.layers[1:] if not layer.inside]
    return over(top, reduce(lambda below, layer: over(layer, below), reversed(lower), NOTHING))


def _pool_layer(declared: Declared, name: str, pool: PoolSection) -> ValueLayer[SharedValues]:
    """Make the layer of what a pool gives to each of its hosts, besides the address."""
    given = {key: value for key in _GIVEN_BY_POOL if (value := getattr(pool, key)) is not None}
    network = SharedNetwork().model_copy(update=given)
    values = SharedValues().model_copy(update={"network": network})
    return ValueLayer(f"address_pools.{name}", declared.table("address_pools", name), values, inside=("network",))


def _over(layer: ValueLayer[V], below: Merged[SharedValues], pools: PoolLayers) -> Merged[V]:
    return over(layer, _with_pool(layer.values.network.pool, below, pools))


def _with_pool(name: str | None, below: Merged[SharedValues], pools: PoolLayers) -> Merged[SharedValues]:
    """Put the values of a pool over others, if it is known."""
    return over(pools[name], below) if name is not None and name in pools else below
