"""Makes the HostSet from the hosts files: defaults, then the role, then the host itself.

`host_values` validates single values, `host_checks` compares them; this module applies both.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from netboot.model.host.firmware import RomIpxe
from netboot.model.host.host import Cluster, Host, HostName, HostNetwork, HostSet, Role
from netboot.registry import host_checks as checks
from netboot.registry import host_values as values
from netboot.registry.host_files import Declared
from netboot.registry.merge import SHARED_KEYS, HostEntry, HostLayer, read_host, read_shared
from netboot.yamlfile.faults import Faults, did_you_mean
from netboot.yamlfile.given import Given, Said, held

T = TypeVar("T")

UNNAMED_CLUSTER: Final = "cluster"


def build_hosts(declared: Declared, faults: Faults) -> HostSet:
    """Return all hosts with every default applied; faulty ones are left out and have a fault."""
    cluster = held(declared.cluster.values(), "cluster", faults, known=("name", "init"))
    name = values.read_name(cluster["name"]) if "name" in cluster else None
    init = cluster["init"].text() if "init" in cluster else None
    defaults = read_shared(held(declared.defaults.values(), "defaults", faults, known=SHARED_KEYS), is_host=False)
    roles = {role: layer.over(defaults) for role, layer in _read_roles(declared, faults).items()}
    entries = _read_entries(declared, faults)

    applied = {name: entry.layer.over(_below(entry, roles, defaults)) for name, entry in entries.items()}
    checks.check_macs(entries)
    checks.check_networks(entries, applied)
    checks.check_init(entries, applied, init=cluster.get("init"))
    checks.check_ignition(roles.values(), applied, init=init)
    hosts = [
        _host(host_name, entry.role.value, entry=entry, layer=applied[host_name], is_init=host_name == init)
        for host_name, entry in entries.items()
        if entry.role is not None and entry.macs
    ]
    return HostSet.of(Cluster(name or UNNAMED_CLUSTER, init), hosts)


def _read_roles(declared: Declared, faults: Faults) -> dict[Role, HostLayer]:
    roles = {}
    for name, entry in declared.roles.items():
        where = f"roles.{name}"
        if name not in list(Role):
            faults.add(entry.key.place, where, what="no such role", cure=did_you_mean(name, Role))
            continue
        given = held(declared.role_keys[name].values(), where, faults, known=SHARED_KEYS)
        roles[Role(name)] = read_shared(given, is_host=False)
    return roles


def _read_entries(declared: Declared, faults: Faults) -> dict[HostName, HostEntry]:
    entries = {}
    for name, entry in declared.hosts.items():
        where = f"hosts.{name}"
        host_name = values.read_host_name(Given(entry.key, where, faults), name)
        host = read_host(Given(entry.value, where, faults), declared_at=entry.key.place)
        if host_name is not None:
            entries[host_name] = host
    return entries


def _below(entry: HostEntry, roles: Mapping[Role, HostLayer], defaults: HostLayer) -> HostLayer:
    return roles.get(entry.role.value, defaults) if entry.role else defaults


def _host(name: HostName, role: Role, *, entry: HostEntry, layer: HostLayer, is_init: bool) -> Host:
    return Host(
        name=name,
        role=role,
        macs=tuple(mac.value for mac in entry.macs),
        boot_media=_value(layer.boot_media),
        release=_value(layer.release),
        disk=_value(layer.disk),
        timezone=_value(layer.timezone) or "UTC",
        ntp=_value(layer.ntp) or (),
        kernel_arguments=_value(layer.kernel_arguments) or (),
        network=_network(layer),
        ssh_keys=_value(layer.ssh_keys) or (),
        ignition=_value(layer.ignition_for(is_init=is_init)),
        loader=_value(layer.loader),
        firmware=_value(layer.firmware),
        rom_ipxe=_value(layer.rom_ipxe) or RomIpxe.KEEP,
        declared_at=str(entry.declared_at),
    )


def _network(layer: HostLayer) -> HostNetwork | None:
    """Make the record of a static address; a host without one uses DHCP, and the rest of the network is not used."""
    if layer.address is None:
        return None
    return HostNetwork(
        address=layer.address.value,
        gateway=_value(layer.gateway),
        nameservers=_value(layer.nameservers) or (),
        interface=_value(layer.interface),
    )


def _value(said: Said[T] | None) -> T | None:
    return None if said is None else said.value
