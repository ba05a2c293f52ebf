"""The names under which a loader for a CPU is found."""

import pytest

from netboot.model.boot.boot_client import Cpu
from netboot.model.boot.loader_names import LOADER_NAMES, recommended_names


@pytest.mark.parametrize(
    ("cpu", "names"),
    [
        (Cpu.X86_BIOS, ("undionly.kpxe", "ipxe.pxe")),
        (Cpu.X64, ("snponly.efi", "ipxe.efi")),
        (Cpu.IA32, ("snponly-ia32.efi", "ipxe-ia32.efi")),
        (Cpu.ARM32, ("snponly-arm32.efi", "ipxe-arm32.efi")),
        (Cpu.ARM64, ("snponly-arm64.efi", "ipxe-arm64.efi")),
        (Cpu.RISCV64, ("snponly-riscv64.efi", "ipxe-riscv64.efi")),
        (Cpu.LOONGARCH64, ("snponly-loongarch64.efi", "ipxe-loongarch64.efi")),
    ],
)
def test_the_recommended_names_are_among_those_that_are_tried(cpu: Cpu, names: tuple[str, ...]):
    assert recommended_names(cpu) == names
    assert set(names) <= set(LOADER_NAMES[cpu])
    assert LOADER_NAMES[cpu].index(names[0]) < LOADER_NAMES[cpu].index(names[1])
