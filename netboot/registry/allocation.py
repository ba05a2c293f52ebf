"""Chooses the addresses that hosts get from their pools. Pure: what the store has recorded is an argument.

A host keeps its recorded address as long as its pool has it. Another host gets the lowest address that is not recorded;
only if there is none, one that is recorded for a host that no longer uses it. So a host that is added, removed or moved
to another file changes no other host's address.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface
from itertools import chain
from types import MappingProxyType
from typing import Final

from netboot.model.host.address_pool import AddressPool, Allocation, IpAddress, RecordedAddress
from netboot.model.host.host import HostName
from netboot.registry.host_sections import HostSection
from netboot.registry.merge import Merged
from netboot.registry.sections.pool_section import POOL_KEYS, PoolSection

Hosts = Mapping[HostName, Merged[HostSection]]
Recorded = Mapping[IpAddress, RecordedAddress]
# By host and key: `address` or `address6`. None: the pool has no address left.
Given = Mapping[tuple[HostName, str], Allocation | None]

NONE_RECORDED: Final[Recorded] = MappingProxyType({})


def allocate(hosts: Hosts, pools: Mapping[str, PoolSection], recorded: Recorded) -> Given:
    """Return an address of its pool for each host that takes one."""
    takers: dict[tuple[str, str], list[HostName]] = {}
    for name, host in hosts.items():
        for key in POOL_KEYS:
            if _takes_from_pool(host.values, key):
                takers.setdefault((str(host.values.network.pool), key), []).append(name)
    taken = set(_addresses_of_others(hosts.values())) if takers else set()
    given: dict[tuple[HostName, str], Allocation | None] = {}
    for (pool_name, key), its_hosts in takers.items():
        pool = pools[pool_name].pool(key) if pool_name in pools else None
        if pool is not None:
            found = _of_one_pool(its_hosts, pool, recorded=recorded, taken=taken)
            given |= {(host, key): found.get(host) for host in its_hosts}
    return given


def _takes_from_pool(host: HostSection, key: str) -> bool:
    """Return whether a host gets its `address` or `address6` from a pool; one with its own IPv4 address gets none."""
    network = host.network
    return network.pool is not None and network.address is None and getattr(network, key) is None


def with_addresses(hosts: Hosts, pools: Mapping[str, PoolSection], given: Given) -> dict[HostName, Merged[HostSection]]:
    """Return all hosts, with the addresses that they are given."""
    addresses: dict[HostName, dict[str, IPv4Interface | IPv6Interface]] = {}
    for (name, key), allocation in given.items():
        pool = pools[str(hosts[name].values.network.pool)].pool(key)
        if allocation is not None and pool is not None:
            interface = IPv4Interface if isinstance(allocation.address, IPv4Address) else IPv6Interface
            addresses.setdefault(name, {})[key] = interface((allocation.address, pool.subnet.prefixlen))
    return {name: _with_network(host, addresses[name]) if name in addresses else host for name, host in hosts.items()}


def _with_network(
    host: Merged[HostSection], addresses: Mapping[str, IPv4Interface | IPv6Interface]
) -> Merged[HostSection]:
    network = host.values.network.model_copy(update=dict(addresses))
    return replace(host, values=host.values.model_copy(update={"network": network}))


def _of_one_pool(
    takers: Sequence[HostName], pool: AddressPool, *, recorded: Recorded, taken: Set[IpAddress]
) -> dict[HostName, Allocation]:
    of_pool = sorted((record for record in recorded.values() if record.address in pool), key=lambda each: each.at)
    found: dict[HostName, Allocation] = {}
    wanted = set(takers)
    for record in of_pool:
        if record.host in wanted:
            found.setdefault(record.host, Allocation(record.address, record.host, record))
    unavailable = taken | {allocation.address for allocation in found.values()}
    free = (address for address in pool.addresses() if address not in recorded and address not in taken)
    spare = sorted((record.address for record in of_pool if record.address not in unavailable), key=int)
    candidates = chain(free, spare)
    for host in takers:
        if host not in found and (address := next(candidates, None)) is not None:
            found[host] = Allocation(address, host, recorded.get(address))
    return found


def _addresses_of_others(hosts: Iterable[Merged[HostSection]]) -> Iterator[IpAddress]:
    """Yield the addresses that the hosts files give to a machine: a host, a router, a name or time server."""
    for host in hosts:
        network = host.values.network
        yield from (own.ip for own in (network.address, network.address6) if own is not None)
        yield from (router for router in (network.gateway, network.gateway6) if router is not None)
        yield from (route.via for route in network.routes or ())
        yield from network.nameservers or ()
        yield from (IPv4Address(server) for server in host.values.ntp or () if server.replace(".", "").isdecimal())
