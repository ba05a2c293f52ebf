"""A boot medium is complete or refused with the missing files, and gets a `.treeinfo` if it has none."""

import gzip
from configparser import ConfigParser
from pathlib import Path

import pytest

from netboot.content.media.boot_media import (
    check_medium,
    installer_major,
    kernel_architecture,
    kernel_version,
    made_treeinfo,
)
from netboot.errors import ContentError

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus"  # of inputs that once broke a reader


def bzimage(version: str = "5.15.0-206.153.7.el8uek.x86_64 (builder) #2 SMP") -> bytes:
    """The head of an x86 kernel after Linux' boot.rst: HdrS at 0x202, the version's place at 0x20E."""
    head = bytearray(0x4000)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x3000).to_bytes(2, "little")
    head[0x3200 : 0x3200 + len(version)] = version.encode()
    return bytes(head)


def arm64_image() -> bytes:
    """The head of an arm64 Image after Linux' arm64/booting.rst."""
    return bytes(0x38) + b"ARM\x64" + bytes(64)


def efi_zboot(machine: int) -> bytes:
    """The head of an EFI zboot image, as EL9 has it for arm64: MZ, `zimg`, a PE header at 0x80."""
    head = bytearray(0x100)
    head[:2], head[4:8] = b"MZ", b"zimg"
    head[0x3C:0x40] = (0x80).to_bytes(4, "little")
    head[0x80:0x86] = b"PE\0\0" + machine.to_bytes(2, "little")
    return bytes(head)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        pytest.param(bzimage(), "x86_64", id="bzImage"),
        pytest.param(arm64_image(), "aarch64", id="arm64-Image"),
        pytest.param(gzip.compress(arm64_image()), "aarch64", id="EL8s-gzipped-Image"),
        pytest.param(efi_zboot(0xAA64), "aarch64", id="EL9s-zboot"),
        pytest.param(efi_zboot(0x8664), "x86_64", id="an-x64-EFI-program"),
        pytest.param(efi_zboot(0x14C), None, id="another-machine"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b"\x1f\x8bnonsense", None, id="damaged-gzip"),
        pytest.param(
            (CORPUS / "medium" / "zstd-of-nothing").read_bytes(), None, id="a-zstd-frame-that-unpacks-to-nothing"
        ),
        pytest.param(b"\x7fELF" + bytes(0x400), None, id="an-unpacked-vmlinux"),
    ],
)
def test_the_architecture_of_a_kernel_is_read_from_its_bytes(head: bytes, expected: str | None) -> None:
    assert kernel_architecture(head) == expected


def test_the_version_of_an_x86_kernel_is_read_from_its_bytes() -> None:
    assert kernel_version(bzimage("6.1.0-1.el9uek.x86_64 x")) == "6.1.0-1.el9uek.x86_64 x"
    assert kernel_version(arm64_image()) == ""


def medium(root: Path, kernel: str = "vmlinuz", initrd: str = "initrd.img", *, head: bytes) -> Path:
    for name, body in ((kernel, head), (initrd, b"i"), ("images/install.img", b"s")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(body)
    return root


def test_the_generated_treeinfo_has_the_keys_of_oracles(tmp_path: Path) -> None:
    root = medium(tmp_path, "images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", head=bzimage())
    (root / ".discinfo").write_text("1716000000.1\nOracle Linux 8.10\nx86_64\n")

    assert made_treeinfo(root) == (
        b"[general]\nfamily = Oracle Linux\nversion = 8.10\nname = Oracle Linux 8.10\narch = x86_64\n"
        b"\n[stage2]\nmainimage = images/install.img\n"
        b"\n[images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n"
    )


def test_without_discinfo_the_release_is_read_from_the_kernels_version(tmp_path: Path) -> None:
    made = made_treeinfo(medium(tmp_path, head=bzimage()))

    assert made is not None
    treeinfo = ConfigParser()
    treeinfo.read_string(made.decode())
    assert dict(treeinfo["general"]) == {
        "family": "Oracle Linux",
        "version": "8",
        "name": "Oracle Linux 8",
        "arch": "x86_64",
    }


def test_no_treeinfo_is_generated_for_an_incomplete_medium(tmp_path: Path) -> None:
    medium(tmp_path, head=arm64_image())
    (tmp_path / "images" / "install.img").unlink()

    assert made_treeinfo(tmp_path) is None


def test_a_complete_medium_passes_and_an_incomplete_one_is_refused_with_the_missing_files(tmp_path: Path) -> None:
    medium(tmp_path / "media" / "ol8", head=bzimage())

    check_medium(tmp_path, "ol8")

    (tmp_path / "media" / "ol8" / "initrd.img").unlink()
    (tmp_path / "media" / "ol8" / "images" / "install.img").unlink()
    with pytest.raises(ContentError, match=r"ol8 has no initrd.img and no images/install.img; copy it from"):
        check_medium(tmp_path, "ol8")
    with pytest.raises(ContentError, match=r"cannot find boot medium nope: .* import-iso FILE --name nope"):
        check_medium(tmp_path, "nope")


def test_the_release_of_an_installer_is_read_from_treeinfo_discinfo_or_kernel(tmp_path: Path) -> None:
    def major(name: str, *, treeinfo: str = "", discinfo: str = "", kernel: bytes = b"") -> int | None:
        root = tmp_path / "media" / name
        root.mkdir(parents=True)
        for file, content in ((".treeinfo", treeinfo.encode()), (".discinfo", discinfo.encode()), ("vmlinuz", kernel)):
            if content:
                (root / file).write_bytes(content)
        return installer_major(tmp_path, name)

    assert major("full", treeinfo="[general]\nfamily = Oracle Linux\nversion = 8.10\n") == 8
    assert major("boot", discinfo="1700000000.1\nOracle Linux 9.6\nx86_64\n", kernel=bzimage()) == 9
    assert major("flat", kernel=bzimage()) == 8
    assert major("other", kernel=bzimage("6.1.0-40-amd64 (debian)")) is None
    assert major("empty") is None
    assert installer_major(tmp_path, "missing") is None
