"""Checks the networks of hosts: addresses of two hosts, routers out of reach, and bonds and VLANs."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Final

from netboot.model.host.host import HostName
from netboot.model.host.host_network import BOND_NAME
from netboot.registry.host_sections import HostSection, StaticNetwork
from netboot.registry.merge import Merged
from netboot.yamlfile.faults import Faults, nearest
from netboot.yamlfile.nodes import Table, find

Hosts = Mapping[HostName, Merged[HostSection]]

_LONGEST_DEVICE: Final = 15  # IFNAMSIZ without its zero byte
# Each address with its router.
_FAMILIES: Final = (("address", "gateway"), ("address6", "gateway6"))


def check_networks(hosts: Hosts, faults: Faults) -> None:
    """Refuse an address of two hosts, a router that a host cannot reach, and a bond or VLAN that cannot be made."""
    owners: dict[IPv4Address | IPv6Address, tuple[HostName, str]] = {}
    for name, host in hosts.items():
        for key, gateway_key in _FAMILIES:
            _check_family(host, key, gateway_key, owners=owners, name=name, hosts=hosts, faults=faults)
        _check_routes(host, faults)
        _check_devices(host, faults)


def _check_family(
    host: Merged[HostSection],
    key: str,
    gateway_key: str,
    *,
    owners: dict[IPv4Address | IPv6Address, tuple[HostName, str]],
    name: HostName,
    hosts: Hosts,
    faults: Faults,
) -> None:
    address = getattr(host.values.network, key)
    gateway = getattr(host.values.network, gateway_key)
    if address is None:
        own_gateway = host.layers[0].origin("network", gateway_key)
        if own_gateway is not None and host.values.network.pool is None and not _is_misspelt(host, key):
            example = "192.0.2.101/24" if key == "address" else "2001:db8::101/64"
            cure = f"add {key}: {example}, or remove {gateway_key}"
            faults.add(own_gateway.place, own_gateway.where, what=f"is not used without {key}", cure=cure)
        return
    is_own = getattr(host.layers[0].values.network, key) is not None
    owner, owner_key = owners.setdefault(address.ip, (name, key)) if is_own else (name, key)
    if owner != name:
        [origin], [first] = host.origins("network", key), hosts[owner].origins("network", owner_key)
        what = f"{address.ip} belongs to {owner} already ({first.place})"
        faults.add(origin.place, origin.where, what=what, cure="give each host its own")
    if gateway is not None:
        _check_gateway(gateway, address, gateway_key=gateway_key, host=host, faults=faults)


def _is_misspelt(host: Merged[HostSection], key: str) -> bool:
    """Return whether an unknown key, which is a fault of its own, or a refused value stands for this one."""
    written = find(host.layers[0].table, ("network",))
    known = StaticNetwork.key_names()
    return isinstance(written, Table) and any(
        name == key or (name not in known and nearest(name, known) == key) for name in written.entries
    )


def _check_gateway(
    gateway: IPv4Address | IPv6Address,
    address: IPv4Interface | IPv6Interface,
    *,
    gateway_key: str,
    host: Merged[HostSection],
    faults: Faults,
) -> None:
    network = address.network
    ends = (network.network_address, network.broadcast_address) if isinstance(address, IPv4Interface) else ()
    if gateway == address.ip:
        what, cure = "is the host itself", "name the router of that network"
    elif gateway not in network and not _is_on_every_link(gateway):
        what, cure = f"is outside {network}", "correct the gateway or the prefix"
    elif network.prefixlen < 31 and gateway in ends:
        what, cure = f"is not a machine's address in {network}", "name the router"
    else:
        return
    add_network_fault(host, gateway_key, f"the gateway {gateway}", what, cure, faults)


def _is_on_every_link(router: IPv4Address | IPv6Address) -> bool:
    return isinstance(router, IPv6Address) and router.is_link_local


def _check_routes(host: Merged[HostSection], faults: Faults) -> None:
    network = host.values.network
    for route in network.routes or ():
        address = network.address if isinstance(route.via, IPv4Address) else network.address6
        named = f"the router {route.via} of {route.to}"
        if route.to.version != route.via.version:
            add_network_fault(host, "routes", named, "is of another family", "correct one of the two", faults)
        elif address is not None and route.via not in address.network and not _is_on_every_link(route.via):
            add_network_fault(
                host, "routes", named, f"is outside {address.network}", "correct it or the prefix", faults
            )


def _check_devices(host: Merged[HostSection], faults: Faults) -> None:
    for key, what, cure in _device_faults(host.values):
        add_network_fault(host, key, f"the {key}", what, cure, faults)


def add_network_fault(host: Merged[HostSection], key: str, named: str, what: str, cure: str, faults: Faults) -> None:
    """Add a fault of a key of the network: where the host has it, else at the host, with the place of the key."""
    in_force, _ = host.sources("network", key)
    own = next((origin for origin in in_force if origin.where.startswith(f"{host.layers[0].where}.")), None)
    if own is None:
        address = host.layers[0].origin("network", "address6" if key == "gateway6" else "address")
        named, own = f"{named} ({in_force[0].place})", address or host.layers[0].written("mac")
    faults.add(own.place, own.where, what=f"{named} {what}", cure=cure)


def _device_faults(values: HostSection) -> Iterator[tuple[str, str, str]]:
    network, macs = values.network, values.mac or ()
    if network.bond is not None and values.mac is not None and len(macs) < 2:
        yield "bond", "needs two cards, and the host has one", "list the MAC of each card, the one that boots first"
    for key in ("bond", "vlan"):
        if getattr(network, key) is not None and any(mac.is_infiniband for mac in macs):
            yield key, "cannot be on an InfiniBand port", "remove it"
    carrier = network.interface or (BOND_NAME if network.bond is not None else None)
    if network.vlan is not None and carrier is not None:
        device = f"{carrier}.{network.vlan}"
        if len(device) > _LONGEST_DEVICE:
            cure = f"a device has {_LONGEST_DEVICE} characters at most; write a shorter interface"
            yield "interface", f"makes a VLAN device of {len(device)} characters, {device}", cure
