"""The names that machines request beside their loader, as shim, GRUB and iPXE spell them."""

from pathlib import Path

import pytest

from netboot.boot.firmware.requested_names import (
    cpu_meant,
    document_named,
    find_loader,
    is_requested_by_loaders,
    second_stage,
    without_tail,
)
from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import Cpu
from netboot.model.boot.offer import DocumentKind
from netboot.model.host.mac import Mac

MAC = Mac.parse("52:54:00:aa:bb:01")
GRUB, AUTOEXEC = DocumentKind.GRUB_CONFIG, DocumentKind.IPXE_AUTOEXEC


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("grub.cfg", (GRUB, None), id="grub"),
        pytest.param("boot/grub/grub.cfg", (GRUB, None), id="in-whatever-directory"),
        pytest.param("grub.cfg-01-52-54-00-aa-bb-01", (GRUB, MAC), id="by-mac"),
        pytest.param("EFI/redhat/grub.cfg-01-52-54-00-AA-BB-01", (GRUB, MAC), id="in-any-case"),
        pytest.param("grub.cfg-00112233-4455-6677-8899-aabbccddeeff", (GRUB, None), id="by-uuid"),
        pytest.param("grub.cfg-C0000232", (GRUB, None), id="by-address"),
        pytest.param("grub.cfg-C", (GRUB, None), id="by-a-piece-of-it"),
        pytest.param("grub.cfg-01-ff-ff-ff-ff-ff-ff", (GRUB, None), id="no-machine-s-mac"),
        pytest.param("autoexec.ipxe", (AUTOEXEC, None), id="ipxe"),
        pytest.param("ipxe/autoexec.ipxe", (AUTOEXEC, None), id="ipxe-in-a-directory"),
        pytest.param("grub.cfg.bak", None, id="something-else"),
        pytest.param("grub.cfg-of-mine", None, id="no-hex"),
        pytest.param("x-grub.cfg", None, id="not-from-its-beginning"),
        pytest.param("grub.cfg/x", None, id="a-directory"),
        pytest.param("snponly.efi", None, id="a-loader"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_the_document_behind_a_name(name: str, expected: tuple[DocumentKind, Mac | None] | None):
    assert document_named(name) == expected


@pytest.mark.parametrize(
    ("requested", "found"),
    [
        pytest.param("grubx64.efi", "grubnetx64.efi.signed", id="debian-s-signed-grub"),
        pytest.param("EFI/BOOT/grubx64.efi", "grubnetx64.efi.signed", id="beside-shim-wherever-that-is"),
        pytest.param("shimx64.efi", "shimx64.efi", id="the-name-itself-first"),
        pytest.param("mmx64.efi", "mmx64.efi.signed", id="mokmanager"),
        pytest.param("MMX64.EFI", "mmx64.efi.signed", id="in-capitals"),
        pytest.param("grubaa64.efi", None, id="not-there"),
        pytest.param("revocations_sbat.efi", None, id="optional-and-absent"),
        pytest.param("EFI/BOOT/other.efi", None, id="other-names-mean-their-directory"),
    ],
)
def test_the_file_behind_a_name(tmp_path: Path, requested: str, found: str | None):
    for name in ("grubnetx64.efi.signed", "shimx64.efi", "shimx64.efi.signed", "mmx64.efi.signed", "other.efi"):
        (tmp_path / name).write_bytes(b"x")

    file = find_loader(BootFiles([tmp_path]), requested)

    assert (file and file.name) == found


OFFERED = ["snponly.efi", "ipxe.efi", "boot/ipxe.efi", "ipxe.efi.old"]


@pytest.mark.parametrize(
    ("requested", "meant"),
    [
        pytest.param("snponly.efi\udcff", "snponly.efi", id="end-of-options"),
        pytest.param("snponly.efiR\x06\x01\x04eth0", "snponly.efi", id="option-82"),
        pytest.param("snponly.efi\udcff\udcff../..", "snponly.efi", id="any-bytes"),
        pytest.param("\\snponly.efi\udcff", "snponly.efi", id="with-a-leading-slash"),
        pytest.param("boot/ipxe.efi\udcff", "boot/ipxe.efi", id="in-a-directory"),
        pytest.param("ipxe.efi.old\udcff", "ipxe.efi.old", id="the-longest-counts"),
        pytest.param("snponly.efi", None, id="the-name-itself-has-no-tail"),
        pytest.param("snponly.ef", None, id="a-piece-of-it"),
        pytest.param("snponly.efi/x", None, id="a-directory-of-that-name"),
        pytest.param("undionly.kpxe\udcff", None, id="not-offered"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_the_tail_of_an_old_rom_is_cut_off_an_offered_name(requested: str, meant: str | None):
    assert without_tail(requested, OFFERED) == meant


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("autoexec.ipxe", True),
        ("ipxe/autoexec.ipxe", True),
        ("grub.cfg-01-52-54-00-aa-bb-01", True),
        ("EFI/BOOT/revocations_sku.efi", True),
        ("shim_certificate_0.efi", True),
        ("mmx64.efi", True),
        ("boot/grub/x86_64-efi/command.lst", True),
        ("/grub/fonts/unicode.pf2", True),
        ("pxelinux.cfg/default", True),
        ("snponly.efi", False),
        ("grubx64.efi", False),
        ("pxelinux.0", False),
        ("lpxelinux.0", False),
    ],
)
def test_what_loaders_request_by_themselves_names_no_other_server(name: str, expected: bool):
    assert is_requested_by_loaders(name) is expected


def pe_image(machine: int) -> bytes:
    return b"MZ" + bytes(0x3A) + (64).to_bytes(4, "little") + b"PE\0\0" + machine.to_bytes(2, "little") + bytes(64)


@pytest.mark.parametrize(
    ("requested", "files", "found"),
    [
        pytest.param("shimx64.efi", {"shimx64-oracle.efi": 0x8664}, "shimx64-oracle.efi", id="oracle-linux"),
        pytest.param("shimx64.efi", {"shimx64.efi.signed.latest": 0x8664}, "shimx64.efi.signed.latest", id="ubuntu"),
        pytest.param("shimaa64.efi", {"shimaa64-fedora.efi": 0xAA64}, "shimaa64-fedora.efi", id="fedora-on-arm64"),
        pytest.param("shimx64.efi", {"shim.efi": 0x8664}, "shim.efi", id="suse"),
        pytest.param("grubx64.efi", {"grub.efi": 0x8664}, "grub.efi", id="suse-s-grub"),
        pytest.param("mmx64.efi", {"MokManager.efi": 0x8664}, "MokManager.efi", id="suse-s-mokmanager"),
        pytest.param("grubaa64.efi", {"grub.efi": 0x8664}, None, id="never-for-another-cpu"),
        pytest.param("shimaa64.efi", {"shim.efi": 0x8664, "shim-sles.efi": 0xAA64}, "shim-sles.efi", id="but-the-next"),
    ],
)
def test_the_signed_files_of_each_distribution(
    tmp_path: Path, requested: str, files: dict[str, int], found: str | None
):
    for name, machine in files.items():
        (tmp_path / name).write_bytes(pe_image(machine))

    file = find_loader(BootFiles([tmp_path]), requested)

    assert (file and file.name) == found


@pytest.mark.parametrize(
    ("name", "cpu"),
    [
        ("snponly.efi", None),
        ("autoexec.ipxe", None),
        ("snponly-arm64.efi", Cpu.ARM64),
        ("bin-x86_64-efi/ipxe.efi", Cpu.X64),
        ("undionly.kpxe", Cpu.X86_BIOS),
        ("EFI/redhat/shimx64-redhat.efi", Cpu.X64),
        ("grubnetaa64.efi.signed", Cpu.ARM64),
        ("mmx64.efi", Cpu.X64),
        ("snponly-shimaa64.efi", Cpu.ARM64),
    ],
)
def test_the_name_of_a_loader_states_its_cpu(name: str, cpu: Cpu | None):
    assert cpu_meant(name) is cpu


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("snponly.efi", None),
        ("grubx64.efi", None),
        ("shimx64.efi", "grubx64.efi"),
        ("shimaa64.efi.signed", "grubaa64.efi"),
        ("shim.efi", "grubx64.efi"),
        ("x64-sb/snponly-shimx64.efi", "snponly.efi"),
        ("ipxe-shim.efi", "ipxe.efi"),
    ],
)
def test_a_shim_requests_a_second_file(name: str, second: str | None):
    assert second_stage(name) == second
