"""The packages that contain boot loaders, on Oracle Linux and on Debian."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from netboot.model.boot.boot_client import Cpu

_ADD_LOADER: Final = "put one there as {name}, or name one with bootfiles.loaders"
# Debian 12 and Ubuntu build iPXE for x86 BIOS and x86-64 UEFI alone.
_INSTALL: Final = {
    Cpu.X86_BIOS: "install ipxe (Debian) or ipxe-bootimgs-x86 (Oracle Linux)",
    Cpu.X64: "install ipxe (Debian) or ipxe-bootimgs-x86 (Oracle Linux)",
    Cpu.IA32: "install ipxe-bootimgs-x86 (Oracle Linux; Debian has none), or put one there as {name}",
    Cpu.ARM64: "install ipxe-bootimgs-aarch64 (Oracle Linux; Debian 12 has none), or put one there as {name}",
}


@dataclass(frozen=True, slots=True)
class SignedLoaders:
    """The packages of a shim and the GRUB that it starts, and where they install the two files."""

    debian: str
    debian_files: tuple[str, str]
    oracle: str
    oracle_files: tuple[str, str]

    def __str__(self) -> str:
        oracle, debian = (" and ".join(files) for files in (self.oracle_files, self.debian_files))
        mounted = f"Oracle Linux 8 to 10: {oracle} below the mounted EFI partition"
        return f"{self.oracle} ({mounted}) or {self.debian} (Debian: {debian})"


# Where UEFI programs for Secure Boot come from; both distributions call them so in every release that they support.
SIGNED_LOADERS: Final[Mapping[Cpu, SignedLoaders]] = {
    Cpu.X64: SignedLoaders(
        "shim-signed and grub-efi-amd64-signed",
        ("/usr/lib/shim/shimx64.efi.signed", "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"),
        "shim-x64 and grub2-efi-x64",
        ("EFI/redhat/shimx64.efi", "EFI/redhat/grubx64.efi"),
    ),
    Cpu.ARM64: SignedLoaders(
        "shim-signed and grub-efi-arm64-signed",
        ("/usr/lib/shim/shimaa64.efi.signed", "/usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed"),
        "shim-aa64 and grub2-efi-aa64",
        ("EFI/redhat/shimaa64.efi", "EFI/redhat/grubaa64.efi"),
    ),
}


def how_to_install(cpu: Cpu, name: str) -> str:
    """Return the cure of a missing loader; `name` is what to call one that no package has."""
    return _INSTALL.get(cpu, _ADD_LOADER).format(name=name)


def packages_of(cpu: Cpu) -> tuple[str, ...]:
    """Name the packages of an unsigned loader, a distribution each; empty: none has one."""
    match cpu:
        case Cpu.X86_BIOS | Cpu.X64:
            return "Oracle Linux 9 and 10: ipxe-bootimgs-x86", "Oracle Linux 8: ipxe-bootimgs", "Debian: ipxe"
        case Cpu.IA32:
            return "Oracle Linux 9 and 10: ipxe-bootimgs-x86", "Oracle Linux 8: ipxe-bootimgs"
        case Cpu.ARM64:
            return "Oracle Linux 9 and 10: ipxe-bootimgs-aarch64", "Debian 13 and later: ipxe"
        case _:
            return ()
