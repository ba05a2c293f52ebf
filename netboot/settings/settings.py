"""The settings of the daemon, `netboot.yaml`: each with its default, type and description.

`docs/settings.md` has one heading for each (a test compares them). Frozen: a reload builds another.
Only this file, `setting_types` and `settings_file` use Pydantic.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from netboot.model.boot.boot_client import BootProtocol, Cpu, arch_named
from netboot.model.boot.offer import LoaderRule, UnknownHosts
from netboot.model.host.network import DhcpListen, DhcpMode
from netboot.settings import setting_types as kinds
from netboot.settings.setting_types import Endpoint, SettingKind, choice, refuse
from netboot.yamlfile.nodes import Scalar


class LogLevel(StrEnum):
    """Minimum log level."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """Format of log lines."""

    AUTO = "auto"  # console on a terminal, else json
    JSON = "json"
    CONSOLE = "console"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _an_empty_section_has_its_defaults(cls, value: Any) -> Any:
        return {} if isinstance(value, Scalar) and value.is_null else value


class BootInterface(_Section):
    """An interface on which machines boot."""

    name: kinds.InterfaceName
    address: kinds.OptionalAddress = None
    advertise: kinds.OptionalMachineAddress = None

    @model_validator(mode="before")
    @classmethod
    def _a_name_alone_is_enough(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, Scalar | str) else value


class Network(_Section):
    """The boot LAN."""

    interfaces: Annotated[tuple[BootInterface, ...], SettingKind("list of names, or of {name, address, advertise}")] = (
        Field(default=(), description="The interfaces on which machines boot.")
    )

    @field_validator("interfaces")
    @classmethod
    def _each_once(cls, interfaces: tuple[BootInterface, ...]) -> tuple[BootInterface, ...]:
        for name, times in Counter(interface.name for interface in interfaces).items():
            if times > 1:
                raise refuse(f"{name} is named {times} times", "name each interface once")
        return interfaces


class Dhcp(_Section):
    """DHCP and PXE."""

    mode: Annotated[DhcpMode, *choice(described="proxy, off, listen or reservation")] = Field(
        default=DhcpMode.PROXY, description="How the daemon uses the DHCP ports."
    )
    port: kinds.Port = Field(default=67, description="The port of DHCP.")
    pxe_port: kinds.Port = Field(
        default=4011, description="The port to which UEFI firmware sends its request for a boot file."
    )

    listen: Annotated[DhcpListen, *choice(described="udp or packet")] = Field(
        default=DhcpListen.UDP, description="How the daemon receives DHCP."
    )
    pool: Annotated[tuple[kinds.Pool, ...], AfterValidator(kinds.apart)] = Field(
        default=(), description="Addresses for unregistered machines, in the mode reservation."
    )
    lease_s: kinds.LeaseSeconds = Field(default=3600, description="The duration of a lease, in seconds.")
    router: kinds.OptionalMachineAddress = Field(
        default=None, description="The router in leases for hosts without `network.gateway`."
    )
    nameservers: tuple[kinds.MachineAddress, ...] = Field(
        default=(), description="The name servers in leases for hosts without `network.nameservers`."
    )
    ntp_servers: tuple[kinds.MachineAddress, ...] = Field(
        default=(), description="The time servers in leases for hosts without `ntp`."
    )
    domain: kinds.Domain = Field(default=None, description="The domain in leases.")

    @field_validator("pxe_port")
    @classmethod
    def _not_the_port_of_dhcp(cls, pxe_port: int, info: Any) -> int:
        if pxe_port == info.data.get("port"):
            raise refuse(f"{pxe_port} is dhcp.port as well", "give each its own; firmware uses only 4011")
        return pxe_port


class Tftp(_Section):
    """TFTP, read only."""

    port: kinds.Port = Field(default=69, description="The port of TFTP.")
    single_port: kinds.Flag = Field(
        default=False, description="Send from this port only, instead of from a new port for each transfer."
    )
    max_transfers: kinds.Count = Field(default=512, description="The number of simultaneous transfers.")
    max_transfers_per_client: kinds.Count = Field(
        default=64, description="The number of simultaneous transfers for one address."
    )


class Http(_Section):
    """HTTP on the boot LAN."""

    port: kinds.Port = Field(
        default=8080, description="The port on the boot LAN for scripts, Kickstarts, Ignition and content."
    )
    listen: tuple[kinds.Address, ...] = Field(default=(), description="Addresses to listen on.")
    max_streams: kinds.Count = Field(
        default=128, description="The number of files beyond 64 KiB that are sent at the same time."
    )
    client_rate: kinds.Rate = Field(default=0, description="Bytes of content per second for one machine.")


class Admin(_Section):
    """API, metrics, and the command line's access."""

    listen: kinds.LoopbackEndpoint = Field(
        default=Endpoint(kinds.LOOPBACK, 8470), description="The address of the API, metrics and events."
    )
    socket: kinds.LocalPath = Field(
        default=Path("/run/netboot/control.sock"),
        description="The Unix socket by which the command line controls the daemon.",
    )


