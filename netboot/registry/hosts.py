"""Makes the HostSet from the hosts files: defaults, then the role, then the groups, then the host itself."""

from functools import cache, reduce
from typing import Final

from netboot.model.host.firmware import RomIpxe
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.host_network import Bond, HostNetwork, Route
from netboot.registry.checks import host_checks as checks
from netboot.registry.checks.network_checks import check_networks
from netboot.registry.cluster.byo import check_byo
from netboot.registry.cluster.cluster_files import Contents, NamedFiles, check_uses, files_of_uses, read_cluster_files
from netboot.registry.cluster.one_cluster import (
    api_of,
    check_addresses,
    check_interfaces,
    check_one_cluster,
    warn_of_even_control_planes,
)
from netboot.registry.host_files import Declared
from netboot.registry.host_sections import ClusterSection, HostsDocument, HostSection, SharedValues, StaticNetwork
from netboot.registry.merge import Merged, Origin, ValueLayer, lowest, over
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import Scalar, find
from netboot.yamlfile.sections import read_section

NOTHING: Final[Contents] = {}


def build_hosts(declared: Declared, faults: Faults, *, contents: Contents = NOTHING) -> HostSet:
    """Return all hosts with every default applied; faulty ones are left out and have a fault.

    `contents` replaces what Ignition files have.
    """
    document = read_section(HostsDocument, declared.tree, faults)
    name, init = document.cluster.name, document.cluster.init
    roles, hosts = merge_layers(declared, document)
    entries = declared.table("hosts").entries

    checks.check_needed_keys(declared, faults)
    checks.check_groups(declared, hosts, known=document.groups, faults=faults)
    checks.check_lists(declared, faults)
    checks.check_abbreviated(declared, faults)
    checks.check_host_names(hosts, faults)
    checks.check_macs(hosts, faults)
    check_networks(hosts, faults)
    checks.check_init(declared, hosts, init=init, faults=faults)
    read = [
        _host(host, role, merged.values, is_init=host == init, declared_at=str(entries[host].key.place))
        for host, merged in hosts.items()
        if (role := merged.values.role) is not None and merged.values.mac
    ]
    files = read_cluster_files(roles.values(), hosts, contents=contents, faults=faults)
    check_uses(files, hosts, init=init, faults=faults)
    check_one_cluster(files, faults)
    check_addresses(files, hosts, faults)
    check_interfaces(files, hosts, read, faults)
    warn_of_even_control_planes(hosts, faults)
    _check_byo(declared, document.cluster, files, faults)
    uses = dict(files_of_uses(roles, hosts, init=init))
    return HostSet.of(Cluster(name or "cluster", init, uses, api_of(files)), read)


def _check_byo(declared: Declared, cluster: ClusterSection, files: NamedFiles, faults: Faults) -> None:
    if cluster.byo is None:
        return
    table = declared.table("cluster")
    named = Origin(table.entries["byo"].value.place, "cluster.byo")
    name = find(table, ("name",))
    check_byo(cluster.byo, named, name=name if isinstance(name, Scalar) else None, files=files, faults=faults)


def merge_layers(
    declared: Declared, document: HostsDocument
) -> tuple[dict[Role, Merged[SharedValues]], dict[HostName, Merged[HostSection]]]:
    """Return the values of roles and hosts with those of the layers below them; unknown groups are left out."""
    defaults = lowest(ValueLayer("defaults", declared.table("defaults"), document.defaults))
    roles = {
        role: over(ValueLayer(f"roles.{role}", declared.table("roles", role), values), defaults)
        for role, values in document.roles.items()
    }
    groups = {
        name: ValueLayer(f"groups.{name}", declared.table("groups", name), values)
        for name, values in document.groups.items()
    }

    @cache  # many hosts have one role and the same groups
    def inherited(role: Role | None, names: tuple[str, ...]) -> Merged[SharedValues]:
        below = roles.get(role, defaults) if role else defaults
        return reduce(lambda merged, name: over(groups[name], merged), filter(groups.__contains__, names), below)

    hosts = {
        name: over(
            ValueLayer(f"hosts.{name}", declared.table("hosts", name), own), inherited(own.role, own.groups or ())
        )
        for name, own in document.hosts.items()
    }
    return roles, hosts


def _host(name: HostName, role: Role, values: HostSection, *, is_init: bool, declared_at: str) -> Host:
    return Host(
        name=name,
        role=role,
        macs=values.mac or (),
        groups=values.groups or (),
        labels=values.labels,
        hostname=values.hostname,
        variables=values.variables,
        boot_media=values.boot_media,
        release=values.release.source if values.release else None,
        disk=values.disk.rule if values.disk else None,
        timezone=values.timezone or "UTC",
        ntp=values.ntp or (),
        kernel_arguments=values.kernel_arguments or (),
        network=_network(values.network),
        ssh_keys=values.ssh_keys or (),
        ignition=values.ignition.init if is_init else values.ignition.join,
        loader=values.loader,
        firmware=values.firmware,
        rom_ipxe=values.rom_ipxe or RomIpxe.KEEP,
        declared_at=declared_at,
    )


def _network(section: StaticNetwork) -> HostNetwork:
    """Make the record of a network; a gateway is used only with a static address."""
    return HostNetwork(
        address=section.address,
        gateway=section.gateway if section.address else None,
        nameservers=section.nameservers or (),
        interface=section.interface,
        address6=section.address6,
        gateway6=section.gateway6 if section.address6 else None,
        search=section.search or (),
        mtu_bytes=section.mtu,
        routes=tuple(Route(route.to, route.via) for route in section.routes or ()),
        vlan=section.vlan,
        bond=Bond(section.bond.mode, section.bond.options) if section.bond else None,
    )
