"""The keys of the hosts files, each with its type and its description: what is read, and the schema for editors."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from netboot.model.host.disk_rule import DiskRule
from netboot.model.release import RemoteRelease
from netboot.registry import host_values as values
from netboot.registry.sections.bmc_section import BmcSection
from netboot.registry.sections.pool_section import PoolSection
from netboot.yamlfile.nodes import Node, Scalar
from netboot.yamlfile.sections import Section, described, refuse
from netboot.yamlfile.value_kinds import (
    NAME_PATTERN,
    Domain,
    FilePath,
    Flag,
    InterfaceName,
    LoaderName,
    MachineAddress,
    Name,
)


def added(name: str) -> Any:
    """Declare `+name`: the items that this layer adds to the list of the layers below it."""
    return described(None, f"Items added to the `{name}` that the host inherits.", alias=f"+{name}")


class ClusterSection(Section):
    """The cluster that the hosts make up."""

    name: Name | None = described(None, "The name of the cluster.")
    init: values.FirstHost | None = described(
        None, "The control-plane host that starts the cluster: it gets its role's `init` file, others `join`."
    )
    byo: FilePath | None = described(None, "The `byo.yaml` of `ocne`, with which the Ignition files are compared.")


class RouteSection(Section):
    """A network that is reached by another router than the gateway."""

    to: values.Network = Field(description="The network.", examples=["198.51.100.0/24"])
    via: values.AnyAddress = Field(description="Its router.", examples=["192.0.2.254"])


class BondSection(Section):
    """All cards of the host as one."""

    is_whole = True

    mode: values.BondMode = Field(description="How the cards are used.", examples=["active-backup"])
    options: Mapping[values.BondOption, values.BondValue] = described(
        {}, "Options of the kernel's bonding driver, such as `miimon: 100`."
    )


class SharedNetwork(Section):
    """What the networks of several hosts have in common."""

    pool: values.PoolName | None = described(
        None, "The entry of `address_pools` of which a host without an `address` gets one."
    )
    gateway: MachineAddress | None = described(None, "The router, inside the prefix of the address.")
    gateway6: values.Address6 | None = described(None, "The IPv6 router, inside the prefix of address6 or link-local.")
    nameservers: tuple[values.AnyAddress, ...] | None = described(None, "The addresses of name servers.")
    added_nameservers: tuple[values.AnyAddress, ...] | None = added("nameservers")
    search: tuple[Domain, ...] | None = described(None, "The domains in which short names are searched.")
    added_search: tuple[Domain, ...] | None = added("search")
    routes: tuple[RouteSection, ...] | None = described(None, "Networks that another router than the gateway reaches.")
    added_routes: tuple[RouteSection, ...] | None = added("routes")
    mtu: values.Mtu | None = described(None, "The MTU of the card or bond.")
    vlan: values.Vlan | None = described(None, "The VLAN of the installed system; the boot is not tagged.")
    bond: BondSection | None = described(None, "All cards of the host as one, `bond0` unless `interface` names it.")
    interface: InterfaceName | None = described(
        None, "The name that the installed system gives the card, such as enp1s0."
    )

    @classmethod
    def refusal_of_key(cls, name: str, value: Node | None) -> tuple[str, str]:
        if name in ("address", "address6"):
            return "cannot be shared", "write it at each host; gateway and nameservers can stay"
        return super().refusal_of_key(name, value)


class StaticNetwork(SharedNetwork):
    """A static address, or one of a pool; without both the machine uses DHCP."""

    address: values.AddressWithPrefix | None = described(
        None, "The address with its prefix length, such as 192.0.2.101/24."
    )
    address6: values.Address6WithPrefix | None = described(
        None, "The IPv6 address with its prefix length; without one, router advertisements."
    )


class IgnitionPaths(Section):
    """The files that `ocne` printed, relative to the file that names them."""

    init: FilePath | None = described(None, "What `ocne cluster start` printed.")
    join: FilePath | None = described(None, "What `ocne cluster join` printed.")


class HostIgnition(IgnitionPaths):
    """As of a role; or the one file that this host always gets."""

    @classmethod
    def table_of(cls, value: Scalar) -> object:
        return {"init": value, "join": value}


class DiskSection(Section):
    """What the one disk that may be written must have; a path is the abbreviation of `path`."""

    is_whole = True
    text_pattern = values.DISK_PATTERN

    path: values.DiskPath | None = described(None, "A whole disk, best by a path below /dev/disk.")
    serial: values.DiskText | None = described(None, "Its serial number.")
    wwn: values.DiskText | None = described(None, "Its world-wide name, such as 0x5000c500a1b2c3d4.")
    model: values.DiskText | None = described(None, "How its model begins.")
    min_size: values.DiskSize | None = described(None, "Its least size, such as 400GB.")
    max_size: values.DiskSize | None = described(None, "Its greatest size, such as 2TB.")
    rotational: Flag | None = described(None, "`false`: an SSD.")
    choose: values.DiskChoiceName | None = described(None, "Which of several that fit: `smallest` or `largest`.")
    release_members: Flag | None = described(
        None, "Release the disk from an array, volume group or multipath map that has no other disk."
    )

    @classmethod
    def table_of(cls, value: Scalar) -> object:
        return {"path": value}

    @model_validator(mode="after")
    def _is_one_rule(self) -> "DiskSection":
        conditions = self.model_fields_set - {"path", "release_members"}
        if self.path is None and not conditions and self.model_fields_set:
            raise refuse("names no disk", "add path or serial", key="release_members")
        if self.path is not None and conditions:
            key = min(conditions)
            raise refuse("a path names one disk already", f"remove path or {key}", key=key)
        if self.min_size is not None and self.max_size is not None and self.min_size > self.max_size:
            raise refuse("is less than min_size", "write the smaller one as min_size", key="max_size")
        return self

    @property
    def rule(self) -> str | DiskRule | None:
        """The path, or the rule; None if nothing was written that can be read."""
        if self.path is not None or not self.model_fields_set - {"release_members"}:
            return self.path
        return DiskRule(self.serial, self.wwn, self.model, self.min_size, self.max_size, self.rotational, self.choose)


class ReleaseSection(Section):
    """A release below `content.directory`, or one on another server; a name is the abbreviation of `name`."""

    is_whole = True
    text_pattern = NAME_PATTERN
    text_types = ("string", "number")  # 1.30 without quotes

    name: Name | None = described(None, "A name below `content.directory`/ostree.")
    url: values.ReleaseUrl | None = described(None, "The OSTree archive of another server.")
    ref: values.Ref | None = described(None, "The branch of that archive, such as ock.")

    @classmethod
    def table_of(cls, value: Scalar) -> object:
        return {"name": value}

    @model_validator(mode="after")
    def _is_in_one_place(self) -> "ReleaseSection":
        if self.name is not None and (self.url or self.ref):
            raise refuse("names a release of this appliance already", "remove name, or url and ref", key="name")
        return self

    def as_text(self) -> str | None:
        return self.name

    @property
    def source(self) -> str | RemoteRelease | None:
        """The name, or the archive and its ref; None if one of these was refused or is missing."""
        return RemoteRelease(self.url, self.ref) if self.url is not None and self.ref is not None else self.name


class MirrorSection(Section):
    """One mirror of a registry; a text is the abbreviation of `location`."""

    location: values.RegistryLocation = Field(description="The mirror.", examples=["192.0.2.2:5000"])
    insecure: Flag | None = described(None, "`true`: by HTTP, or by HTTPS with a certificate that is not verified.")

    @classmethod
    def table_of(cls, value: Scalar) -> object:
        return {"location": value}

    def as_text(self) -> str | None:
        return None if self.insecure else self.location


class SharedValues(Section):
    """The values that `defaults`, a role and a host can have."""

    boot_media: Name | None = described(None, "Kernel, initrd and stage 2: a name below `content.directory`/media.")
    release: ReleaseSection | None = described(
        None, "The release to install: a name below `content.directory`/ostree; or an archive of another server."
    )
    disk: DiskSection | None = described(
        None, "The one disk that may be written: a whole disk, best by a path below /dev/disk; or what it must have."
    )
    timezone: values.TimeZone | None = described(None, "Such as Europe/Berlin; UTC if missing.")
    ntp: tuple[values.NtpServer, ...] | None = described(
        None, "Time servers, by address or name, for installer and installed system."
    )
    added_ntp: tuple[values.NtpServer, ...] | None = added("ntp")
    kernel_arguments: tuple[values.KernelArgument, ...] | None = described(
        None, "Kernel arguments of installer and installed system, one per item."
    )
    added_kernel_arguments: tuple[values.KernelArgument, ...] | None = added("kernel_arguments")
    network: SharedNetwork = described(SharedNetwork(), "A static address.")
    ssh_keys: tuple[values.SshKey, ...] | None = described(None, "Public keys, each the line of a .pub file.")
    added_ssh_keys: tuple[values.SshKey, ...] | None = added("ssh_keys")
    registries: Mapping[values.RegistryKey, tuple[MirrorSection, ...]] = described(
        {}, "Mirrors of a container registry, or of a part of one, in the order of use; merged key by key."
    )
    ca_anchors: tuple[FilePath, ...] | None = described(
        None, "PEM files of CAs that the installed system trusts, relative to the file that names them."
    )
    added_ca_anchors: tuple[FilePath, ...] | None = added("ca_anchors")
    labels: Mapping[values.LabelKey, values.LabelText] = described(
        {}, "Labels to select hosts by, such as `rack: r1`; merged key by key."
    )
    variables: Mapping[values.VariableKey, values.VariableText] = described(
        {}, "Values for the site's own templates, as `{{ variables.NAME }}`; merged key by key."
    )
    ignition: IgnitionPaths = described(IgnitionPaths(), "The files that `ocne` printed.")
    bmc: BmcSection = described(BmcSection(), "The BMC that powers the machine, by Redfish.")
    loader: LoaderName | None = described(None, "The boot loader: a name below `bootfiles.directories`.")
    firmware: values.Firmware | None = described(None, "The reply variant for the firmware; normally learned.")
    rom_ipxe: values.RomIpxeUse | None = described(
        None, "`replace`: an iPXE in ROM is too old for the script and is offered the loader first."
    )
    local_boot: values.LocalBootUse | None = described(
        None, "How the machine is led to its own disk, for a firmware that this fits; normally learned."
    )
    install_require: values.RequiredForInstall | None = described(
        None, "What its machine needs to be installed, beside an arming; instead of the setting `install.require`."
    )

    @classmethod
    def refusal_of_key(cls, name: str, value: Node | None) -> tuple[str, str]:
        if name not in cls.key_names() and name in HostSection.key_names():
            return "cannot be shared", "write it at each host"
        return super().refusal_of_key(name, value)


class HostSection(SharedValues):
    """One machine."""

    model_config = ConfigDict(json_schema_extra={"required": ["role", "mac"]})

    role: values.RoleName | None = described(None, "What the machine is in the cluster.")
    mac: values.MacAddresses | None = described(None, "The card that boots, or a list, one per card, in any spelling.")
    groups: tuple[values.GroupName, ...] | None = described(
        None, "The groups that it belongs to; a later one replaces the values of an earlier one."
    )
    hostname: values.HostNameText | None = described(None, "The name that the system gives itself; its key if missing.")
    network: StaticNetwork = described(StaticNetwork(), "The static address; without one, DHCP.")
    ignition: HostIgnition = described(HostIgnition(), "Its own Ignition files instead of its role's.")


class HostsDocument(Section):
    """All hosts files together."""

    cluster: ClusterSection = described(ClusterSection(), "The cluster that the hosts make up.")
    defaults: SharedValues = described(SharedValues(), "Values for every host.")
    roles: Mapping[values.RoleKey, SharedValues] = described(
        {}, "Values for every control-plane or every worker host; they replace the defaults."
    )
    groups: Mapping[values.GroupKey, SharedValues] = described(
        {}, "Values for the hosts that list the group; they replace those of the role."
    )
    address_pools: Mapping[values.PoolKey, PoolSection] = described(
        {}, "Static addresses of a LAN; a host that names the pool in `network.pool` gets one."
    )
    hosts: Mapping[values.HostKey, HostSection] = described(
        {}, "The machines by host name; their values replace those of their groups and role."
    )
