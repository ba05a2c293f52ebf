"""One object against its name: archives of the real `ostree`, and headers made by hand (libostree's ostree-core.c)."""

import hashlib
import io
import os
import struct
import zlib
from pathlib import Path

import pytest

from netboot.content.ostree.object_check import DirectoryCheck, check_directory, check_object
from netboot.content.ostree.repository import children
from netboot.errors import ContentError

NOWHERE = "which nothing in an archive has"


def filez(
    content: bytes = b"content", *, mode: int = 0o100644, device: int = 0, target: bytes = b""
) -> tuple[str, bytes]:
    """Return the name and the bytes of a file object."""
    fields = struct.pack(">QIIII", len(content), 0, 0, mode, device) + target + b"\0"
    header = fields + bytes((len(fields),))
    without_size = fields[8:] + bytes((len(fields) - 8,))
    digest = hashlib.sha256(len(without_size).to_bytes(4, "big") + bytes(4) + without_size + content).hexdigest()
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = deflate.compress(content) + deflate.flush()
    return f"{digest}.filez", len(header).to_bytes(4, "big") + bytes(4) + header + packed


def fault_of(name: str, data: bytes) -> str:
    with pytest.raises(ContentError) as caught:
        check_object(name, io.BytesIO(data))
    return str(caught.value)


def test_every_object_of_a_sound_archive_is_sound(archive: Path) -> None:
    paths = sorted((archive / "objects").glob("*/*"))
    found = [check_directory(archive / "objects", f"{number:02x}") for number in range(256)]

    names = {path: path.parent.name + path.name for path in paths}
    assert sorted(name for each in found for name in each.present) == sorted(names.values())
    assert [each.damaged for each in found if each.damaged] == []
    assert sum(each.size_bytes for each in found) == sum(path.stat().st_size for path in paths)
    assert {name: refers for each in found for name, refers in each.refers.items()} == {
        names[path]: [f"{digest.hex()}.{kind}" for digest, kind in children(path.suffix[1:], path.read_bytes())]
        for path in paths
        if path.suffix in (".commit", ".dirtree") and children(path.suffix[1:], path.read_bytes())
    }


def test_a_directory_that_is_missing_has_no_objects(tmp_path: Path) -> None:
    assert check_directory(tmp_path, "ab") == DirectoryCheck()


def test_a_pipe_and_a_file_that_cannot_be_read_are_damaged_and_other_names_are_no_objects(tmp_path: Path) -> None:
    directory = tmp_path / "ab"
    directory.mkdir()
    os.mkfifo(directory / f"{'1' * 62}.filez")
    (directory / f"{'2' * 62}.dirtree").symlink_to("/proc/self/mem")
    (directory / f"{'3' * 62}.tmp").write_bytes(b"")

    found = check_directory(tmp_path, "ab")

    assert found.damaged == {
        f"ab{'1' * 62}.filez": "it is not a file",
        f"ab{'2' * 62}.dirtree": "it cannot be read: Input/output error",
    }
    assert sorted(found.present) == sorted(found.damaged)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(filez(), id="file"),
        pytest.param(filez(b""), id="empty-file"),
        pytest.param(filez(bytes(3 << 20)), id="large-file"),
        pytest.param(filez(b"", mode=0o120777, target=b"usr/bin"), id="link"),
    ],
)
def test_a_file_object_is_named_by_header_and_content(made: tuple[str, bytes]) -> None:
    name, data = made

    assert check_object(name, io.BytesIO(data)) == []
    assert check_object(name, io.BytesIO(data + b"behind the deflate stream")) == []
    assert fault_of(f"{'0' * 64}.filez", data) == f"its bytes have the checksum {name.partition('.')[0]}"


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        pytest.param(
            filez(mode=0o140644), "its header has the mode 140644, which nothing in an archive has", id="mode"
        ),
        pytest.param(
            filez(mode=0o1100644), "its header has the mode 1100644, which nothing in an archive has", id="bits"
        ),
        pytest.param(filez(device=1), "its header has the number of a device", id="device"),
        pytest.param(filez(target=b"x"), "its header has the target b'x' and it is not a link", id="target"),
        pytest.param(
            filez(mode=0o120777, target=b"\xff"), "its header has the target b'\\xff', which is not UTF-8", id="utf-8"
        ),
    ],
)
def test_a_header_that_libostree_refuses_is_refused_with_a_right_checksum(made: tuple[str, bytes], fault: str) -> None:
    assert fault_of(*made) == fault


@pytest.mark.parametrize(
    ("size", "fault"),
    [
        pytest.param(7, "it does not begin with a filez header", id="length"),
        pytest.param(20, "it is cut off in its header", id="header"),
        pytest.param(-1, "it is cut off in its content", id="content"),
    ],
)
def test_a_file_object_that_is_cut_off_is_damaged(size: int, fault: str) -> None:
    name, data = filez()

    assert fault_of(name, data[:size]) == fault


def test_bytes_that_are_no_header_or_no_deflate_stream_are_damage() -> None:
    name, data = filez()
    header_end = 8 + int.from_bytes(data[:4], "big")

    assert fault_of(name, b"\xff" * 100) == "it does not begin with a filez header"
    assert fault_of(name, (10).to_bytes(4, "big") + bytes(4) + bytes(9) + b"\x09") == "its header is too short"
    assert fault_of(name, data[:header_end] + b"\xff" * 9).startswith("its content cannot be inflated: ")


def test_metadata_is_named_by_its_bytes_and_not_larger_than_a_client_accepts() -> None:
    meta = bytes(8) + (0o040755).to_bytes(4, "big") + b"\x00"
    of_a_file = bytes(8) + (0o100644).to_bytes(4, "big")

    def named(data: bytes) -> str:
        return f"{hashlib.sha256(data).hexdigest()}.dirmeta"

    assert check_object(named(meta), io.BytesIO(meta)) == []
    assert fault_of(named(of_a_file), of_a_file) == f"its header has the mode 100644, {NOWHERE}"
    assert fault_of(f"{'0' * 64}.dirmeta", meta) == f"its bytes have the checksum {hashlib.sha256(meta).hexdigest()}"
    large = bytes((10 << 20) + 1)
    assert fault_of(named(large), large) == "it is larger than 10485760 bytes, which no client accepts"