class ContentSettings(_Section):
    """Boot media and releases."""

    directory: kinds.LocalPath = Field(
        default=Path("/var/lib/netboot/content"), description="The boot media and OSTree archives that are served."
    )
    deltas: kinds.Flag = Field(
        default=True, description="Make a static delta and a summary of each release in the background."
    )
    url: kinds.WebUrl = Field(default=None, description="A web server elsewhere that has the content.")


class LoaderChoice(_Section):
    """A loader for some machines instead of the default one."""

    arch: kinds.LoaderArch
    loader: kinds.LoaderName
    oui: kinds.Oui = None
    vendor_class: kinds.ClassPrefix = None

    def rule(self) -> LoaderRule:
        """Return the rule for the boot decision."""
        if self.arch not in kinds.LOADER_CPUS:
            arch = arch_named(self.arch)
            return LoaderRule(None, None, self.loader, oui=self.oui, vendor_class=self.vendor_class, arch=arch)
        is_http = self.arch.endswith("-http")
        cpu = Cpu(self.arch.removesuffix("-http"))
        protocol = BootProtocol.HTTP if is_http else BootProtocol.PXE
        return LoaderRule(protocol, cpu, self.loader, oui=self.oui, vendor_class=self.vendor_class)


class Bootfiles(_Section):
    """Loaders."""

    directories: tuple[kinds.LocalPath, ...] = Field(
        default=(
            Path("/usr/share/ipxe"),
            Path("/usr/lib/ipxe"),
            Path("/usr/share/ipxe/x86_64-efi"),
            Path("/usr/share/ipxe/arm64-efi"),
        ),
        description="Directories of loaders, searched in order.",
    )
    loaders: Annotated[tuple[LoaderChoice, ...], SettingKind("list of {arch, loader, oui, vendor_class}")] = Field(
        default=(),
        description="Loaders for some machines instead of the default ones; the first rule that matches is used.",
    )


class Render(_Section):
    """Scripts, Kickstarts, Ignition."""

    templates: tuple[kinds.LocalPath, ...] = Field(
        default=(Path("/etc/netboot/templates"),),
        description="Directories searched for templates before the shipped ones.",
    )


class InstallSettings(_Section):
    """Attempts of an arming."""

    attempts: kinds.Attempts = Field(default=3, description="Boots into the installer per arming.")


class Store(_Section):
    """The database of installs and events."""

    url: kinds.StoreUrl = Field(
        default="sqlite+aiosqlite:////var/lib/netboot/netboot.db",
        repr=False,  # may contain a password
        description="The database of installs and events.",
    )


class Hosts(_Section):
    """The machines."""

    files: tuple[kinds.LocalPath, ...] = Field(
        default=(Path("hosts.yaml"), Path("hosts.d")), description="Hosts files, and directories of such files."
    )
    unknown: Annotated[UnknownHosts, *choice(described="ignore or wait")] = Field(
        default=UnknownHosts.IGNORE, description="The reply to an unregistered machine."
    )


class Log(_Section):
    """The log, on standard error."""

    level: Annotated[LogLevel, *choice(described="debug, info, warning or error")] = Field(
        default=LogLevel.INFO, description="Minimum log level."
    )
    format: Annotated[LogFormat, *choice(described="auto, json or console")] = Field(
        default=LogFormat.AUTO, description="Format of log lines."
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as documented."""

    path: str
    default: str  # as it would be written in netboot.yaml
    type: str
    description: str


class Settings(_Section):
    """All of `netboot.yaml`; a missing section or key has its default."""

    network: Network = Network()
    dhcp: Dhcp = Dhcp()
    tftp: Tftp = Tftp()
    http: Http = Http()
    admin: Admin = Admin()
    content: ContentSettings = ContentSettings()
    bootfiles: Bootfiles = Bootfiles()
    render: Render = Render()
    install: InstallSettings = InstallSettings()
    store: Store = Store()
    hosts: Hosts = Hosts()
    log: Log = Log()

    @classmethod
    def walk(cls) -> Iterator[Setting]:
        """List every setting in the order of the file."""
        for section, held in cls.model_fields.items():
            assert isinstance(held.annotation, type)
            assert issubclass(held.annotation, _Section)
            for name, field in held.annotation.model_fields.items():
                yield Setting(
                    f"{section}.{name}", kinds.written(field.default), kinds.kind_of(field), field.description or ""
                )

    @classmethod
    def from_tree(cls, tree: dict[str, Any], *, directory: Path) -> Self:
        """Validate what was read from a file in `directory`, to which relative paths are relative.

        Leaves are `nodes.Scalar`. Raises pydantic's ValidationError with every fault.
        """
        sections: dict[str, Any] = {section: {} for section in cls.model_fields}
        return cls.model_validate(sections | tree, context={"directory": directory})
