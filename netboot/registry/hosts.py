"""Makes the HostSet from the hosts files: defaults, then the role, then the groups, then the host itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from netboot.model.host.address_pool import Allocation
from netboot.model.host.firmware import RomIpxe
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.host_network import Bond, HostNetwork, Route
from netboot.model.host.image_trust import RegistryMirror
from netboot.registry.allocation import Given, Recorded, allocate, with_addresses
from netboot.registry.checks import host_checks as checks
from netboot.registry.checks.bmc_owners import check_bmcs
from netboot.registry.checks.ca_anchors import HostAnchors, read_ca_anchors
from netboot.registry.checks.network_checks import check_networks
from netboot.registry.checks.pool_checks import check_given, check_pools
from netboot.registry.cluster.byo import Byo, check_byo, read_byo
from netboot.registry.cluster.cluster_files import Contents, NamedFiles, check_uses, files_of_uses, read_cluster_files
from netboot.registry.cluster.cluster_network import check_addresses, cluster_network
from netboot.registry.cluster.cluster_pools import check_cluster_pools
from netboot.registry.cluster.one_cluster import (
    check_interfaces,
    check_one_cluster,
    warn_of_even_control_planes,
)
from netboot.registry.host_files import Declared
from netboot.registry.host_layers import merge_layers
from netboot.registry.host_sections import ClusterSection, HostsDocument, HostSection, StaticNetwork
from netboot.registry.merge import Merged, Origin
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import Scalar, find
from netboot.yamlfile.sections import read_section

AS_WRITTEN: Final[Contents] = {}


@dataclass(frozen=True, slots=True)
class BuiltHosts:
    """All hosts that can be read, the values of each with their places, and the addresses that they have from pools."""

    hosts: HostSet
    merged: Mapping[HostName, Merged[HostSection]]
    given: Given

    def allocations_of(self, hosts: HostSet) -> tuple[Allocation, ...]:
        """List the addresses that these of the hosts have from pools."""
        return tuple(each for (name, _), each in self.given.items() if each is not None and name in hosts.hosts)


def build_hosts(
    declared: Declared, faults: Faults, recorded: Recorded, *, contents: Contents = AS_WRITTEN
) -> BuiltHosts:
    """Return all hosts with every default applied; faulty ones are left out or have a fault.

    `recorded` has the addresses that hosts were given before; `contents` replaces what Ignition files have.
    """
    document = read_section(HostsDocument, declared.tree, faults)
    name, init, pools = document.cluster.name, document.cluster.init, document.address_pools
    roles, layered = merge_layers(declared, document)
    given = allocate(layered, pools, recorded)
    hosts = with_addresses(layered, pools, given)
    entries = declared.table("hosts").entries

    checks.check_needed_keys(declared, faults)
    checks.check_groups(declared, hosts, known=document.groups, faults=faults)
    checks.check_lists(declared, faults)
    checks.check_abbreviated(declared, faults)
    checks.check_host_names(hosts, faults)
    checks.check_macs(hosts, faults)
    check_pools(declared, pools, faults)
    check_given(hosts, given, faults)
    check_networks(hosts, faults)
    check_bmcs(hosts, faults)
    checks.check_init(declared, hosts, init=init, faults=faults)
    anchors = read_ca_anchors(hosts, faults)
    read = [
        _host(host, role, merged.values, anchors[host], is_init=host == init, declared_at=str(entries[host].key.place))
        for host, merged in hosts.items()
        if (role := merged.values.role) is not None and merged.values.mac
    ]
    files = read_cluster_files(roles.values(), hosts, contents=contents, faults=faults)
    check_uses(files, hosts, init=init, faults=faults)
    check_one_cluster(files, faults)
    byo = _read_byo(declared, document.cluster, files, faults)
    network = cluster_network(files, byo)
    check_addresses(network, hosts, faults)
    check_cluster_pools(network, declared, pools, faults)
    check_interfaces(files, hosts, read, faults)
    warn_of_even_control_planes(hosts, faults)
    uses = dict(files_of_uses(roles, hosts, init=init))
    cluster = Cluster(name or "cluster", init, uses, network.addresses)
    return BuiltHosts(HostSet.of(cluster, read), hosts, given)


def _read_byo(declared: Declared, cluster: ClusterSection, files: NamedFiles, faults: Faults) -> Byo | None:
    """Read the `byo.yaml` that the cluster names, and compare it with the Ignition files."""
    if cluster.byo is None:
        return None
    table = declared.table("cluster")
    byo = read_byo(cluster.byo, Origin(table.entries["byo"].value.place, "cluster.byo"), faults)
    name = find(table, ("name",))
    if byo is not None:
        check_byo(byo, name=name if isinstance(name, Scalar) else None, files=files, faults=faults)
    return byo


def _host(
    name: HostName, role: Role, values: HostSection, anchors: HostAnchors, *, is_init: bool, declared_at: str
) -> Host:
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
        release_members=bool(values.disk and values.disk.release_members),
        timezone=values.timezone or "UTC",
        ntp=values.ntp or (),
        kernel_arguments=values.kernel_arguments or (),
        network=_network(values.network),
        ssh_keys=values.ssh_keys or (),
        registries={
            prefix: tuple(RegistryMirror(mirror.location, bool(mirror.insecure)) for mirror in mirrors)
            for prefix, mirrors in values.registries.items()
        },
        ca_anchors=anchors.read,
        ignition=values.ignition.init if is_init else values.ignition.join,
        loader=values.loader,
        firmware=values.firmware,
        rom_ipxe=values.rom_ipxe or RomIpxe.KEEP,
        local_boot=values.local_boot,
        install_require=values.install_require,
        bmc=values.bmc.bmc,
        declared_at=declared_at,
        faults=anchors.missing,
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
        pool=section.pool,
    )
