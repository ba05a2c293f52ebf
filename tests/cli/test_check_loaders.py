"""The lines of `netboot check` about the loader of each architecture."""

from pathlib import Path

import pytest

from netboot.boot.firmware.loader_choice import policy
from netboot.cli.commands.appliance.loader_lines import LoaderLine, loader_lines, printed
from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import BootProtocol, Cpu
from netboot.model.boot.offer import LoaderRule, UnknownHosts

X64, IA32 = 0x8664, 0x14C


def pe_image(machine: int) -> bytes:
    return b"MZ" + bytes(0x3A) + (64).to_bytes(4, "little") + b"PE\0\0" + machine.to_bytes(2, "little") + bytes(64)


@pytest.fixture
def enterprise_linux(tmp_path: Path) -> BootFiles:
    for name, machine in (("ipxe-snponly-x86_64.efi", X64), ("ipxe-x86_64.efi", X64), ("ipxe-i386.efi", IA32)):
        (tmp_path / name).write_bytes(pe_image(machine))
    (tmp_path / "undionly.kpxe").write_bytes(b"x")
    return BootFiles([tmp_path])


def test_each_architecture_is_named_with_its_loader_and_path(enterprise_linux: BootFiles, tmp_path: Path):
    rules = (
        LoaderRule(BootProtocol.HTTP, Cpu.X64, "ipxe-x86_64.efi"),
        LoaderRule(BootProtocol.PXE, Cpu.X86_BIOS, "undionly.kpxe", oui="3c:fd:fe"),
        LoaderRule(None, None, "ipxe-i386.efi", arch=99),
    )
    given, _ = policy(UnknownHosts.IGNORE, rules, hosts=(), bootfiles=enterprise_linux)

    lines = loader_lines(given, enterprise_linux)

    no_arm64 = (
        f"none of {tmp_path} has snponly-arm64.efi or ipxe-arm64.efi; install ipxe-bootimgs-aarch64 "
        "(Oracle Linux; Debian 12 has none), or put one there as snponly-arm64.efi"
    )
    snponly = ("ipxe-snponly-x86_64.efi", f"{tmp_path}/ipxe-snponly-x86_64.efi", ("ipxe-x86_64.efi",))
    assert lines == [
        LoaderLine("BIOS, PXE", "undionly.kpxe", f"{tmp_path}/undionly.kpxe"),
        LoaderLine("x64 UEFI, PXE", *snponly),
        LoaderLine("x64 UEFI, HTTP", "ipxe-x86_64.efi", f"{tmp_path}/ipxe-x86_64.efi"),
        LoaderLine("ia32 UEFI, PXE", "ipxe-i386.efi", f"{tmp_path}/ipxe-i386.efi"),
        LoaderLine("ia32 UEFI, HTTP", "ipxe-i386.efi", f"{tmp_path}/ipxe-i386.efi"),
        LoaderLine("arm64 UEFI, PXE", missing=no_arm64),
        LoaderLine("arm64 UEFI, HTTP", missing=no_arm64),
        LoaderLine("arch-99 (99)", "ipxe-i386.efi", f"{tmp_path}/ipxe-i386.efi"),
    ]
    assert str(lines[1]) == (
        f"  x64 UEFI, PXE     ipxe-snponly-x86_64.efi ({tmp_path}/ipxe-snponly-x86_64.efi), then ipxe-x86_64.efi"
    )
    assert str(lines[5]).startswith("  arm64 UEFI, PXE   none: none of ")


def test_a_cpu_whose_loaders_are_missing_for_one_reason_is_printed_in_one_line():
    bios = LoaderLine("BIOS, PXE", "undionly.kpxe", "/b/undionly.kpxe")
    ia32 = [LoaderLine("ia32 UEFI, PXE", missing="install A"), LoaderLine("ia32 UEFI, HTTP", missing="install A")]
    arm64 = [LoaderLine("arm64 UEFI, PXE", missing="install B"), LoaderLine("arm64 UEFI, HTTP", missing="install C")]

    assert list(printed([bios, bios, *ia32, *arm64])) == [
        "  BIOS, PXE         undionly.kpxe (/b/undionly.kpxe)",
        "  BIOS, PXE         undionly.kpxe (/b/undionly.kpxe)",
        "  ia32 UEFI         none: install A",
        "  arm64 UEFI, PXE   none: install B",
        "  arm64 UEFI, HTTP  none: install C",
    ]
