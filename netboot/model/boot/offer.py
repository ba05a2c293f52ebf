"""The result of a boot decision: an offer, a plan for the script, or no reply with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from netboot.model.boot.boot_client import CPU_OF_ARCH, BootClient, BootProtocol, Cpu
from netboot.model.boot.loader_names import LoaderKind, loader_kind
from netboot.model.host.firmware import LocalBootMethod, ReplyVariant
from netboot.model.host.host import Host, InstallRequire
from netboot.model.host.mac import Mac
from netboot.model.install.wipe import Wipe


class IgnoreReason(StrEnum):
    """Why a client gets no reply; the same word in log, metric and documentation."""

    UNKNOWN_HOST = "unknown-host"
    UNKNOWN_ARCHITECTURE = "unknown-architecture"  # its number has no CPU, and no rule in bootfiles.loaders
    NO_LOADER_FOR_ARCH = "no-loader-for-arch"
    LOADER_WITHOUT_HTTP = "loader-without-http"  # its loader is an iPXE that cannot fetch its script
    LOADER_FOR_ANOTHER_CPU = "loader-for-another-cpu"  # the one that `hosts.X.loader` names
    BOOTS_LOCALLY = "boots-locally"  # its firmware is led to its disk by the absence of a reply


class OfferKind(StrEnum):
    LOADER = "loader"  # what its firmware starts, by the client's own protocol
    SCRIPT = "script"  # iPXE is there: the URL of its script
    LOCAL_DISK = "local-disk"  # a reply that ends the firmware's network boot at once


@dataclass(slots=True)  # made for each datagram; a frozen one takes three times as long
class Offer:
    """The offer to one client, before addresses and packets."""

    kind: OfferKind
    mac: Mac
    boot_file: str = ""  # of a loader, below `bootfiles.directories`; other URLs are made where the address is known
    variant: ReplyVariant = ReplyVariant.WITH_43  # the reply variant for a PXE firmware

    @property
    def needs_own_directory(self) -> bool:
        """The loader is a shim or a GRUB, which request further files from their own directory."""
        return loader_kind(self.boot_file) is LoaderKind.GRUB


@dataclass(frozen=True, slots=True)
class Ignored:
    reason: IgnoreReason


class WaitReason(StrEnum):
    """Why a machine's script only waits and requests again."""

    UNKNOWN_HOST = "unknown-host"  # not registered
    # no DHCP request of its MAC was received lately, or the request is from another machine's address
    NOT_ANNOUNCED = "not-announced"
    STORE_UNREACHABLE = "store-unreachable"  # a script that can wipe a disk is made from the store alone
    NOT_READY = "not-ready"  # its documents cannot be rendered or content is missing; an event reports it
    TEMPLATE_FAULT = "template-fault"  # the template of the script that leads to its disk is faulty
    CHECKS_FAILED = "checks-failed"  # a check before its install failed; it waits until its host is armed again
    IDENTITY = "identity"  # its DHCP requests show another machine: its next request reports what it is
    HELD = "held"  # a person confirms the machine, or cancels its arming


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """Boot the installer: this host, this boot's Kickstart."""

    host: Host
    kickstart_token: str = field(repr=False)
    mac: Mac  # the requesting card, which the installer has to use


@dataclass(frozen=True, slots=True)
class InspectPlan:
    """Boot `medium`, whose Kickstart reports the hardware, writes no disk but that of `wipe`, and restarts."""

    mac: Mac  # the requesting card
    medium: str
    host: Host | None = None
    token: str = field(default="", repr=False)  # of this inspection; empty in a decision
    wipe: Wipe | None = None  # of a retired host's machine


@dataclass(frozen=True, slots=True)
class RescuePlan:
    """Boot the rescue mode of `medium`; netboot writes no disk."""

    mac: Mac  # the requesting card
    medium: str
    host: Host


@dataclass(frozen=True, slots=True)
class LocalBootPlan:
    """End the network boot and boot the disk."""

    mac: Mac
    host: Host | None
    method: LocalBootMethod | None = None  # one of BY_SCRIPT; None: the first for the platform


@dataclass(frozen=True, slots=True)
class WaitPlan:
    """Show the machine's identity and request again."""

    mac: Mac
    reason: WaitReason
    host: Host | None = None
    found: str = ""  # what the checks before the install found, or why it is held


