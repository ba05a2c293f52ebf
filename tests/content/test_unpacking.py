"""Unpacking by magic numbers: formats in pieces of every size, damage, bombs."""

import gzip
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator

import pytest
import zstandard

from netboot.content.unpacking import UNPACK_ERRORS, is_packed, unpacked

TEXT = bytes(range(256)) * 5_000
SKIPPABLE = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip-members": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "zstd-chunked": lambda data: SKIPPABLE + zstandard.compress(data[:1000]) + zstandard.compress(data[1000:]),
}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_packed_bytes_are_unpacked_in_whatever_pieces_they_arrive(pack: Callable[[bytes], bytes], size: int) -> None:
    packed = pack(TEXT)

    assert is_packed(packed[:6])
    assert b"".join(unpacked(pieces(packed, size))) == TEXT


@pytest.mark.parametrize("data", [b"", b"x", TEXT])
def test_other_bytes_pass_unchanged(data: bytes) -> None:
    assert not is_packed(data[:6])
    assert b"".join(unpacked(pieces(data, 1000))) == data


@pytest.mark.parametrize("name", ["gzip", "xz"])
def test_what_is_cut_off_raises_at_its_end(name: str) -> None:
    with pytest.raises(EOFError, match="it is cut off"):
        list(unpacked(pieces(PACKED[name](TEXT)[:-10], 100)))


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_damaged_bytes_raise(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(TEXT)

    with pytest.raises(UNPACK_ERRORS):
        list(unpacked(iter([packed[: len(packed) // 2] + bytes(100) + packed[len(packed) // 2 :]])))


@pytest.mark.parametrize("name", ["gzip", "xz", "zstd"])
def test_a_bomb_is_unpacked_in_small_pieces(name: str) -> None:
    bomb = PACKED[name](bytes(50 << 20))

    assert max(map(len, unpacked(iter([bomb])))) <= 1 << 20


def test_xz_that_claims_a_window_of_gigabytes_is_refused() -> None:
    """The size of the dictionary, in the header of the block, is one byte (xz-file-format.txt §3.1, §5.3.1)."""
    bomb = bytearray(lzma.compress(bytes(1 << 20)))
    end = 12 + (bomb[12] + 1) * 4
    bomb[bomb.index(b"\x21\x01", 12) + 2] = 40  # 4 GiB
    bomb[end - 4 : end] = struct.pack("<I", zlib.crc32(bomb[12 : end - 4]))

    with pytest.raises(lzma.LZMAError, match="Memory usage limit exceeded"):
        list(unpacked(iter([bytes(bomb)])))
