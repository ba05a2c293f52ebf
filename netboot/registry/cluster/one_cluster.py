"""Checks that all Ignition files are of one cluster, and its control planes."""

from collections.abc import Iterable
from typing import Final

from netboot.model.host.host import Host, Role
from netboot.model.host.role_ignition import RoleFile, RoleUse
from netboot.registry.cluster.cluster_files import Hosts, NamedFiles, NamedRoleFile
from netboot.yamlfile.faults import Faults

SHORT: Final = 12  # digits of an identity in messages


def check_one_cluster(files: NamedFiles, faults: Faults) -> None:
    """Refuse files of two clusters: another CA, another endpoint, another virtual IP."""
    first = first_file(files)
    if first is None:
        return
    for each in files.values():
        difference = _difference(each.file, first.file)
        if difference is not None:
            mine, other = difference
            what = f"{each.path} {mine}, and {first.path} ({first.named.place}) {other}"
            cure = "give each role a file of one cluster, made with one byo.yaml and its kubeconfig"
            faults.add(each.named.place, each.named.where, what=what, cure=cure)


def first_file(files: NamedFiles) -> NamedRoleFile | None:
    """Return the file that the others are compared with: that of the first node, else the one named first."""
    known = [each for each in files.values() if each.file.authorities or each.file.endpoint]
    return next((each for each in known if each.file.use is RoleUse.INIT), next(iter(known), None))


def _difference(one: RoleFile, other: RoleFile) -> tuple[str, str] | None:
    if one.authorities and other.authorities and not set(one.authorities) & set(other.authorities):
        mine, others = one.authorities[0][:SHORT], other.authorities[0][:SHORT]
        return f"is of the cluster with CA {mine}", f"of that with CA {others}"
    if one.endpoint and other.endpoint and one.endpoint != other.endpoint:
        return f"has the endpoint {one.endpoint}", f"has {other.endpoint}"
    if one.virtual_ip and other.virtual_ip and one.virtual_ip != other.virtual_ip:
        return f"has the virtual IP {one.virtual_ip}", f"has {other.virtual_ip}"
    return None


def check_interfaces(files: NamedFiles, hosts: Hosts, built: Iterable[Host], faults: Faults) -> None:
    """Refuse a control plane without the interface on which its file has the virtual IP.

    NET_INTERFACE is no fault: the overlay has a drop-in with the host's own.
    """
    for host in built:
        file, device = files.get(host.ignition) if host.ignition is not None else None, host.network.device
        wanted = file and file.file.virtual_ip_interface
        if file is None or wanted is None or device in (None, wanted):
            continue
        merged = hosts[host.name]
        origin = next(iter(merged.origins("network", "interface")), merged.layers[0].written("network"))
        what = f"{host.name} has the interface {device}, and keepalived in {file.path} puts the virtual IP on {wanted}"
        cure = f"make the file with networkInterface: {device}, or name the host's interface {wanted}"
        faults.add(origin.place, origin.where, what=what, cure=cure)


def warn_of_even_control_planes(hosts: Hosts, faults: Faults) -> None:
    """Warn of a number of control planes that tolerates no more failures than one less."""
    planes = [host for host in hosts.values() if host.values.role is Role.CONTROL_PLANE]
    if planes and len(planes) % 2 == 0:
        origin = planes[-1].origins("role")[0]
        what = f"{len(planes)} hosts are control planes: etcd tolerates as many failures with {len(planes) - 1}"
        faults.warn(origin.place, origin.where, what=what, cure="declare an odd number")
