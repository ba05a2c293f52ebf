"""Debian's shim and GRUB, as Microsoft and Debian signed them: what the doctor reads of them. Boots nothing."""

from pathlib import Path

import pytest
from e2e.foreign_programs import GRUB_X64, SHIM_X64, add_shim

from netboot.content.bootfiles.directories import BootFiles
from netboot.content.pe_image import read_pe
from netboot.content.pe_signatures import is_trusted, sbat_generations, sbat_levels, signers_of, vendor_certificates
from netboot.doctor.content.loader_file import LoaderFormat, read_loader

pytestmark = pytest.mark.e2e


def test_the_signatures_of_debians_shim_and_grub_are_read(tmp_path: Path) -> None:
    add_shim(tmp_path)
    shim, grub = (read_pe((tmp_path / name).read_bytes()) for name in (SHIM_X64, GRUB_X64))
    levels = sbat_levels(shim)
    [debian] = signers_of(grub)

    assert "Microsoft Corporation UEFI CA 2011" in {each.issuer for each in signers_of(shim)}
    assert all(each.is_of_this_content for each in (*signers_of(shim), debian))
    assert debian.issuer == "Debian Secure Boot CA"
    assert is_trusted(debian, vendor_certificates(shim))
    assert not is_trusted(signers_of(shim)[0], vendor_certificates(shim))
    assert levels is not None
    assert sbat_generations(grub)["grub"] >= levels.automatic["grub"]


def test_debians_shim_and_grub_are_whole_programs(tmp_path: Path) -> None:
    add_shim(tmp_path)

    found = {file.name: read_loader(file) for file in BootFiles([tmp_path])}

    assert {name: (each.format, each.fault, each.is_shim) for name, each in found.items()} == {
        SHIM_X64: (LoaderFormat.UEFI, None, True),
        GRUB_X64: (LoaderFormat.UEFI, None, False),
    }
