"""The file names of loaders in the order in which they are tried: Debian's, Red Hat's, SUSE's, Arch's and iPXE's.

A name is not sufficient: `content.bootfiles.directories` uses a file for a CPU only if its PE header names that CPU.

Sources: Debian and Ubuntu `ipxe` (/usr/lib/ipxe/snponly.efi, ipxe.efi, ipxe-arm64.efi); Fedora and Enterprise Linux
`ipxe-bootimgs-x86` (/usr/share/ipxe/ipxe-snponly-x86_64.efi, ipxe-x86_64.efi, ipxe-i386.efi), `ipxe-bootimgs-aarch64`
(/usr/share/ipxe/arm64-efi/snponly.efi); SUSE `ipxe-bootimgs` (snp-x86_64.efi, snp-arm64.efi); Arch `ipxe`
(/usr/share/ipxe/x86_64/ipxe.efi); iPXE's own build directories (bin-x86_64-efi/snponly.efi) and boot.ipxe.org
(x86_64-efi/snponly.efi); warewulf (bin-x86_64-efi-snponly.efi).
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from netboot.model.boot.boot_client import Cpu

# snponly drives the card by the firmware that just booted from it, snp any card of the firmware; ipxe brings drivers of
# its own, which fail on more machines.
_EFI_BUILDS: Final = ("snponly", "snp", "ipxe")
_BIOS_BUILDS: Final = ("undionly.kpxe", "ipxe.pxe", "undionly.kkpxe", "ipxe.kpxe", "ipxe.kkpxe", "undionly.pxe")
_BIOS_DIRECTORIES: Final = ("", "i386-pcbios/", "bin-i386-pcbios/", "pcbios/", "bin/", "i386/", "x86_64/")
# How builders spell a CPU; the first spelling is the one that we recommend.
_SPELLINGS: Final = {
    Cpu.IA32: ("ia32", "i386", "x86", "i686"),
    Cpu.X64: ("x86_64", "x64", "amd64"),
    Cpu.ARM32: ("arm32", "arm", "armhf"),
    Cpu.ARM64: ("arm64", "aarch64", "aa64"),
    Cpu.RISCV64: ("riscv64",),
    Cpu.LOONGARCH64: ("loongarch64", "loong64"),
}


class LoaderKind(StrEnum):
    """What leads a machine to its script: few values, each with a speed of its own."""

    IPXE_BIOS = "ipxe-bios"
    IPXE_UEFI = "ipxe-uefi"
    GRUB = "grub"  # or a shim, which starts it
    ROM_IPXE = "rom-ipxe"  # an iPXE that the machine had before it was offered a loader
    OTHER = "other"
    UNKNOWN = "unknown"  # no offer of this boot is on record


def loader_kind(name: str) -> LoaderKind:
    """Return the kind of a loader by its file name."""
    name = name.rpartition("/")[2].lower()
    if name.startswith(("shim", "grub")):
        return LoaderKind.GRUB
    if name.endswith((".kpxe", ".kkpxe", ".pxe")):
        return LoaderKind.IPXE_BIOS
    is_ipxe = name.endswith(".efi") and ("ipxe" in name or name.startswith(_EFI_BUILDS))
    return LoaderKind.IPXE_UEFI if is_ipxe else LoaderKind.OTHER


def recommended_names(cpu: Cpu) -> tuple[str, ...]:
    """Name the files that an operator should install: one with the firmware's driver, one with drivers of its own."""
    if cpu is Cpu.X86_BIOS:
        return _BIOS_BUILDS[:2]
    suffix = "" if cpu is Cpu.X64 else f"-{_SPELLINGS[cpu][0]}"
    return f"snponly{suffix}.efi", f"ipxe{suffix}.efi"


def _efi_names(cpu: Cpu) -> Iterator[str]:
    for build in _EFI_BUILDS:
        if cpu is Cpu.X64:
            yield f"{build}.efi"
        for spelling in _SPELLINGS[cpu]:
            yield f"{build}-{spelling}.efi"
            if build != "ipxe":
                yield f"ipxe-{build}-{spelling}.efi"
            yield from (f"{directory}/{build}.efi" for directory in (f"{spelling}-efi", spelling, f"efi-{spelling}"))
            yield from (f"bin-{spelling}-efi/{build}.efi", f"bin-{spelling}-efi-{build}.efi")
            yield from (f"{spelling}-sb/{build}.efi", f"bin-{spelling}-efi-sb/{build}.efi")
        if cpu is not Cpu.X64:
            yield f"{build}.efi"  # a directory for one CPU alone


# The preferred first: each build in every naming, before the next build.
LOADER_NAMES: Final = {
    Cpu.X86_BIOS: tuple(f"{directory}{name}" for name in _BIOS_BUILDS for directory in _BIOS_DIRECTORIES),
    **{cpu: tuple(_efi_names(cpu)) for cpu in _SPELLINGS},
}
