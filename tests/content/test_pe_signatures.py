"""Who signed an image, whom a shim trusts, and the SBAT generations."""

from struct import pack
from uuid import UUID

import pytest
from fixtures import signed_loaders as made

from netboot.content.pe_image import read_pe
from netboot.content.pe_signatures import (
    is_trusted,
    sbat_generations,
    sbat_levels,
    signers_of,
    vendor_certificates,
)

VENDOR = made.authority("Vendor CA")
SIGNER = made.authority("Vendor Signer", VENDOR)


def test_each_signature_has_its_signer_and_its_issuer():
    signers = signers_of(read_pe(made.program(signers=[made.microsoft(2011), made.microsoft(2023)])))

    assert list(map(str, signers)) == [
        "Windows UEFI Driver Publisher 2011, issued by Microsoft Corporation UEFI CA 2011",
        "Windows UEFI Driver Publisher 2023, issued by Microsoft UEFI CA 2023",
    ]
    assert all(signer.is_of_this_content for signer in signers)


def test_a_changed_byte_is_seen():
    content = bytearray(made.program(signers=[SIGNER]))
    content[0x500] ^= 1

    [signer] = signers_of(read_pe(bytes(content)))

    assert not signer.is_of_this_content


def test_a_damaged_signature_is_left_out():
    content = bytearray(made.program(signers=[SIGNER]))
    at = content.index(b"Vendor Signer")
    content[at - 60 : at] = bytes(60)

    image = read_pe(bytes(content))

    assert (len(image.signatures), signers_of(image)) == (1, ())


def test_a_shim_trusts_what_its_vendor_signed_directly_or_not():
    authorities = vendor_certificates(read_pe(made.shim(VENDOR)))
    intermediate = made.authority("Vendor Signer of signers", made.authority("Intermediate", VENDOR))
    other = made.authority("Vendor Signer", made.authority("Vendor CA of another"))

    found = [
        is_trusted(signers_of(read_pe(made.grub(signers=[signer])))[0], authorities)
        for signer in (SIGNER, VENDOR, intermediate, other)
    ]

    assert found == [True, True, True, False]


def test_a_vendor_database_is_a_list_of_certificates():
    entry = bytes(16) + VENDOR.der
    kind = UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le
    lists = kind + pack("<III", 28 + len(entry), 0, len(entry)) + entry
    section = pack("<IIII", len(lists), 0, 16, 16 + len(lists)) + lists

    assert vendor_certificates(read_pe(made.program(sections={".vendor_cert": section}))) == (VENDOR.certificate,)


@pytest.mark.parametrize("section", [b"", b"\0" * 16, pack("<IIII", 9, 0, 16, 25) + b"no DER at", b"\xff" * 64])
def test_a_damaged_vendor_section_has_no_certificate(section: bytes):
    assert vendor_certificates(read_pe(made.program(sections={".vendor_cert": section}))) == ()


def test_generations_and_levels():
    shim = read_pe(made.shim(VENDOR))
    levels = sbat_levels(shim)

    assert sbat_generations(read_pe(made.grub())) == {"sbat": 1, "grub": 5}
    assert levels is not None
    assert levels.automatic == {"sbat": 1, "shim": 4, "grub": 5}
    assert (sbat_levels(read_pe(made.grub())), sbat_generations(read_pe(made.program()))) == (None, {})
