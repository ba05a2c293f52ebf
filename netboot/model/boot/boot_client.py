"""A client that requests a boot: its identity and its stage, read from its packet by `wire.dhcp.pxe`.

`Machine` is what its packets showed until now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address
from typing import Final
from uuid import UUID

from netboot.model.boot.machine_facts import NO_FACTS, Facts, MachineFact
from netboot.model.host.firmware import LocalBoot
from netboot.model.host.mac import Mac
from netboot.model.install.machine_identity import Identity


class Arch(IntEnum):
    """Architectures of option 93 whose loader is found by its CPU (IANA; RFC 4578 §2.1 with erratum 4624)."""

    X86_BIOS = 0
    IA32_UEFI = 6
    X64_UEFI = 7
    X64_UEFI_9 = 9  # RFC 4578's "EFI x86-64"; firmware for x64 sends 7 or 9
    ARM32_UEFI = 10
    ARM64_UEFI = 11
    IA32_UEFI_HTTP = 15
    X64_UEFI_HTTP = 16
    EBC_HTTP = 17  # x64 in the field, as 9 is
    ARM32_UEFI_HTTP = 18
    ARM64_UEFI_HTTP = 19
    UBOOT_ARM32 = 21  # U-Boot runs .efi files; it reads only the `file` field
    UBOOT_ARM64 = 22
    RISCV64_UEFI = 27
    RISCV64_UEFI_HTTP = 28
    LOONGARCH64_UEFI = 39
    LOONGARCH64_UEFI_HTTP = 40


class Cpu(StrEnum):
    """What a loader must be built for."""

    X86_BIOS = "x86-bios"
    IA32 = "ia32"
    X64 = "x64"
    ARM32 = "arm32"
    ARM64 = "arm64"
    RISCV64 = "riscv64"
    LOONGARCH64 = "loongarch64"


_ARCHES_OF_CPU: Final = {
    Cpu.X86_BIOS: (Arch.X86_BIOS,),
    Cpu.IA32: (Arch.IA32_UEFI, Arch.IA32_UEFI_HTTP),
    Cpu.X64: (Arch.X64_UEFI, Arch.X64_UEFI_9, Arch.X64_UEFI_HTTP, Arch.EBC_HTTP),
    Cpu.ARM32: (Arch.ARM32_UEFI, Arch.ARM32_UEFI_HTTP, Arch.UBOOT_ARM32),
    Cpu.ARM64: (Arch.ARM64_UEFI, Arch.ARM64_UEFI_HTTP, Arch.UBOOT_ARM64),
    Cpu.RISCV64: (Arch.RISCV64_UEFI, Arch.RISCV64_UEFI_HTTP),
    Cpu.LOONGARCH64: (Arch.LOONGARCH64_UEFI, Arch.LOONGARCH64_UEFI_HTTP),
}
CPU_OF_ARCH: Final[Mapping[int, Cpu]] = {arch: cpu for cpu, arches in _ARCHES_OF_CPU.items() for arch in arches}
LARGEST_ARCH: Final = 65_535  # option 93 holds 16 bits
ARCH_NAMES: Final[Mapping[int, str]] = {int(arch): arch.name.lower().replace("_", "-") for arch in Arch}
_ARCH_OF_NAME: Final = {name: arch for arch, name in ARCH_NAMES.items()}


def arch_name(number: int) -> str:
    """Name an architecture of option 93 in logs and the store: `x64-uefi`, or `arch-99` without a name."""
    return ARCH_NAMES.get(number) or f"arch-{number}"


def arch_named(name: str) -> int | None:
    """Return the number that `arch_name` named; None for any other text."""
    number = name.removeprefix("arch-")
    if number != name and number.isascii() and number.isdecimal() and int(number[:6]) <= LARGEST_ARCH:
        return int(number)
    return _ARCH_OF_NAME.get(name)


class BootProtocol(StrEnum):
    """How a firmware loads its first file: given by the class in option 60, never by the architecture."""

    PXE = "pxe"  # PXEClient: TFTP
    HTTP = "http"  # HTTPClient: UEFI HTTP boot


class Stage(StrEnum):
    """The stage of the boot: a firmware requests a loader, a loader requests its script."""

    FIRMWARE = "firmware"
    IPXE = "ipxe"
    IPXE_WITHOUT_HTTP = "ipxe-without-http"  # a loader of ours that cannot fetch its script


@dataclass(frozen=True, slots=True)
class RelayPath:
    """How a DISCOVER came here: `giaddr`, and the port that option 82 names (RFC 3046). Unverified."""

    relay: IPv4Address | None  # None: a switch inserted option 82 and relayed nothing
    circuit_id: str = ""
    remote_id: str = ""


@dataclass(slots=True)  # made for each datagram; a frozen one takes three times as long
class BootClient:
    mac: Mac
    arch: int  # option 93: an `Arch` where its CPU is known
    protocol: BootProtocol
    stage: Stage
    vendor_class: str = ""  # option 60, escaped for a log
    uuid: bytes | None = None  # option 97 without its type byte, as it came
    is_etherboot: bool = False  # iPXE, gPXE or a build of them: it reads option 175, and may boot nothing by HTTP
    has_http: bool = False  # option 175 lists the feature HTTP
    # `xid` of a DISCOVER, one for all its repetitions; None on port 4011, for which EDK2 draws a new one
    exchange: int | None = field(default=None, compare=False)
    elapsed: int = field(default=0, compare=False)  # `secs`: grows within an exchange
    path: RelayPath | None = field(default=None, compare=False)  # of a DISCOVER
    # what its loader must be built for; None if no CPU is known for the architecture's number
    cpu: Cpu | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.cpu = CPU_OF_ARCH.get(self.arch)

    @property
    def firmware(self) -> str:
        """Name the boot method: a card may boot as BIOS, as UEFI by PXE, and by HTTP."""
        return f"{self.protocol}/{self.cpu or arch_name(self.arch)}"


ADDRESSES: Final = 4  # of one machine: firmware, iPXE and installer may each get another lease


@dataclass(slots=True)  # made for each boot; a frozen one takes twice as long
class Machine:
    """One MAC that requested a boot or an address. `addresses`: oldest first."""

    mac: Mac
    first_seen: datetime
    last_seen: datetime
    arch: str | None = None
    vendor_class: str | None = None
    uuid: str | None = None
    addresses: tuple[IPv4Address, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)  # `BootVariant`s that worked, by `BootClient.firmware`
    facts: Facts = field(default_factory=lambda: NO_FACTS)  # as it reported them last; unverified
    first_path: RelayPath | None = None  # of the first and the last DISCOVER that had one
    last_path: RelayPath | None = None
    local_boots: Mapping[str, LocalBoot] = field(default_factory=dict)  # by `BootClient.firmware`

    @property
    def switch_port(self) -> str:
        """The port of its switch: by LLDP as the machine reported it, else by option 82; unverified."""
        facts, path = self.facts, self.last_path
        by_lldp = " ".join(text for fact in (MachineFact.SWITCH, MachineFact.SWITCH_PORT) if (text := facts.get(fact)))
        if by_lldp or path is None:
            return by_lldp
        return " ".join(text for text in (path.remote_id, path.circuit_id) if text)

    @property
    def identity(self) -> Identity:
        """What it showed of itself until now."""
        uuid, serial = self.facts.get(MachineFact.UUID, ""), self.facts.get(MachineFact.SERIAL, "")
        shown = uuid or (uuid_text(bytes.fromhex(self.uuid)) if self.uuid else "")
        address = str(self.addresses[-1]) if self.addresses else ""
        return Identity(self.mac, address, shown, serial, self.switch_port, is_reported=bool(uuid or serial))


def uuid_text(option_97: bytes) -> str:
    """Write the UUID of option 97 as dmidecode does, whose first three fields are little endian on the wire."""
    return str(UUID(bytes_le=option_97))