OncePlan = InspectPlan | RescuePlan  # what a machine boots once, at an operator's request or as unregistered
HarmlessPlan = OncePlan | LocalBootPlan | WaitPlan  # all that needs no arming
ScriptPlan = InstallPlan | HarmlessPlan


class ScriptLanguage(StrEnum):
    """Which program runs a machine's script."""

    IPXE = "ipxe"
    GRUB = "grub"


class DocumentKind(StrEnum):
    """A file that is rendered for the requesting machine."""

    IPXE_AUTOEXEC = "autoexec.ipxe"  # leads to the machine's script
    GRUB_CONFIG = "grub.cfg"  # is the machine's script


@dataclass(frozen=True, slots=True)
class MachineDocument:
    """The document that a requested name means if no such file exists; `mac` is None if it is not in the name."""

    kind: DocumentKind
    mac: Mac | None


class UnknownHosts(StrEnum):
    """`hosts.unknown`: the reply to an unregistered machine."""

    IGNORE = "ignore"
    WAIT = "wait"
    INSPECT = "inspect"  # waits as well, and is inspected before, once with each medium


@dataclass(frozen=True, slots=True)
class LoaderRule:
    """One entry of `bootfiles.loaders`: the loader that some machines get instead of the default one."""

    protocol: BootProtocol | None
    cpu: Cpu | None
    loader: str
    oui: str | None = None  # the first half of a MAC, as `3c:fd:fe`
    vendor_class: str | None = None  # how option 60 begins
    arch: int | None = None  # this number in option 93 alone; protocol and cpu are then None

    @property
    def required_cpu(self) -> Cpu | None:
        """The CPU that its loader must be built for; None if it is not known."""
        return self.cpu if self.arch is None else CPU_OF_ARCH.get(self.arch)

    def applies_to(self, client: BootClient) -> bool:
        return (
            (self.arch is None or client.arch == self.arch)
            and (self.protocol is None or client.protocol is self.protocol)
            and (self.cpu is None or client.cpu is self.cpu)
            and (self.oui is None or client.mac.startswith(self.oui))
            and (self.vendor_class is None or client.vendor_class.startswith(self.vendor_class))
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """The inputs of a boot decision beside client, host and install; every loader is a file, built for its CPU."""

    unknown: UnknownHosts
    loaders: dict[tuple[BootProtocol, Cpu], str]
    others: Mapping[tuple[BootProtocol, Cpu], tuple[str, ...]] = field(default_factory=dict)  # where the first fails
    rules: tuple[LoaderRule, ...] = ()  # the first that applies is used
    declared_rules: tuple[LoaderRule, ...] = ()  # also those whose loader does not exist yet
    cpus: Mapping[str, Cpu] = field(default_factory=dict)  # of the loaders that hosts name; a BIOS loader is not in it
    address_announces: bool = False  # `dhcp.mode: off`: a request from a host's registered address announces it
    unusable: Mapping[str, str] = field(default_factory=dict)  # loaders that hosts name: why, and the cure
    inspect_media: str | None = None  # the boot medium that inspects machines
    left_out: frozenset[Mac] = frozenset()  # of hosts whose entry is faulty: they boot their own disk
    requires: InstallRequire = InstallRequire.ADDRESS  # `install.require`
    is_complete: bool = True  # the files as they were read last are in force; else no retired machine's disk is wiped

    def loaders_for(self, client: BootClient) -> tuple[str, ...]:
        """Name the loaders for a client's protocol and CPU in the order in which they are tried; empty: none."""
        for rule in self.rules:
            if rule.applies_to(client):
                return (rule.loader,)
        if client.cpu is None:
            return ()
        key = (client.protocol, client.cpu)
        first = self.loaders.get(key)
        return () if first is None else (first, *self.others.get(key, ()))

    def requires_approval(self, host: Host) -> bool:
        """Return whether a person confirms the first boot into the installer of each arming of a host."""
        return (host.install_require or self.requires) is InstallRequire.APPROVAL

    def every_loader(self) -> set[str]:
        """Name every loader that some machine may be offered."""
        others = (name for names in self.others.values() for name in names)
        return {*self.loaders.values(), *others, *(rule.loader for rule in self.rules), *self.cpus}

    def cpu_of(self, loader: str) -> Cpu:
        return self.cpus.get(loader, Cpu.X86_BIOS)
