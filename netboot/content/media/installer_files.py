"""Facts from the bytes of an installer's files: the kernel's release, the initrd's modules, a complete stage 2.

Kernel and initrd must be of one build: an initrd without the modules of its kernel has no network driver, and the
machine stops without a message. What cannot be read cheaply is not checked.
Formats: Linux Documentation/arch/x86/boot.rst, drivers/firmware/efi/libstub/Makefile.zboot,
Documentation/driver-api/early-userspace/buffer-format.rst (newc cpio, several after each other), squashfs_fs.h.
"""

import re
from binascii import unhexlify
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Final

from netboot.content.media.boot_media import HEAD_BYTES, kernel_version
from netboot.content.tar_stream import ByteStream
from netboot.content.unpacking import UNPACK_ERRORS, unpacked
from netboot.errors import ContentError

_CHUNK_BYTES: Final = 1 << 18
_MOST_UNPACKED: Final = 1 << 30  # the rest of an initrd or kernel that unpacks to more is not read
_BANNER: Final = re.compile(rb"Linux version (\d+\.\d+[^ \0]*) ")
_MODULES: Final = re.compile(r"(?:\./)?(?:usr/)?lib/modules/(\d+\.\d+[^/]*)(?:/.*)?")
_NEWC: Final = (b"070701", b"070702")
_NEWC_HEADER: Final = 110
_PADDING: Final = bytes(4)  # behind an archive
_SQUASHFS: Final = b"hsqs"


def kernel_release(path: Path) -> str:
    """Read a kernel's release (`5.15.0-206.153.7.el8uek.x86_64`); empty if it cannot be found."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if version := kernel_version(head):
            return version.split(" ")[0]
        is_zboot = head[4:8] == b"zimg"  # EFI zboot, the arm64 kernel of EL9 and EL10: offset, size of its payload
        file.seek(int.from_bytes(head[8:12], "little") if is_zboot else 0)
        size = int.from_bytes(head[12:16], "little")
        return _banner(_bounded(unpacked(iter([file.read(size)]) if is_zboot else _pieces(file))))


def _banner(chunks: Iterator[bytes]) -> str:
    """Find the text that the kernel prints first."""
    before = b""
    try:
        for chunk in chunks:
            if found := _BANNER.search(before + chunk):
                return found[1].decode("ascii", "replace")
            before = chunk[-256:]
    except UNPACK_ERRORS:
        pass
    return ""


def initrd_modules(path: Path, wanted: str) -> frozenset[str]:
    """Return the kernel releases for which an initrd has modules; empty if they cannot be found.

    Stops at the first modules of the release `wanted`.
    """
    found: set[str] = set()
    try:
        with path.open("rb") as file:
            for name in _names_in_initrd(file):
                if match := _MODULES.fullmatch(name):
                    found.add(match[1])
                if wanted in found:
                    break
    except (ContentError, ValueError, *UNPACK_ERRORS):
        return frozenset()
    return frozenset(found)


def _names_in_initrd(file: IO[bytes]) -> Iterator[str]:
    """Yield the names in its first archive and in the second: dracut writes microcode of CPUs before the files."""
    stream = _unpacked_stream(_pieces(file))
    yield from _cpio_names(stream)
    while not stream.is_at_end():
        if (start := stream.take(len(_PADDING))) != _PADDING:
            yield from _cpio_names(_unpacked_stream(chain([start], stream.rest())))
            return


def _cpio_names(stream: ByteStream) -> Iterator[str]:
    while (header := stream.take(_NEWC_HEADER))[:6] in _NEWC:
        size, name_size = (int.from_bytes(unhexlify(header[at : at + 8]), "big") for at in (54, 94))  # never negative
        name = stream.take(_aligned(_NEWC_HEADER + name_size) - _NEWC_HEADER)[: name_size - 1]
        if name == b"TRAILER!!!":
            return
        yield name.decode("utf-8", "replace")
        stream.skip(_aligned(size))


def _aligned(size: int) -> int:
    return (size + 3) // 4 * 4


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(_CHUNK_BYTES), b"")


def _unpacked_stream(chunks: Iterator[bytes]) -> ByteStream:
    return ByteStream(_bounded(unpacked(chunks)))


def _bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    left = _MOST_UNPACKED
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
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
