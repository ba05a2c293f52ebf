"""Where a missing boot loader comes from: a package of a distribution, or a file of the operator."""

import pytest

from netboot.content.bootfiles.loader_packages import SIGNED_LOADERS, how_to_install, packages_of
from netboot.model.boot.boot_client import Cpu

X86 = "install ipxe (Debian) or ipxe-bootimgs-x86 (Oracle Linux)"
OL8, OL9 = "Oracle Linux 8: ipxe-bootimgs", "Oracle Linux 9 and 10: ipxe-bootimgs-x86"
BY_HAND = "put one there as l.efi, or name one with bootfiles.loaders"


@pytest.mark.parametrize(
    ("cpu", "cure", "packages"),
    [
        (Cpu.X86_BIOS, X86, (OL9, OL8, "Debian: ipxe")),
        (Cpu.X64, X86, (OL9, OL8, "Debian: ipxe")),
        (
            Cpu.IA32,
            "install ipxe-bootimgs-x86 (Oracle Linux; Debian has none), or put one there as l.efi",
            (OL9, OL8),
        ),
        (
            Cpu.ARM64,
            "install ipxe-bootimgs-aarch64 (Oracle Linux; Debian 12 has none), or put one there as l.efi",
            ("Oracle Linux 9 and 10: ipxe-bootimgs-aarch64", "Debian 13 and later: ipxe"),
        ),
        (Cpu.ARM32, BY_HAND, ()),
        (Cpu.RISCV64, BY_HAND, ()),
        (Cpu.LOONGARCH64, BY_HAND, ()),
    ],
)
def test_a_loader_of_each_cpu_has_its_packages_or_is_the_operators(cpu: Cpu, cure: str, packages: tuple[str, ...]):
    assert (how_to_install(cpu, "l.efi"), packages_of(cpu)) == (cure, packages)


def test_signed_loaders_have_the_packages_and_files_of_both_distributions():
    assert str(SIGNED_LOADERS[Cpu.ARM64]) == (
        "shim-aa64 and grub2-efi-aa64 (Oracle Linux 8 to 10: EFI/redhat/shimaa64.efi and EFI/redhat/grubaa64.efi "
        "below the mounted EFI partition) or shim-signed and grub-efi-arm64-signed (Debian: "
        "/usr/lib/shim/shimaa64.efi.signed and /usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed)"
    )
