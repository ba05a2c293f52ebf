"""PE images: sections, signatures, truncation and the hash that is signed."""

import pytest
from fixtures import signed_loaders as made

from netboot.content.pe_image import is_signed, pe_cpu, read_pe
from netboot.errors import ContentError
from netboot.model.boot.boot_client import Cpu


def test_a_section_with_a_long_name_is_found_by_the_string_table():
    image = read_pe(made.program(sections={".vendor_cert": b"certificate", ".sbat": b"sbat,1\n"}))

    assert (image.cpu, image.missing_bytes, image.signatures) == (Cpu.X64, 0, ())
    assert (image.sections[".vendor_cert"], image.sections[".sbat"]) == (b"certificate", b"sbat,1\n")


def test_every_certificate_of_the_table_is_read():
    image = read_pe(made.program(signers=[made.microsoft(2011), made.microsoft(2023)]))

    assert len(image.signatures) == 2


@pytest.mark.parametrize("cut", [1, 100, 9000])
def test_a_cut_image_lacks_as_many_bytes_as_were_cut(cut: int):
    assert read_pe(made.program(signers=[made.microsoft()])[:-cut]).missing_bytes == cut


@pytest.mark.parametrize("content", [b"", b"MZ", b"MZ" + bytes(200), made.program()[:100], b"<html>" + bytes(300)])
def test_anything_else_is_no_pe_image(content: bytes):
    with pytest.raises(ContentError):
        read_pe(content)


@pytest.mark.parametrize("at", range(0x40, 0x200, 3))
def test_damaged_headers_are_an_error_or_an_image(at: int):
    content = bytearray(made.shim(made.authority("Vendor"), signers=[made.microsoft()]))
    content[at : at + 4] = b"\xff\xff\xff\xff"
    try:
        image = read_pe(bytes(content))
    except ContentError:
        return
    assert image.missing_bytes >= 0


def test_the_signed_hash_leaves_out_checksum_and_certificate_table():
    unsigned, signed = made.program(), made.program(signers=[made.microsoft()])
    with_checksum = bytearray(signed)
    with_checksum[0x40 + 24 + 64 : 0x40 + 24 + 68] = b"abcd"

    assert read_pe(unsigned).hashes & read_pe(signed).hashes == read_pe(bytes(with_checksum)).hashes


def test_the_head_alone_has_the_cpu():
    assert pe_cpu(made.program("arm64")[:512]) is Cpu.ARM64


def test_the_headers_alone_show_whether_an_image_is_signed():
    signed, unsigned = made.program(signers=[made.microsoft()]), made.program()

    assert [is_signed(content[:4096]) for content in (signed, unsigned, b"", b"MZ", signed[:100])] == [
        True, False, False, False, False,
    ]  # fmt: skip
