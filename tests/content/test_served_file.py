"""The ETag and content type of a served file."""

import os
from pathlib import Path

import pytest

from netboot.content.serving.served_file import IMMUTABLE, NO_CACHE, ServedFile, content_type_of, etag_of, served_file
from netboot.model.release import ContentKind


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EFI/BOOT/BOOTX64.EFI", "application/efi"),
        ("snponly.efi", "application/efi"),
        (".treeinfo", "text/plain; charset=utf-8"),
        ("a.b/.treeinfo", "text/plain; charset=utf-8"),
        ("vmlinuz", "application/octet-stream"),
        ("objects/ab/cd.filez", "application/octet-stream"),
        ("dir.efi/vmlinuz", "application/octet-stream"),
    ],
)
def test_the_content_type_is_one_that_firmware_accepts(name: str, expected: str) -> None:
    assert content_type_of(name) == expected


def test_a_file_is_described_by_its_stat(tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(b"12345")
    status = path.stat()

    file = served_file(str(path), status, kind=ContentKind.KERNEL, owner="ol8", member="vmlinuz")

    assert file == ServedFile(
        path=str(path),
        size_bytes=5,
        etag=f'"5-{status.st_mtime_ns:x}-{status.st_ino:x}"',
        content_type="application/octet-stream",
        cache_control=NO_CACHE,
        kind=ContentKind.KERNEL,
        owner="ol8",
        member="vmlinuz",
    )
    assert not file.is_immutable


def test_an_etag_changes_with_size_time_and_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1")
    tags = [etag_of(path.stat())]
    path.write_bytes(b"22")
    tags.append(etag_of(path.stat()))
    os.utime(path, ns=(1, 1))
    tags.append(etag_of(path.stat()))
    (tmp_path / "g").write_bytes(b"22")
    os.utime(tmp_path / "g", ns=(1, 1))
    (tmp_path / "g").replace(path)
    tags.append(etag_of(path.stat()))

    assert len(set(tags)) == 4


def test_a_file_named_by_its_checksum_may_be_cached(tmp_path: Path) -> None:
    (tmp_path / "o").touch()

    assert served_file("o", (tmp_path / "o").stat(), cache_control=IMMUTABLE).is_immutable
