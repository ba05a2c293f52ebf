"""Whether a firmware runs a file, by the file's bytes."""

import hashlib
from pathlib import Path

import pytest
from fixtures.pe_headers import SIGNED, pe

from netboot.content.pe_image import is_signed
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.firmwares.profiles import profile_named
from netboot.probe.loaded_file import LoadedFile
from netboot.probe.loading.loader_check import check_loader


def file(content: bytes, size_bytes: int | None = None) -> LoadedFile:
    return LoadedFile(
        "loader", "tftp://x/loader", size_bytes or len(content), hashlib.sha256(content).hexdigest(), content
    )


@pytest.mark.parametrize(
    ("firmware", "content"),
    [
        ("bios", b"\xea\x05\x00"),
        ("edk2-pxe", pe(0x8664)),
        ("edk2-http", pe(0x8664)),
        ("arm64-edk2-pxe", pe(0xAA64)),
        ("ia32-edk2-pxe", pe(0x14C, magic=0x10B)),
        ("shim-grub", SIGNED),
    ],
)
def test_a_fitting_file_runs(firmware: str, content: bytes) -> None:
    check_loader(profile_named(firmware), file(content), program="EDK2")


@pytest.mark.parametrize(
    ("firmware", "content", "reason"),
    [
        ("edk2-pxe", pe(0xAA64), "'Unsupported': loader is built for arm64, this machine is x64-uefi"),
        ("edk2-pxe", b"<!DOCTYPE html><html>", r"is no EFI program \(a web page\)"),
        ("edk2-pxe", b"", r"is no EFI program \(it is empty\)"),
        ("edk2-http", b"#!ipxe\n", r"is no EFI program \(a script\)"),
        ("arm64-edk2-pxe", pe(0x8664), "is built for x64"),
        ("bios", pe(0x8664), "is an EFI program, this machine has a BIOS"),
        ("bios", b"<html>", r"is no boot program \(a web page\)"),
        ("bios", b"", r"is no boot program \(it is empty\)"),
        ("shim-grub", pe(0x8664), r"'Access Denied' \(Security Violation\): loader is not signed"),
        ("grub-http", b"MZ", "is no EFI program"),
    ],
)
def test_another_file_does_not(firmware: str, content: bytes, reason: str) -> None:
    with pytest.raises(BootFailedError, match=reason):
        check_loader(profile_named(firmware), file(content), program="EDK2")


def test_a_bios_has_little_memory() -> None:
    with pytest.raises(BootFailedError, match="PXE-E79"):
        check_loader(profile_named("bios"), file(b"\xea", 600_000), program="BIOS ROM")


@pytest.mark.parametrize(
    "head", [b"", b"MZ", pe(0x8664), pe(0x8664)[:100], SIGNED[:200], pe(0x8664, certificates=(4096, 0))]
)
def test_what_has_no_certificate_table_is_not_signed(head: bytes) -> None:
    assert not is_signed(head)


def test_a_grub_of_the_distribution_is_an_image_for_its_cpu() -> None:
    images = list(Path("/usr/lib/grub/x86_64-efi/monolithic").glob("grubnetx64.efi"))

    assert is_signed(SIGNED)
    for image in images:
        check_loader(profile_named("edk2-pxe"), file(image.read_bytes()), program="EDK2")
