"""Unpacks gzip, xz and zstd, found by their magic numbers; other bytes pass unchanged.

Each piece is small, also one of a bomb; the sum is not limited here.
RFC 1952 (gzip), RFC 8878 (zstd), tukaani.org/xz/xz-file-format.txt.
"""

import lzma
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from typing import IO, Any, Final, cast

import zstandard

MAGIC_BYTES: Final = 6
# ISA-L has the functions of zlib and is several times as fast; a CPU for which there is no wheel has zlib
fast_zlib: Final[Any] = import_module("isal.isal_zlib" if find_spec("isal") else "zlib")
INFLATE_ERROR: Final[type[Exception]] = fast_zlib.error
UNPACK_ERRORS: Final = (INFLATE_ERROR, lzma.LZMAError, zstandard.ZstdError, EOFError, MemoryError)
_GZIP: Final = b"\x1f\x8b"
_XZ: Final = b"\xfd7zXZ\0"
_ZSTD: Final = (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")  # a frame, and a skippable one (zstd:chunked)
_PIECE_BYTES: Final = 1 << 20
_LARGEST_WINDOW: Final = 1 << 27  # of bytes that zstd keeps, and about so many of xz: `xz -9` has half of it


def is_packed(magic: bytes) -> bool:
    """Return whether bytes that begin so are gzip, xz or zstd."""
    return packing(magic) != ""


def packing(magic: bytes) -> str:
    """Return how bytes that begin so are packed: `gzip`, `xz`, `zstd`, or empty."""
    kinds = (("gzip", _GZIP), ("xz", _XZ), ("zstd", _ZSTD))
    return next((name for name, begins in kinds if magic.startswith(begins)), "")


def unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack bytes that arrive in pieces; raise one of UNPACK_ERRORS if they are damaged.

    A zstd stream that is cut off ends early without an error.
    """
    magic = b""
    while len(magic) < MAGIC_BYTES and (chunk := next(chunks, b"")):
        magic += chunk
    chunks = chain([magic], chunks)
    if magic.startswith(_GZIP):
        yield from _gunzipped(chunks)
    elif magic.startswith(_XZ):
        yield from _unpacked_xz(chunks)
    elif magic.startswith(_ZSTD):
        yield from _unpacked_zstd(chunks)
    else:
        yield from chunks


def _gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack gzip of one or several members (RFC 1952 §2.2), by ISA-L: twice as fast as zlib."""
    inflate = None
    for chunk in chunks:
        while chunk:
            inflate = inflate or fast_zlib.decompressobj(fast_zlib.MAX_WBITS | 16)
            yield inflate.decompress(chunk, _PIECE_BYTES)
            chunk = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
            if inflate.eof:
                inflate = None
    if inflate is not None:
        yield inflate.flush()
        if not inflate.eof:
            raise EOFError("it is cut off")


def _unpacked_xz(chunks: Iterator[bytes]) -> Iterator[bytes]:
    inflate = lzma.LZMADecompressor(memlimit=_LARGEST_WINDOW)
    for chunk in chunks:
        yield inflate.decompress(chunk, _PIECE_BYTES)
        while not inflate.eof and not inflate.needs_input:
            yield inflate.decompress(b"", _PIECE_BYTES)
        if inflate.eof:
            return
    raise EOFError("it is cut off")


class _Readable:
    """The file interface that zstandard needs."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, _size: int = -1) -> bytes:
        return next(self._chunks, b"")


def _unpacked_zstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack zstd of one or several frames, skippable ones too (RFC 8878 §3.1)."""
    unpack = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    with unpack.stream_reader(cast(IO[bytes], _Readable(chunks)), read_across_frames=True) as reader:
        while chunk := reader.read(_PIECE_BYTES):
            yield chunk
