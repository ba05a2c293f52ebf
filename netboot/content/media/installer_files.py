"""Facts from the bytes of an installer's files: the kernel's release, the initrd's modules, a complete stage 2.

Kernel and initrd must be of one build: an initrd without the modules of its kernel has no network driver, and the
machine stops without a message. What cannot be read cheaply is not checked.
Formats: Linux Documentation/arch/x86/boot.rst, drivers/firmware/efi/libstub/Makefile.zboot,
Documentation/driver-api/early-userspace/buffer-format.rst (newc cpio, several after each other), squashfs_fs.h.
"""

import io
import lzma
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import zstandard

from netboot.content.media.boot_media import kernel_version
from netboot.content.tar_stream import ByteStream
from netboot.errors import ContentError

_HEAD_BYTES: Final = 0x8000
_CHUNK_BYTES: Final = 1 << 18
_MOST_UNPACKED: Final = 1 << 30  # the rest of an initrd or kernel that unpacks to more is not read
_BANNER: Final = re.compile(rb"Linux version (\d+\.\d+[^ \0]*) ")
_MODULES: Final = re.compile(r"(?:\./)?(?:usr/)?lib/modules/(\d+\.\d+[^/]*)(?:/.*)?")
_NEWC: Final = (b"070701", b"070702")
_NEWC_HEADER: Final = 110
_SQUASHFS: Final = b"hsqs"


def kernel_release(path: Path) -> str:
    """Read a kernel's release (`5.15.0-206.153.7.el8uek.x86_64`); empty if it cannot be found."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if version := kernel_version(head):
            return version.split(" ")[0]
        if head[4:8] == b"zimg":  # EFI zboot, the arm64 kernel of EL9 and EL10: offset, size of its payload
            file.seek(int.from_bytes(head[8:12], "little"))
            payload = file.read(int.from_bytes(head[12:16], "little"))
            return _banner(_unpacked(io.BytesIO(payload)))
        file.seek(0)
        return _banner(_unpacked(file))


def _banner(chunks: Iterator[bytes]) -> str:
    """Find the text that the kernel prints first."""
    before = b""
    try:
        for chunk in chunks:
            if found := _BANNER.search(before + chunk):
                return found[1].decode("ascii", "replace")
            before = chunk[-256:]
    except _UNPACK_ERRORS:
        pass
    return ""


def initrd_modules(path: Path, wanted: str) -> frozenset[str]:
    """Return the kernel releases for which an initrd has modules; empty if they cannot be found.

    Stops at the first modules of the release `wanted`.
    """
    found: set[str] = set()
    try:
        with path.open("rb") as file:
            _skip_early_cpio(file)
            for name in _cpio_names(ByteStream(_unpacked(file))):
                if match := _MODULES.fullmatch(name):
                    found.add(match[1])
                if wanted in found:
                    break
    except (ContentError, ValueError, *_UNPACK_ERRORS):
        return frozenset()
    return frozenset(found)


def _skip_early_cpio(file: IO[bytes]) -> None:
    """Skip the uncompressed cpio of processor microcode that dracut writes first, if there is one."""
    at = 0
    while (header := file.read(_NEWC_HEADER))[:6] in _NEWC:
        name_size, size = int(header[94:102], 16), int(header[54:62], 16)
        name = file.read(name_size)
        at += _aligned(_NEWC_HEADER + name_size) + _aligned(size)
        if name.rstrip(b"\0") == b"TRAILER!!!":
            file.seek(at)
            padding = file.read(4096)
            at += len(padding) - len(padding.lstrip(b"\0"))
            if padding.lstrip(b"\0")[:6] in _NEWC:
                break  # not compressed at all: the next cpio is the initrd itself
        elif _MODULES.fullmatch(name.rstrip(b"\0").decode("utf-8", "replace")):
            at = 0  # the first cpio is the initrd itself
            break
        file.seek(at)
    file.seek(at)


def _cpio_names(stream: ByteStream) -> Iterator[str]:
    while (header := stream.take(_NEWC_HEADER))[:6] in _NEWC:
        size, name_size = int(header[54:62], 16), int(header[94:102], 16)
        name = stream.take(_aligned(_NEWC_HEADER + name_size) - _NEWC_HEADER)[: name_size - 1]
        if name == b"TRAILER!!!":
            return
        yield name.decode("utf-8", "replace")
        stream.skip(_aligned(size))


def _aligned(size: int) -> int:
    return (size + 3) // 4 * 4


_UNPACK_ERRORS: Final = (zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError)


def _unpacked(file: IO[bytes]) -> Iterator[bytes]:
    """Unpack a file from its current position, by its magic number; without one, yield it unchanged."""
    at = file.tell()
    magic = file.read(6)
    file.seek(at)
    inflate: Any
    if magic[:2] == b"\x1f\x8b":
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    elif magic == b"\xfd7zXZ\0":
        inflate = lzma.LZMADecompressor()
    elif magic[:4] == b"\x28\xb5\x2f\xfd":
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(file)
        yield from _bounded(iter(lambda: reader.read(_CHUNK_BYTES), b""))
        return
    else:
        yield from _bounded(iter(lambda: file.read(_CHUNK_BYTES), b""))
        return
    yield from _bounded(_inflated(file, inflate))


def _inflated(file: IO[bytes], inflate: Any) -> Iterator[bytes]:
    """Decompress small pieces, so that each unpacked piece stays small."""
    while not inflate.eof and (chunk := file.read(_CHUNK_BYTES >> 3)):
        yield inflate.decompress(chunk)


def _bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    unpacked = 0
    for chunk in chunks:
        unpacked += len(chunk)
        if unpacked > _MOST_UNPACKED:
            return
        yield chunk


def check_stage2(path: Path) -> None:
    """Raise ContentError if a stage 2 is not a squashfs, or is shorter than its superblock states."""
    with path.open("rb") as file:
        head = file.read(96)
    if head[:4] != _SQUASHFS:
        raise ContentError(f"{path.name} is not a squashfs, so it is not an installer's stage 2")
    used = int.from_bytes(head[40:48], "little")
    if used > path.stat().st_size:
        raise ContentError(f"{path.name} is cut off: {path.stat().st_size} bytes of {used}")
