"""The header of a PE image: the CPU that a boot loader or an EFI kernel is built for. PE/COFF specification §3.3."""

from collections.abc import Mapping
from typing import Final

from netboot.model.boot.boot_client import Cpu

_CPU_OF_MACHINE: Final = {
    0x014C: Cpu.IA32,
    0x8664: Cpu.X64,
    0x01C0: Cpu.ARM32,
    0x01C2: Cpu.ARM32,
    0x01C4: Cpu.ARM32,
    0xAA64: Cpu.ARM64,
    0x5064: Cpu.RISCV64,
    0x6264: Cpu.LOONGARCH64,
}
_KERNEL_NAMES: Final[Mapping[Cpu | None, str]] = {Cpu.X64: "x86_64", Cpu.ARM64: "aarch64"}


def pe_cpu(head: bytes) -> Cpu | None:
    """Read the CPU from the first bytes of a PE image; None for anything else."""
    at = int.from_bytes(head[0x3C:0x40], "little")
    if head[:2] != b"MZ" or head[at : at + 4] != b"PE\0\0":
        return None
    return _CPU_OF_MACHINE.get(int.from_bytes(head[at + 4 : at + 6], "little"))


def pe_architecture(head: bytes) -> str | None:
    """Read the architecture of a PE image as kernels are named, `x86_64` or `aarch64`; None for any other."""
    return _KERNEL_NAMES.get(pe_cpu(head))
