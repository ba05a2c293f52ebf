"""The layers of host values, `defaults`, roles and hosts, and how one layer replaces another's values."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from ipaddress import IPv4Address, IPv4Interface
from operator import attrgetter
from pathlib import Path
from typing import Final, TypeVar

from netboot.model.host.firmware import ReplyVariant, RomIpxe
from netboot.model.host.host import Role
from netboot.model.host.mac import Mac
from netboot.registry import host_values as values
from netboot.yamlfile.faults import Place
from netboot.yamlfile.given import Given, Said
from netboot.yamlfile.nodes import Listing, Scalar, Table

T = TypeVar("T")

SHARED_KEYS: Final = (
    "boot_media", "release", "disk", "timezone", "ntp", "kernel_arguments", "network", "ssh_keys", "ignition", "loader",
    "firmware", "rom_ipxe",
)  # fmt: skip
HOST_KEYS: Final = ("role", "mac", *SHARED_KEYS)
_NETWORK_KEYS: Final = ("address", "gateway", "nameservers", "interface")


@dataclass(frozen=True, slots=True)
class HostLayer:
    """Values with their places; None for a value that this layer does not set."""

    boot_media: Said[str] | None = None
    release: Said[str] | None = None
    disk: Said[str] | None = None
    timezone: Said[str] | None = None
    ntp: Said[tuple[str, ...]] | None = None
    kernel_arguments: Said[tuple[str, ...]] | None = None
    ssh_keys: Said[tuple[str, ...]] | None = None
    address: Said[IPv4Interface] | None = None
    gateway: Said[IPv4Address] | None = None
    nameservers: Said[tuple[IPv4Address, ...]] | None = None
    interface: Said[str] | None = None
    ignition_init: Said[Path] | None = None
    ignition_join: Said[Path] | None = None
    loader: Said[str] | None = None
    firmware: Said[ReplyVariant] | None = None
    rom_ipxe: Said[RomIpxe] | None = None

    def over(self, lower: "HostLayer") -> "HostLayer":
        """Return this layer with its missing values from `lower`; a list replaces a list as a whole."""
        return HostLayer(*[own or below for own, below in zip(_values_of(self), _values_of(lower), strict=True)])

    def ignition_for(self, *, is_init: bool) -> Said[Path] | None:
        """Choose the role's file: `init` for the host that starts the cluster, `join` for every other."""
        return self.ignition_init if is_init else self.ignition_join


_values_of: Final = attrgetter(*(field.name for field in fields(HostLayer)))


@dataclass(frozen=True, slots=True)
class HostEntry:
    """One host as declared: its own layer, and the values that only a host has."""

    given: Given
    declared_at: Place
    role: Said[Role] | None
    macs: tuple[Said[Mac], ...]
    layer: HostLayer
    network_without_address: Given | None = None


def read_shared(given: dict[str, Given], *, is_host: bool) -> HostLayer:
    """Read the keys that `defaults`, a role and a host have in common."""
    network = given["network"].table(_NETWORK_KEYS) if "network" in given else {}
    init, join = _ignition(given.get("ignition"), is_host=is_host)
    if not is_host and "address" in network:
        network.pop("address").refuse("cannot be shared", "write it at each host; gateway and nameservers can stay")
    return HostLayer(
        boot_media=_one(given.get("boot_media"), values.read_name),
        release=_one(given.get("release"), values.read_name),
        disk=_one(given.get("disk"), values.read_disk),
        timezone=_one(given.get("timezone"), values.read_timezone),
        ntp=_several(given.get("ntp"), values.read_ntp_server),
        kernel_arguments=_several(given.get("kernel_arguments"), values.read_kernel_argument),
        ssh_keys=_several(given.get("ssh_keys"), values.read_ssh_key),
        address=_one(network.get("address"), values.read_interface_address),
        gateway=_one(network.get("gateway"), values.read_address),
        nameservers=_several(network.get("nameservers"), values.read_address),
        interface=_one(network.get("interface"), values.read_interface_name),
        ignition_init=init,
        ignition_join=join,
        loader=_one(given.get("loader"), values.read_loader),
        firmware=_one(given.get("firmware"), values.read_firmware),
        rom_ipxe=_one(given.get("rom_ipxe"), values.read_rom_ipxe),
    )


def read_host(given: Given, *, declared_at: Place) -> HostEntry:
    """Read one host; a missing required value is a fault."""
    said = given.table(HOST_KEYS)
    lacking = {
        "role": f"add role: {' or '.join(Role)}",
        "mac": "add mac: 52:54:00:aa:bb:01, the address of the card that boots",
    }
    is_table = isinstance(given.node, Table) or (isinstance(given.node, Scalar) and given.node.is_null)
    for key in lacking.keys() - said.keys() if is_table else ():
        given.faults.add(declared_at, given.where, what=f"has no {key}", cure=lacking[key])
    network = said.get("network")
    return HostEntry(
        given,
        declared_at,
        role=_one(said.get("role"), values.read_role),
        macs=_macs(said["mac"]) if "mac" in said else (),
        layer=read_shared(said, is_host=True),
        network_without_address=network if network and _lacks_address(network) else None,
    )


def _lacks_address(network: Given) -> bool:
    node = network.node
    return isinstance(node, Table) and bool(node.entries) and "address" not in node.entries


def _macs(given: Given) -> tuple[Said[Mac], ...]:
    if not isinstance(given.node, Listing):
        one = _one(given, values.read_mac)
        return (one,) if one else ()
    if not given.node.items:
        given.refuse("is empty", "write the address of the card that boots")
    return tuple(said for item in given.items() or () if (said := _one(item, values.read_mac)))


def _ignition(given: Given | None, *, is_host: bool) -> tuple[Said[Path] | None, Said[Path] | None]:
    """Read `{init, join}`; a host may also name one file that it always gets."""
    if given is None:
        return None, None
    if is_host and isinstance(given.node, Scalar) and not given.node.is_null:
        file = _one(given, values.read_path)
        return file, file
    files = given.table(("init", "join"))
    return _one(files.get("init"), values.read_path), _one(files.get("join"), values.read_path)


def _one(given: Given | None, read: Callable[[Given], T | None]) -> Said[T] | None:
    value = None if given is None else read(given)
    return None if value is None or given is None else Said(value, given)


def _several(given: Given | None, read: Callable[[Given], T | None]) -> Said[tuple[T, ...]] | None:
    items = None if given is None else given.items()
    if items is None or given is None:
        return None
    return Said(tuple(value for item in items if (value := read(item)) is not None), given)
