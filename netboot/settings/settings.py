"""The settings of the daemon, each with its default, type and description; reads `netboot.yaml`, makes its JSON Schema.

A reload builds another. `REMOVED` are the settings that an earlier release had: accepted with a warning for one
release, refused as unknown after it. To remove a setting, delete its field and add its row there; in the release after
that, delete the row.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from netboot.model.access.secret_file import URL_PARAMETER
from netboot.model.boot.boot_client import BootProtocol, Cpu, arch_named
from netboot.model.boot.offer import LoaderRule, UnknownHosts
from netboot.model.host.host import InstallRequire
from netboot.model.host.network import DhcpListen, DhcpMode
from netboot.model.install.ignition_way import IgnitionWay
from netboot.settings import setting_types as kinds
from netboot.settings.admin_setting import Admin
from netboot.settings.bmc_setting import BmcSettings
from netboot.settings.cluster_setting import ClusterSettings
from netboot.settings.hook_setting import HookSetting, named_once
from netboot.settings.registry_setting import RegistrySettings
from netboot.settings.setting_types import SettingSection
from netboot.yamlfile import value_kinds as values
from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.files import read_text
from netboot.yamlfile.nodes import Node, Scalar, Table
from netboot.yamlfile.positions import parse
from netboot.yamlfile.sections import described, editor_schema, read_section, refuse
from netboot.yamlfile.value_kinds import choice

_LOADER_DIRECTORIES = ("/usr/share/ipxe", "/usr/lib/ipxe", "/usr/share/ipxe/x86_64-efi", "/usr/share/ipxe/arm64-efi")
_USE_CONTENT_URL: Final = (
    "remove it; to serve content by more processes, put nginx in front of content.directory and set content.url"
)
REMOVED: Final[Mapping[str, str]] = {"content.workers": _USE_CONTENT_URL, "content.port": _USE_CONTENT_URL}


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    AUTO = "auto"  # console on a terminal, else json
    JSON = "json"
    CONSOLE = "console"


class BootInterface(SettingSection):
    """An interface on which machines boot."""

    name: values.InterfaceName = Field(description="The name that `ip link` shows.", examples=["eno2"])
    address: values.Address | None = described(None, "The one of its addresses that is used.")
    advertise: values.MachineAddress | None = described(
        None, "The address in URLs and offers instead of its own, behind a router that forwards it."
    )

    @classmethod
    def table_of(cls, value: Scalar) -> object:
        return {"name": value}


class Network(SettingSection):
    """The boot LAN."""

    interfaces: tuple[BootInterface, ...] = described(
        (), "The interfaces on which machines boot.", title="list of names, or of {name, address, advertise}"
    )

    @field_validator("interfaces")
    @classmethod
    def _each_once(cls, interfaces: tuple[BootInterface, ...]) -> tuple[BootInterface, ...]:
        for name, times in Counter(interface.name for interface in interfaces).items():
            if times > 1:
                raise refuse(f"{name} is named {times} times", "name each interface once")
        return interfaces


class Dhcp(SettingSection):
    """DHCP and PXE."""

    mode: Annotated[DhcpMode, choice(DhcpMode)] = described(DhcpMode.PROXY, "How the daemon uses the DHCP ports.")
    port: kinds.Port = described(67, "The port of DHCP.")
    pxe_port: kinds.Port = described(4011, "The port to which UEFI firmware sends its request for a boot file.")
    listen: Annotated[DhcpListen, choice(DhcpListen)] = described(DhcpListen.UDP, "How the daemon receives DHCP.")
    pool: Annotated[tuple[kinds.Pool, ...], AfterValidator(kinds.apart)] = described(
        (),
        "Addresses for unregistered machines, in the mode reservation.",
        title="list: first and last address, 192.0.2.200-192.0.2.220, or {range, network, router}",
    )
    lease_s: kinds.LeaseSeconds = described(3600, "The duration of a lease, in seconds.")
    router: values.MachineAddress | None = described(None, "The router in leases for hosts without `network.gateway`.")
    nameservers: tuple[values.MachineAddress, ...] = described(
        (), "The name servers in leases for hosts without `network.nameservers`."
    )
    ntp_servers: tuple[values.MachineAddress, ...] = described(
        (), "The time servers in leases for hosts without `ntp`."
    )
    domain: values.Domain | None = described(None, "The domain in leases.")

    @model_validator(mode="after")
    def _two_ports(self) -> Self:
        if self.pxe_port == self.port:
            what = f"{self.port} is dhcp.port as well"
            raise refuse(what, "give each its own; firmware uses only 4011", key="pxe_port")
        return self


class Tftp(SettingSection):
    """TFTP, read only."""

    port: kinds.Port = described(69, "The port of TFTP.")
    single_port: values.Flag = described(
        False, "Send from this port only, instead of from a new port for each transfer."
    )
    max_transfers: kinds.Count = described(512, "The number of simultaneous transfers.")
    max_transfers_per_client: kinds.Count = described(64, "The number of simultaneous transfers for one address.")


class Http(SettingSection):
    """HTTP on the boot LAN."""

    port: kinds.Port = described(8080, "The port on the boot LAN for scripts, Kickstarts, Ignition and content.")
    listen: tuple[values.Address, ...] = described((), "Addresses to listen on.")
    max_streams: kinds.Count = described(128, "The number of content files beyond 64 KiB sent at the same time.")
    client_rate: kinds.Rate = described(0, "Bytes of content per second for one machine.")


class ContentSettings(SettingSection):
    """Boot media and releases."""

    directory: values.FilePath = described(
        Path("/var/lib/netboot/content"), "The boot media and OSTree archives that are served."
    )
    deltas: values.Flag = described(True, "Make a static delta and a summary of each release in the background.")
    scrub_days: kinds.ScrubDays = described(7, "Days from one verification of all content to the next.")
    scrub_rate: kinds.Rate = described(20_000_000, "Bytes per second that this verification reads at most.")
    url: kinds.WebUrl | None = described(None, "A web server elsewhere that has the content.")


class LoaderChoice(SettingSection):
    """A loader for some machines instead of the default one."""

    arch: kinds.LoaderArch = Field(
        description="A CPU, with `-http` for UEFI HTTP boot, or a number of DHCP option 93.", examples=["x64"]
    )
    loader: values.LoaderName = Field(description="A name below `bootfiles.directories`.", examples=["snponly.efi"])
    oui: kinds.Oui | None = described(None, "The first half of the MAC.")
    vendor_class: kinds.ClassPrefix | None = described(None, "The beginning of DHCP option 60.")

    def rule(self) -> LoaderRule:
        """Return the rule for the boot decision."""
        if self.arch not in kinds.LOADER_CPUS:
            arch = arch_named(self.arch)
            return LoaderRule(None, None, self.loader, oui=self.oui, vendor_class=self.vendor_class, arch=arch)
        cpu, http, _ = self.arch.partition("-http")
        protocol = BootProtocol.HTTP if http else BootProtocol.PXE
        return LoaderRule(protocol, Cpu(cpu), self.loader, oui=self.oui, vendor_class=self.vendor_class)


class Bootfiles(SettingSection):
    """Loaders."""

    directories: tuple[values.FilePath, ...] = described(
        tuple(map(Path, _LOADER_DIRECTORIES)), "Directories of boot files, searched in order."
    )
    loaders: tuple[LoaderChoice, ...] = described(
        (),
        "Loaders for some machines instead of the default ones; the first rule that matches is used.",
        title="list of {arch, loader, oui, vendor_class}",
    )


class Render(SettingSection):
    """Scripts, Kickstarts, Ignition."""

    templates: tuple[values.FilePath, ...] = described(
        (Path("/etc/netboot/templates"),), "Directories searched for templates before the shipped ones."
    )


class InstallSettings(SettingSection):
    """Installs."""

    attempts: kinds.Attempts = described(3, "Boots into the installer per arming.")
    set_clock: values.Flag = described(
        False, "Set the clock of a machine that is more than five minutes off, before its install."
    )
    ignition: Annotated[IgnitionWay, choice(IgnitionWay)] = described(
        IgnitionWay.URL, "How an installed system gets its Ignition."
    )
    require: Annotated[InstallRequire, choice(InstallRequire)] = described(
        InstallRequire.ADDRESS, "What a machine needs to be installed, beside an arming."
    )


class Store(SettingSection):
    """The database of installs and events."""

    url: kinds.StoreUrl = Field(
        default="sqlite+aiosqlite:////var/lib/netboot/netboot.db",
        repr=False,  # may contain a password
        description="The database of installs and events.",
    )
    password_file: values.SecretFile | None = described(None, "The file with the password of the database's user.")

    key_file: values.SecretFile | None = described(
        None, "The file with the key of what is sealed in the store; made at the first start."
    )

    @model_validator(mode="after")
    def _reads_the_password(self) -> Self:
        """Add the file to the URL, which is then all that opens the store (`store.engine`)."""
        if self.password_file is None:
            return self
        url = urlsplit(self.url)
        if url.scheme.startswith("sqlite"):
            raise refuse("is for PostgreSQL only", "remove it", key="password_file")
        if url.password is not None:
            raise refuse("store.url has a password too", "remove the one in store.url", key="password_file")
        query = urlencode([*parse_qsl(url.query), (URL_PARAMETER, str(self.password_file))])
        return self.model_copy(update={"url": url._replace(query=query).geturl()})


class Hosts(SettingSection):
    """The machines."""

    files: tuple[values.FilePath, ...] = described(
        (Path("hosts.yaml"), Path("hosts.d")), "Hosts files, and directories of such files."
    )
    unknown: Annotated[UnknownHosts, choice(UnknownHosts)] = described(
        UnknownHosts.IGNORE, "The reply to an unregistered machine."
    )
    inspect_media: values.Name | None = described(None, "The boot medium that inspects machines.")

    @model_validator(mode="after")
    def _inspects_with_a_medium(self) -> Self:
        if self.unknown is UnknownHosts.INSPECT and self.inspect_media is None:
            cure = "set hosts.inspect_media to an imported boot medium: netboot content list"
            raise refuse("no boot medium inspects machines", cure, key="unknown")
        return self

    @classmethod
    def refusal_of_key(cls, name: str, value: Node | None) -> tuple[str, str]:
        what, cure = super().refusal_of_key(name, value)
        is_machine = isinstance(value, Table)
        return what, "machines are written in a file of hosts.files: hosts.yaml" if is_machine else cure


class Logs(SettingSection):
    """Logs of the machines."""

    listen: kinds.EveryAddress | None = described(None, "Where machines' logs are received, by UDP and TCP.")

    @property
    def port(self) -> int:
        """The port of `listen`; 0: no logs are received."""
        return self.listen or 0


class RecordSettings(SettingSection):
    """Files of each boot."""

    captures: values.Flag = described(True, "Record the packets and requests of each boot.")
    directory: values.FilePath = described(Path("/var/lib/netboot/records"), "The files of each boot of each machine.")
    budget: kinds.Budget = described(1 << 30, "Bytes of disk for the files of all boots and the store.")


class UpdateSettings(SettingSection):
    """Updates of installed nodes."""

    registry: values.Flag = described(False, "Nodes that are installed look for their updates on this appliance.")
    report: values.Flag = described(False, "Nodes that are installed report what they run and have downloaded.")


class Log(SettingSection):
    """The log, on standard error."""

    level: Annotated[LogLevel, choice(LogLevel)] = described(LogLevel.INFO, "Minimum log level.")
    format: Annotated[LogFormat, choice(LogFormat)] = described(LogFormat.AUTO, "Format of log lines.")


class Settings(SettingSection):
    """All of `netboot.yaml`; a missing section or key has its default."""

    network: Network = Network()
    dhcp: Dhcp = Dhcp()
    tftp: Tftp = Tftp()
    http: Http = Http()
    registry: RegistrySettings = RegistrySettings()
    admin: Admin = Admin()
    content: ContentSettings = ContentSettings()
    bootfiles: Bootfiles = Bootfiles()
    render: Render = Render()
    install: InstallSettings = InstallSettings()
    store: Store = Store()
    hosts: Hosts = Hosts()
    logs: Logs = Logs()
    records: RecordSettings = RecordSettings()
    updates: UpdateSettings = UpdateSettings()
    bmc: BmcSettings = BmcSettings()
    cluster: ClusterSettings = ClusterSettings()
    log: Log = Log()
    hooks: Annotated[tuple[HookSetting, ...], AfterValidator(named_once)] = described(
        (), "Web servers and commands that get events."
    )


def read_settings(path: Path, faults: Faults) -> tuple[Settings, Node | None]:
    """Return the settings of a file, with the default for each faulty one, and its tree; None: it cannot be read."""
    text = read_text(path, faults, place=Place(str(path)))
    tree = None if text is None else parse(text, str(path), faults)
    match tree:
        case Table():
            return read_section(Settings, _without_removed(tree, faults), faults), tree
        case None | Scalar(is_null=True):
            pass
        case _:
            cure = "write sections, as `http: {port: 8080}`"
            faults.add(tree.place, "", what="is not a table of settings", cure=cure)
    return Settings(), tree


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema of `netboot.yaml` for editors; removed settings are deprecated in it."""
    schema = editor_schema(Settings)
    for path, cure in REMOVED.items():
        section, _, name = path.partition(".")
        table = schema["properties"][section]["$ref"].rpartition("/")[2]
        schema["$defs"][table]["properties"][name] = {"deprecated": True, "description": f"Removed; {cure}"}
    return schema


def _without_removed(tree: Table, faults: Faults) -> Table:
    """Return the tree without removed settings, with a warning for each: its place and its cure."""
    sections = dict(tree.entries)
    for path, cure in REMOVED.items():
        section, _, name = path.partition(".")
        written = sections.get(section)
        if written is None or not isinstance(written.value, Table) or name not in written.value.entries:
            continue
        others = dict(written.value.entries)
        faults.warn(others.pop(name).key.place, path, what="was removed and has no effect", cure=cure)
        sections[section] = replace(written, value=replace(written.value, entries=others))
    return replace(tree, entries=sections)
