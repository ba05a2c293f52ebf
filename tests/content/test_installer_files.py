"""Kernel releases and modules from the bytes of kernels and initrds in every packing, and from damaged ones."""

import gzip
from pathlib import Path

import pytest
from fixtures.installer import PACK, arm64_image, bzimage, cpio, initrd, squashfs, zboot

from netboot.content.media.installer_files import check_stage2, initrd_modules, kernel_release
from netboot.errors import ContentError

RELEASE = "5.15.0-206.153.7.el8uek.x86_64"
OTHER = "4.18.0-553.el8_10.x86_64"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(bzimage(RELEASE), id="x86"),
        pytest.param(arm64_image(RELEASE), id="arm64"),
        pytest.param(gzip.compress(arm64_image(RELEASE)), id="arm64-gzip"),
        pytest.param(gzip.compress(bytes(1 << 20) + arm64_image(RELEASE))[:-9], id="arm64-gzip-cut-off"),
        pytest.param(zboot(RELEASE), id="arm64-zboot"),
    ],
)
def test_the_release_is_read_from_every_kind_of_kernel(file: Path, image: bytes) -> None:
    file.write_bytes(image)

    assert kernel_release(file) == RELEASE


@pytest.mark.parametrize("image", [b"", bytes(100_000), b"\x1f\x8b" + bytes(1000), zboot(RELEASE)[:0x400]])
def test_a_file_without_a_kernel_has_no_release(file: Path, image: bytes) -> None:
    file.write_bytes(image)

    assert kernel_release(file) == ""


@pytest.mark.parametrize("early", [True, False], ids=["microcode", "no-microcode"])
@pytest.mark.parametrize("pack", PACK)
def test_modules_are_found_behind_microcode_and_in_every_packing(file: Path, pack: str, early: bool) -> None:
    file.write_bytes(initrd(RELEASE, pack=pack, early=early))

    assert initrd_modules(file, RELEASE) == {RELEASE}
    assert initrd_modules(file, OTHER) == {RELEASE}


def test_reading_ends_at_the_modules_that_are_wanted(file: Path) -> None:
    file.write_bytes(cpio([f"lib/modules/{OTHER}", f"./usr/lib/modules/{RELEASE}/kernel/x.ko.xz"]) + b"rest")

    assert initrd_modules(file, RELEASE) == {OTHER, RELEASE}
    assert initrd_modules(file, OTHER) == {OTHER}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes(1000), id="zeros"),
        pytest.param(initrd(OTHER)[:-80], id="cut-off"),
        pytest.param(initrd(OTHER, pack="plain")[:1300], id="cut-off-plain"),
        pytest.param(initrd(OTHER, early=False)[:60] + bytes(200), id="damaged"),
        pytest.param(b"070701" + b"x" * 200, id="no-number"),
        # each begins the same header again, for ever, if a number may be negative
        pytest.param(b"070701" + b"0" * 48 + b"-0000070" + b"0" * 32 + b"00000002" + bytes(500), id="negative-size"),
        pytest.param(b"070701" + b"0" * 88 + b"-000006e" + b"0" * 8 + bytes(500), id="negative-name-size"),
    ],
)
def test_modules_that_cannot_be_found_are_none(file: Path, data: bytes) -> None:
    file.write_bytes(data)

    assert initrd_modules(file, RELEASE) == frozenset()


def test_a_stage_2_is_a_whole_squashfs(file: Path) -> None:
    file.write_bytes(squashfs(5000))
    check_stage2(file)

    file.write_bytes(squashfs(5000)[:4000])
    with pytest.raises(ContentError, match=r"^file is cut off: 4000 bytes of 5000$"):
        check_stage2(file)
    file.write_bytes(b"x" * 5000)
    with pytest.raises(ContentError, match=r"^file is not a squashfs, so it is not an installer's stage 2$"):
        check_stage2(file)
