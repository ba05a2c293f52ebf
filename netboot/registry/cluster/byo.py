"""Reads `byo.yaml`, the configuration of `ocne`, and compares the Ignition files and the cluster's name with it.

Source: ocne 2.3.3, `pkg/config/types/types.go` and its defaults. Every scalar is text: an unquoted 1.30 is not 1.3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from netboot.model.host.role_ignition import RoleFile
from netboot.registry.cluster.cluster_files import NamedFiles
from netboot.registry.merge import Origin
from netboot.yamlfile.faults import Faults, Place, shown
from netboot.yamlfile.files import read_text
from netboot.yamlfile.nodes import Node, Scalar, Table, find
from netboot.yamlfile.positions import parse_documents

_INTERFACE: Final = ("providers", "byo", "networkInterface")
_CURE: Final = "make the file again with ocne, or correct byo.yaml"


@dataclass(frozen=True, slots=True)
class ByoSubnet:
    """A subnet of pods or services, as `byo.yaml` has it, else ocne's default."""

    noun: str
    key: str
    text: str
    place: Place | None = None  # of the file if it has no such key; None: there is no file


DEFAULT_SUBNETS: Final = (
    ByoSubnet("pod subnet", "podSubnet", "10.244.0.0/16"),
    ByoSubnet("service subnet", "serviceSubnet", "10.96.0.0/12"),
)


@dataclass(frozen=True, slots=True)
class Byo:
    """What `byo.yaml` has of the cluster."""

    tree: Table
    named: Origin
    virtual_ip: Scalar | None
    load_balancer: Scalar | None
    subnets: Sequence[ByoSubnet]

    @property
    def api(self) -> Scalar | None:
        return self.virtual_ip or self.load_balancer


def read_byo(path: Path, named: Origin, faults: Faults) -> Byo | None:
    """Read the file; None with a fault if it is no table."""
    tree = _read(path, named, faults)
    if tree is None:
        return None
    subnets = [
        replace(default, text=written.text, place=written.place) if written else replace(default, place=tree.place)
        for default in DEFAULT_SUBNETS
        for written in [_text(tree, default.key)]
    ]
    return Byo(tree, named, _text(tree, "virtualIp"), _text(tree, "loadBalancer"), subnets)


def check_byo(byo: Byo, *, name: Scalar | None, files: NamedFiles, faults: Faults) -> None:
    """Refuse Ignition files that were made with another `byo.yaml`, and another name of the cluster.

    `name` is `cluster.name` where it is written.
    """
    for place, what, cure in _own_faults(byo, name):
        faults.add(place, byo.named.where, what=what, cure=cure)
    for each in files.values():
        for place, what in _differences(byo, each.file):
            faults.add(each.named.place, each.named.where, what=f"{each.path} {what} ({place})", cure=_CURE)
        version, wanted = each.file.kubernetes_version, _text(byo.tree, "kubernetesVersion")
        if version is not None and wanted is not None and not _is_version(version, wanted.text):
            what = f"{each.path} installs Kubernetes {version}, and byo.yaml has {shown(wanted.text)} ({wanted.place})"
            faults.warn(each.named.place, each.named.where, what=what, cure=_CURE)


def _read(path: Path, named: Origin, faults: Faults) -> Table | None:
    found = Faults()
    text = read_text(path, found, place=named.place)
    documents = parse_documents(text, str(path), found) if text is not None else []
    for fault in found.problems:
        place = Place(fault.file, fault.line, fault.column)
        faults.add(place, named.where, what=fault.what, cure=fault.cure)
    if found:
        return None
    match documents:
        case [Table() as tree]:
            return tree
        case _:
            faults.add(named.place, named.where, what=f"{path} is not one table", cure="name the byo.yaml of ocne")
            return None


def _own_faults(byo: Byo, name: Scalar | None) -> Iterator[tuple[Place, str, str]]:
    tree, virtual_ip, balancer = byo.tree, byo.virtual_ip, byo.load_balancer
    provider, own_name = _text(tree, "provider"), _text(tree, "name")
    if provider is not None and provider.text != "byo":
        yield provider.place, f"provider is {shown(provider.text)}", "name the file of the provider byo"
    if virtual_ip is not None and balancer is not None:
        yield balancer.place, "has both virtualIp and loadBalancer", "keep one of the two, as ocne requires"
    if virtual_ip is None and balancer is None:
        yield tree.place, "has neither virtualIp nor loadBalancer", "write one of the two, as ocne requires"
    if _text(tree, *_INTERFACE) is None:
        yield tree.place, "has no providers.byo.networkInterface", "write it, as ocne requires"
    if name is not None and own_name is not None and name.text != own_name.text:
        what = f"name is {shown(own_name.text)}, and cluster.name is {shown(name.text)} ({name.place})"
        yield own_name.place, what, "correct one of the two"


def _differences(byo: Byo, file: RoleFile) -> Iterator[tuple[Place, str]]:
    """Yield what a file has and `byo.yaml` has not, with the place in `byo.yaml`."""
    api, interface = byo.api, _text(byo.tree, *_INTERFACE)
    if api is not None and file.endpoint_host not in (None, api.text):
        yield api.place, f"has the endpoint {file.endpoint}, and byo.yaml has {shown(api.text)}"
    if file.virtual_ip is not None and byo.virtual_ip is None and api is not None:
        yield api.place, f"has the virtual IP {file.virtual_ip}, and byo.yaml has a load balancer"
    if interface is not None and file.interface not in (None, interface.text):
        yield interface.place, f"uses the interface {file.interface}, and byo.yaml has {shown(interface.text)}"
    for subnet, mine in zip(byo.subnets, (file.pod_subnet, file.service_subnet), strict=True):
        if mine is not None and mine != subnet.text and subnet.place is not None:
            yield subnet.place, f"has the {subnet.noun} {mine}, and byo.yaml has {shown(subnet.text)}"


def _is_version(version: str, wanted: str) -> bool:
    """Return whether 1.33.5 is one of 1.33."""
    return f"{version.removeprefix('v')}.".startswith(f"{wanted.removeprefix('v')}.")


def _text(node: Node, *path: str) -> Scalar | None:
    found = find(node, path)
    return found if isinstance(found, Scalar) and not found.is_null else None
