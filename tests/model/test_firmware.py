"""A boot variant is written and read in one spelling."""

import pytest

from netboot.model.host.firmware import BootVariant, ReplyVariant


@pytest.mark.parametrize("variant", ReplyVariant)
def test_a_boot_variant_is_read_as_it_was_written(variant: ReplyVariant):
    written = BootVariant(variant, "a directory/snponly.efi")

    assert str(written) == f"{variant.value} a directory/snponly.efi"
    assert BootVariant.parse(str(written)) == written


@pytest.mark.parametrize("text", ["", "with-43", "with-43 ", "with-44 snponly.efi"])
def test_another_text_is_refused(text: str):
    with pytest.raises(ValueError, match=r"with-4|is not a boot variant"):
        BootVariant.parse(text)
