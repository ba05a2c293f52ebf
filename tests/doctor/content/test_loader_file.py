"""What the bytes of a boot file are, and why no firmware runs them."""

from pathlib import Path

import pytest
from fixtures import signed_loaders as made

from netboot.content.bootfiles.directories import BootFile
from netboot.doctor.content import loader_file
from netboot.doctor.content.loader_file import LoaderFormat, read_loader

UEFI, BIOS, UNUSABLE = LoaderFormat.UEFI, LoaderFormat.BIOS, LoaderFormat.UNUSABLE


@pytest.mark.parametrize(
    ("name", "content", "kind", "fault"),
    [
        ("a.efi", made.ipxe(), UEFI, None),
        ("a.kpxe", made.bios(), BIOS, None),
        ("a.efi", made.bios(), UNUSABLE, "it is no UEFI program: it does not begin with MZ"),
        ("a.efi", b"MZ" + bytes(100), UNUSABLE, "it is no PE image"),
        ("a.efi", b"\x1f\x8b" + bytes(100), UNUSABLE, "it is a gzip file, which no firmware unpacks"),
        (
            "a.kpxe",
            made.bios() + bytes(640 << 10),
            BIOS,
            f"it has {len(made.bios()) + (640 << 10)} bytes, more than fit below 640 KiB, where a ROM loads it",
        ),
        ("a.efi", made.ipxe() + bytes(200 << 10), UNUSABLE, "it has more than 0 MiB, so it is no loader"),
    ],
)
def test_a_file_is_what_its_bytes_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, kind: LoaderFormat, fault: str | None
):
    if fault is not None and fault.startswith("it has more"):
        monkeypatch.setattr(loader_file, "LARGEST_BYTES", 200 << 10)
    path = tmp_path / name
    path.write_bytes(content)

    found = read_loader(BootFile(path, len(content), name))

    assert (found.name, found.format, found.fault) == (name, kind, fault)


def test_a_file_that_is_gone_is_no_loader(tmp_path: Path):
    found = read_loader(BootFile(tmp_path / "a.efi", 5, "a.efi"))

    assert (found.format, found.fault) == (UNUSABLE, "it cannot be read: No such file or directory")
