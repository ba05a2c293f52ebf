"""The files of a container, in a tar and in a directory, and archives that are cut off while they are read."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from netboot.content.oci.bundle import MOST_MEMBERS, Part, directory_parts, tar_parts
from netboot.errors import ContentError

MAKE = "skopeo copy NAME oci-archive:FILE"  # the command in messages


def write_tar(path: Path, *members: tuple[str, bytes | tuple[bytes, str]]) -> Path:
    """Write a tar of files, and of links: a type and a target."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, tuple):
                member.type, member.linkname = content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def contents(parts: dict[str, Part]) -> dict[str, bytes]:
    return {name: b"".join(part.chunks()) for name, part in parts.items()}


def test_files_and_links_of_a_tar_are_found_by_their_names(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path / "image.tar",
        ("./index.json", b"{}"),
        ("blobs/sha256/aa", b"a" * 3_000_000),
        ("layer/symbolic", (tarfile.SYMTYPE, "../blobs/sha256/aa")),
        ("layer/hard", (tarfile.LNKTYPE, "blobs/sha256/aa")),
        ("layer/dangling", (tarfile.SYMTYPE, "nothing")),
    )

    parts = tar_parts(path, MAKE)

    large = b"a" * 3_000_000
    assert contents(parts) == {
        "index.json": b"{}",
        "blobs/sha256/aa": large,
        "layer/symbolic": large,
        "layer/hard": large,
    }
    assert parts["blobs/sha256/aa"].read(10) == b"a" * 10


def test_the_files_of_a_directory_are_found_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "aa").write_bytes(b"a")
    (tmp_path / "index.json").write_bytes(b"{}")
    (tmp_path / "dangling").symlink_to("nothing")

    assert contents(directory_parts(tmp_path)) == {"index.json": b"{}", "blobs/aa": b"a"}


def test_an_unpacked_file_system_is_not_a_container_image(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    for number in range(MOST_MEMBERS + 1):
        (tmp_path / "root" / str(number)).touch()
    tar = write_tar(tmp_path / "root.tar", *((str(number), b"") for number in range(MOST_MEMBERS + 1)))

    with pytest.raises(ContentError, match=r"root has more than 10000 files and is not a container image"):
        directory_parts(tmp_path / "root")
    with pytest.raises(ContentError, match=r"root\.tar is a tar of files, not of a container image; unpack it"):
        tar_parts(tar, MAKE)


def test_an_archive_that_changes_or_goes_while_it_is_read_is_an_error_with_a_cure(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "image.tar", ("blob", b"b" * 3_000_000))
    part = tar_parts(path, MAKE)["blob"]
    chunks = part.chunks()
    next(chunks)
    with path.open("r+b") as file:
        file.truncate(2_000_000)

    with pytest.raises(ContentError) as shorter:
        list(chunks)
    path.unlink()
    with pytest.raises(ContentError) as gone:
        next(part.chunks())
    with pytest.raises(ContentError) as directory:
        next(Part(tmp_path, 0, 1).chunks())

    assert str(shorter.value) == f"{path} became shorter while it was read; import it when it is complete"
    assert str(gone.value) == f"cannot read {path}: No such file or directory; give the path of a file"
    assert str(directory.value) == f"cannot read {tmp_path}: Is a directory; give the path of a file"


def test_a_tar_whose_last_member_is_cut_off_is_named(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "image.tar", ("blob", b"b" * 3_000))
    whole = path.read_bytes()
    (tmp_path / "member.tar").write_bytes(whole[:2_000])
    (tmp_path / "number.tar").write_bytes(whole[:124] + b"\xffnonsense\xff" + whole[135:])

    for name in ("member.tar", "number.tar"):
        cure = f"copy it again and compare sizes, or make it again: {MAKE}$"
        with pytest.raises(ContentError, match=rf"{name} is cut off or damaged \(.*\); {cure}"):
            tar_parts(tmp_path / name, MAKE)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x"])
def test_a_name_of_gigabytes_is_refused_and_not_read(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("blob")
    member.type, member.size = kind, 3 << 30
    path = tmp_path / "image.tar"
    path.write_bytes(member.tobuf(tarfile.GNU_FORMAT))
    os.truncate(path, 4 << 30)

    with pytest.raises(ContentError) as refused:
        tar_parts(path, MAKE)

    assert str(refused.value) == (
        f"{path} is cut off or damaged (it is damaged: a name or record of {3 << 30} bytes); copy it again and "
        f"compare sizes, or make it again: {MAKE}"
    )


def test_a_sparse_file_in_a_tar_is_not_a_file_of_the_image(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, headers in (("sparse", {"GNU.sparse.major": "1"}), ("whole", {})):
            member = tarfile.TarInfo(name)
            member.pax_headers = headers
            tar.addfile(member)

    assert list(tar_parts(path, MAKE)) == ["whole"]
