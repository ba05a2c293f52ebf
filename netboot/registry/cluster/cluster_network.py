"""The addresses that the cluster uses: its API's, and the subnets of pods and services; no host may have one of them.

What the Ignition files state counts; what they do not state is of `byo.yaml`, with which they are compared elsewhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from netboot.model.host.address_pool import IpAddress, IpNetwork
from netboot.model.host.host import ApiAddress
from netboot.registry.cluster.byo import DEFAULT_SUBNETS, Byo, ByoSubnet
from netboot.registry.cluster.cluster_files import Hosts, NamedFiles
from netboot.registry.cluster.one_cluster import first_file
from netboot.yamlfile.faults import Faults

_VIRTUAL_IP: Final = "virtual IP"
_LOAD_BALANCER: Final = "load balancer"
_NEW_FILES: Final = "make the Ignition files again with another virtualIp or loadBalancer"
_KEYS: Final = ("address", "address6")


@dataclass(frozen=True, slots=True)
class ClusterSubnet:
    """A subnet of pods or services. `of`: where it is stated; `cure`: how it is changed."""

    noun: str
    network: IpNetwork
    of: str
    cure: str
    is_default: bool = False  # nothing states another than ocne's default


@dataclass(frozen=True, slots=True)
class ClusterNetwork:
    """What is known of the network of a cluster."""

    addresses: Sequence[ApiAddress]
    subnets: Sequence[ClusterSubnet]


def cluster_network(files: NamedFiles, byo: Byo | None) -> ClusterNetwork:
    """Gather it from the Ignition files, and from `byo.yaml` what they do not state."""
    found: dict[IpAddress, ApiAddress] = {}
    for each in (*_addresses_of_files(files, byo), *_addresses_of_byo(byo)):
        found.setdefault(each.address, each)
    return ClusterNetwork(tuple(found.values()), tuple(_subnets(files, byo)))


def _addresses_of_files(files: NamedFiles, byo: Byo | None) -> Iterator[ApiAddress]:
    """Yield the virtual IP and the endpoint of the first file; a worker's file does not tell one from the other."""
    first = first_file(files)
    if first is None:
        return
    virtual_ips = {text for each in files.values() if (text := each.file.virtual_ip) is not None}
    if byo is not None and byo.virtual_ip is not None:
        virtual_ips.add(byo.virtual_ip.text)
    for text in (first.file.virtual_ip, first.file.endpoint_host):
        if (address := _address(text)) is not None:
            noun = _VIRTUAL_IP if text in virtual_ips else _LOAD_BALANCER
            yield ApiAddress(noun, address, str(first.path), _NEW_FILES)


def _addresses_of_byo(byo: Byo | None) -> Iterator[ApiAddress]:
    if byo is None:
        return
    for noun, key, scalar in (
        (_VIRTUAL_IP, "virtualIp", byo.virtual_ip),
        (_LOAD_BALANCER, "loadBalancer", byo.load_balancer),
    ):
        if scalar is not None and (address := _address(scalar.text)) is not None:
            yield ApiAddress(noun, address, str(scalar.place), f"write another {key} in byo.yaml")


def _subnets(files: NamedFiles, byo: Byo | None) -> Iterator[ClusterSubnet]:
    for each in files.values():
        stated = (("pod subnet", each.file.pod_subnet), ("service subnet", each.file.service_subnet))
        if any(text for _, text in stated):
            cure = "make the files again with another subnet"
            for noun, text in stated:
                for network in _networks(text or ""):
                    yield ClusterSubnet(noun, network, f"the cluster ({each.path})", cure)
            return
    for subnet in DEFAULT_SUBNETS if byo is None else byo.subnets:
        for network in _networks(subnet.text):
            yield _of_byo(subnet, network)


def _of_byo(subnet: ByoSubnet, network: IpNetwork) -> ClusterSubnet:
    if subnet.place is None:
        cure = f"set another {subnet.key} in byo.yaml before you make the Ignition files"
        return ClusterSubnet(subnet.noun, network, "ocne's default", cure, is_default=True)
    return ClusterSubnet(
        subnet.noun, network, f"the cluster ({subnet.place})", f"write another {subnet.key} in byo.yaml"
    )


def check_addresses(cluster: ClusterNetwork, hosts: Hosts, faults: Faults) -> None:
    """Refuse an address of a host that the cluster uses: the API's, or one in its pod or service subnet."""
    api = {each.address: each for each in cluster.addresses}
    stated = [subnet for subnet in cluster.subnets if not subnet.is_default]
    for host in hosts.values():
        for key in _KEYS:
            address = getattr(host.values.network, key)
            origin = next(iter(host.origins("network", key)), None)
            if address is None or origin is None:  # none, or of a pool, which is checked as a whole
                continue
            if (used := api.get(address.ip)) is not None:
                what = f"{address.ip} is the {used.noun} of the cluster ({used.stated_in})"
                faults.add(origin.place, origin.where, what=what, cure="give the host another")
            for subnet in stated:
                if address.ip in subnet.network:
                    what = f"{address.ip} is in the {subnet.noun} {subnet.network} of {subnet.of}"
                    cure = f"give the host another, or {subnet.cure}"
                    faults.add(origin.place, origin.where, what=what, cure=cure)


def _networks(text: str) -> Iterator[IpNetwork]:
    """Yield the networks of a list with commas, without what is none."""
    for each in text.split(","):
        try:
            yield ip_network(each.strip(), strict=False)
        except ValueError:
            continue


def _address(text: str | None) -> IpAddress | None:
    """Return the address that a text is; None for a name."""
    try:
        return None if text is None else ip_address(text)
    except ValueError:
        return None
