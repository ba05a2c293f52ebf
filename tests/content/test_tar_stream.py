"""Our reader of tar beside Python's writer, and on any bytes."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.content.tar_stream import ByteStream, tar_members
from netboot.errors import ContentError


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read(data: bytes, *, piece: int = 1000) -> dict[str, bytes]:
    stream = ByteStream(pieces(data, piece))
    return {member.name: stream.take(member.size_bytes) for member in tar_members(stream)}


def written(files: dict[str, bytes], form: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@given(
    files=st.dictionaries(
        st.text(st.characters(exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1, max_size=150),
        st.binary(max_size=2000),
        max_size=8,
    ),
    piece=st.integers(1, 5000),
)
def test_a_tar_written_by_tarfile_is_read(form: int, files: dict[str, bytes], piece: int) -> None:
    assert read(written(files, form), piece=piece) == files


def test_bytes_behind_the_end_marker_are_not_read() -> None:
    data = written({"a": b"1"}, tarfile.USTAR_FORMAT)

    assert read(data + written({"b": b"2"}, tarfile.USTAR_FORMAT)) == {"a": b"1"}


def test_a_tar_that_ends_in_the_middle_of_a_member_is_refused() -> None:
    data = written({"a": bytes(2000)}, tarfile.USTAR_FORMAT)

    for size in (100, 512, 1024, 2559):
        with pytest.raises(ContentError, match="ends in the middle"):
            read(data[:size])


def test_a_tar_without_an_end_marker_is_read_as_umoci_writes_it() -> None:
    data = written({"a": b"1"}, tarfile.USTAR_FORMAT)

    assert read(data[:1024]) == {"a": b"1"}
    assert read(data[:513]) == {"a": b"1"}  # nor padding behind the last file
    assert read(b"") == {}


def test_a_changed_header_is_refused() -> None:
    data = bytearray(written({"a": b"1"}, tarfile.USTAR_FORMAT))
    data[0] ^= 1

    with pytest.raises(ContentError, match="the checksum of a header is wrong"):
        read(bytes(data))


@pytest.mark.parametrize("size", ["-1536", "-0", "abc", "3.0", "1_0", "٣", "9" * 5000, ""])
def test_an_invalid_pax_size_is_refused_and_never_loops(size: str) -> None:
    member = tarfile.TarInfo("a")
    member.size, member.pax_headers = 1, {"size": size}

    with pytest.raises(ContentError, match="a pax record has an invalid size"):
        read(member.tobuf(tarfile.PAX_FORMAT) + bytes(2048))


@pytest.mark.parametrize("field", [b"-0000001000\0", b"+0000001000\0", b"\xff" * 10 + b"\xfc\0", b"00000_00001\0"])
def test_a_header_with_an_invalid_size_is_refused(field: bytes) -> None:
    header = bytearray(tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)

    with pytest.raises(ContentError, match="a header has an invalid number"):
        read(bytes(header) + bytes(2048))


def test_devices_and_links_have_no_content_whatever_size_they_claim() -> None:
    made = b""
    for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE):
        member = tarfile.TarInfo(f"of kind {kind!r}")
        member.size, member.type = 700, kind
        made += member.tobuf(tarfile.GNU_FORMAT)

    assert set(read(made).values()) == {b""}
    assert len(read(made)) == 6


def test_a_name_ends_at_a_zero_byte() -> None:
    member = tarfile.TarInfo("a")
    member.pax_headers = {"path": "refs/heads/ock\0.hidden"}

    assert list(read(member.tobuf(tarfile.PAX_FORMAT))) == ["refs/heads/ock"]


@given(st.binary(max_size=2048))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(ContentError):
        read(data)


def test_records_of_a_sparse_file_are_not_kept_however_many_there_are() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("a")
        member.pax_headers = {f"GNU.sparse.{number}": "1" for number in range(1000)} | {"uid": "7", "comment": "none"}
        tar.addfile(member)

    (found,) = tar_members(ByteStream(iter([made.getvalue()])))

    assert (found.is_sparse, found.uid, len(found.extended)) == (True, 7, 2)
