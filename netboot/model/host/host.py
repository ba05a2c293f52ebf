"""The declared machines: what an operator wrote in `hosts.yaml`, read once, never changed in place."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import NewType

from netboot.errors import UnknownHostError
from netboot.model.bmc.bmc import Bmc
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.firmware import LocalBootMethod, ReplyVariant, RomIpxe
from netboot.model.host.host_network import BY_DHCP, HostNetwork
from netboot.model.host.image_trust import CaAnchor, RegistryMirror
from netboot.model.host.mac import Mac
from netboot.model.host.role_ignition import RoleUse
from netboot.model.release import RemoteRelease

HostName = NewType("HostName", str)


class Role(StrEnum):
    CONTROL_PLANE = "control-plane"
    WORKER = "worker"


class InstallRequire(StrEnum):
    """`install.require`: what a machine needs beside an arming."""

    ADDRESS = "address"  # its request comes from the machine's own address
    APPROVAL = "approval"  # and a person confirms the first boot into the installer of each arming


@dataclass(frozen=True, slots=True)
class Host:
    """One registered machine with every default already applied."""

    name: HostName
    role: Role
    macs: tuple[Mac, ...]
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    hostname: str | None = None  # the name that the system gives itself, if it is not `name`
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)  # for the site's own templates
    boot_media: str | None = None
    release: str | RemoteRelease | None = None
    disk: str | DiskRule | None = None  # a stable path below /dev/disk, or /dev/NAME if the operator set that
    release_members: bool = False  # the disk may be released from an array, volume group or multipath map
    timezone: str = "UTC"
    ntp: tuple[str, ...] = ()  # addresses and names of time servers
    kernel_arguments: tuple[str, ...] = ()
    network: HostNetwork = BY_DHCP
    ssh_keys: tuple[str, ...] = ()
    registries: Mapping[str, tuple[RegistryMirror, ...]] = field(default_factory=dict, hash=False)  # by prefix
    ca_anchors: tuple[CaAnchor, ...] = ()
    ignition: Path | None = None  # the role's file for this host: `init` for the cluster's first node, else `join`
    loader: str | None = None  # fixes the loader: a name below `bootfiles.directories`
    firmware: ReplyVariant | None = None  # fixes the reply variant
    rom_ipxe: RomIpxe = RomIpxe.KEEP
    local_boot: LocalBootMethod | None = None  # fixes the method, for a firmware that it fits
    install_require: InstallRequire | None = None  # None: the setting `install.require`
    bmc: Bmc | None = None
    declared_at: str = ""  # file:line:column, for messages
    faults: tuple[str, ...] = ()  # why it may not be installed although it is registered

    @property
    def mac(self) -> Mac:
        """The first card: the one that names the machine where a single MAC is wanted."""
        return self.macs[0]

    @property
    def local_release(self) -> str | None:
        """The name of the release if this appliance has it."""
        return self.release if isinstance(self.release, str) else None

    @property
    def system_name(self) -> str:
        """The name that the installed system gives itself."""
        return self.hostname or self.name

    @property
    def ntp_addresses(self) -> tuple[IPv4Address, ...]:
        """The time servers that DHCP option 42 can name: addresses, no names."""
        return tuple(IPv4Address(server) for server in self.ntp if server.replace(".", "").isdecimal())

    @property
    def addresses(self) -> frozenset[IPv4Address]:
        return frozenset({self.network.address.ip}) if self.network.address else frozenset()


@dataclass(frozen=True, slots=True)
class HostFileChange:
    """The file that declares a host, and its new text; None: the file is deleted. `disk`: as the host then has it."""

    host: HostName
    file: Path
    text: str | None
    disk: str | DiskRule | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """An address of a cluster's API: its virtual IP, or the load balancer's. `cure`: how it is changed."""

    noun: str
    address: IPv4Address | IPv6Address
    stated_in: str  # an Ignition file, or a place in `byo.yaml`
    cure: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Kubernetes cluster of the hosts: node `init` starts it with the role's `init` Ignition, the others join."""

    name: str
    init: str | None = None  # the name of a host
    # What the Ignition files are and have, when they were read.
    ignition: Mapping[RoleUse, Path] = field(default_factory=dict, compare=False)
    addresses: Sequence[ApiAddress] = field(default=(), compare=False)  # of the API; none if it is known by name


@dataclass(frozen=True)
class HostSet:
    """All registered machines at one moment; a reload builds another."""

    cluster: Cluster
    hosts: Mapping[HostName, Host] = field(default_factory=dict)

    @classmethod
    def of(cls, cluster: Cluster, hosts: Iterable[Host]) -> "HostSet":
        """Gather hosts by name; names and MACs were checked to be unique by the reader."""
        return cls(cluster, {host.name: host for host in hosts})

    @cached_property
    def _by_mac(self) -> Mapping[Mac, Host]:
        return {mac: host for host in self.hosts.values() for mac in host.macs}

    @cached_property
    def _by_address(self) -> Mapping[IPv4Address, Host]:
        return {address: host for host in self.hosts.values() for address in host.addresses}

    def by_mac(self, mac: Mac) -> Host | None:
        return self._by_mac.get(mac)

    def by_address(self, address: IPv4Address) -> Host | None:
        return self._by_address.get(address)

    def get(self, name: str) -> Host | None:
        return self.hosts.get(HostName(name))

    def named(self, name: str) -> Host:
        """Return the host with this name; raise UnknownHostError."""
        host = self.get(name)
        if host is None:
            known = ", ".join(sorted(self.hosts)[:20]) or "none"
            raise UnknownHostError(f"no host is called {name}; the registry has: {known}")
        return host

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts.values())

    def __len__(self) -> int:
        return len(self.hosts)
