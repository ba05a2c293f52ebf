"""What a machine is told: an offer on the wire, a plan for its script, or nothing with the reason why."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netboot.model.client import BootClient, BootProtocol, Cpu
from netboot.model.host import Host
from netboot.model.mac import Mac


class IgnoreReason(StrEnum):
    """Why a machine got no answer; the same word in log, metric and documentation."""

    UNKNOWN_HOST = "unknown-host"
    NO_LOADER_FOR_ARCH = "no-loader-for-arch"
    HTTP_BOOT_OF_THIS_ARCH = "http-boot-of-this-arch"


class OfferKind(StrEnum):
    """What an offer leads to."""

    LOADER = "loader"  # a network boot program, by the client's own protocol
    SCRIPT = "script"  # iPXE is there: the URL of its script
    LOCAL_DISK = "local-disk"  # an answer that ends the firmware's network boot at once


@dataclass(frozen=True, slots=True)
class Offer:
    """What the offer to one client says, before addresses and packets.

    `boot_file` is a name below `bootfiles.directories` for a loader and empty for the others:
    their URL is made from the MAC where the server's address is known.
    """

    kind: OfferKind
    mac: Mac
    boot_file: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """No answer, and why."""

    reason: IgnoreReason


class WaitReason(StrEnum):
    """Why a machine's script only waits and asks again."""

    UNKNOWN_HOST = "unknown-host"  # nobody registered it yet
    NOT_ANNOUNCED = "not-announced"  # its MAC was not seen on the wire lately, or it asks from another's address
    STORE_UNREACHABLE = "store-unreachable"  # what can wipe asks the ledger, and the ledger does not answer
    NOT_READY = "not-ready"  # its documents or content cannot be made now; the operator was told


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """Boot the installer: this host, this boot's Kickstart."""

    host: Host
    kickstart_token: str
    mac: Mac | None = None  # the card that asks; None: the host's first

    @property
    def boot_mac(self) -> Mac:
        """The card that the installer has to use: the one that just booted."""
        return self.mac or self.host.mac


@dataclass(frozen=True, slots=True)
class LocalBootPlan:
    """Leave the network and boot the disk."""

    mac: Mac
    host: Host | None


@dataclass(frozen=True, slots=True)
class WaitPlan:
    """Say who the machine is and ask again."""

    mac: Mac
    reason: WaitReason
    host: Host | None = None


ScriptPlan = InstallPlan | LocalBootPlan | WaitPlan


class UnknownHosts(StrEnum):
    """`hosts.unknown`: what a machine gets that nobody registered."""

    IGNORE = "ignore"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Policy:
    """What decides beside client, host and install.

    `loaders` holds only files that exist, by protocol and CPU.
    """

    unknown: UnknownHosts
    loaders: dict[tuple[BootProtocol, Cpu], str]

    def loader_for(self, client: BootClient) -> str | None:
        """Name the loader that this client's protocol and CPU want, if there is one."""
        return self.loaders.get((client.protocol, client.cpu))


# In the order of preference. snponly drives the card by the firmware that just booted from it;
# ipxe.efi brings drivers of its own.
LOADER_NAMES: Final[dict[tuple[BootProtocol, Cpu], tuple[str, ...]]] = {
    (BootProtocol.PXE, Cpu.X86_BIOS): ("undionly.kpxe", "ipxe.pxe"),
    (BootProtocol.PXE, Cpu.IA32): ("snponly-ia32.efi", "ipxe-ia32.efi"),
    (BootProtocol.PXE, Cpu.X64): ("snponly.efi", "ipxe.efi", "snponly-x86_64.efi", "ipxe-x86_64.efi"),
    (BootProtocol.PXE, Cpu.ARM64): ("snponly-arm64.efi", "ipxe-arm64.efi", "arm64-efi/snponly.efi"),
    (BootProtocol.HTTP, Cpu.X64): ("snponly.efi", "ipxe.efi", "snponly-x86_64.efi", "ipxe-x86_64.efi"),
    (BootProtocol.HTTP, Cpu.ARM64): ("snponly-arm64.efi", "ipxe-arm64.efi", "arm64-efi/snponly.efi"),
    (BootProtocol.HTTP, Cpu.IA32): ("snponly-ia32.efi", "ipxe-ia32.efi"),
}
