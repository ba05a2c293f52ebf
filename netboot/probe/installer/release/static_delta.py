"""Reads a static delta from nothing to a commit, and verifies each object that its parts hold. Pure.

Formats: libostree's ostree-repo-static-delta-private.h and ostree-repo-static-delta-processing.c. Numbers are in the
order of the computer that made the delta, which is little-endian for all that netboot makes.
"""

import hashlib
import lzma
import stat
from dataclasses import dataclass, field
from typing import Final

from netboot.content.ostree.gvariant import array_elements, offset_width, tuple_ends
from netboot.content.ostree.repository import checked_digest
from netboot.errors import ContentError
from netboot.probe.installer.release.received_object import expect_checksum, hashed_header
from netboot.probe.installer.release.summary_file import aligned, variants

LARGEST_PART: Final = 256 << 20  # unpacked; `ostree static-delta generate` makes parts of 32 MB

_KINDS: Final = {1: "filez", 2: "dirtree", 3: "dirmeta", 4: "commit", 6: "commitmeta"}
_NAME_BYTES: Final = 33  # one of the kind, then the checksum


@dataclass(frozen=True, slots=True)
class DeltaPart:
    """One part: the SHA-256 of its file, its size, the objects in it, and its bytes if the superblock has them."""

    sha256: str
    size_bytes: int
    objects: tuple[str, ...]
    inline: bytes | None = None


@dataclass(frozen=True, slots=True)
class Superblock:
    """The head of a delta: the commit with its bytes, the parts, and the objects that are fetched one by one."""

    commit: str
    parts: tuple[DeltaPart, ...]
    fallbacks: tuple[str, ...]


def read_superblock(data: bytes, *, directory: str) -> Superblock:
    """Read the superblock at `directory`, as `deltas/ab/cd…`; verify its commit; raise ContentError."""
    ends = tuple_ends(data, 6)
    metadata = dict(variants(data[: ends[0]]))
    start_of_from = aligned(ends[0]) + 8  # behind the timestamp
    if data[start_of_from : ends[1]]:
        raise ContentError("it is a delta from another commit")
    commit = checked_digest(data[ends[1] : ends[2]]).hex()
    expect_checksum(hashlib.sha256(data[aligned(ends[2]) : ends[3]]).hexdigest(), commit)
    parts = [
        _part(element, metadata.get(f"{directory}/{number}"))
        for number, element in enumerate(array_elements(data[aligned(ends[4]) : ends[5]], alignment=8))
    ]
    fallbacks = [_fallback(element) for element in array_elements(data[aligned(ends[5]) : ends[6]], alignment=8)]
    return Superblock(commit, tuple(parts), tuple(fallbacks))


def _part(element: bytes, inline: tuple[str, bytes] | None) -> DeltaPart:
    """Read `(uayttay)`: version, checksum, sizes packed and unpacked, objects."""
    end_of_checksum, end = tuple_ends(element, 1)
    sizes = aligned(end_of_checksum)
    names = element[sizes + 16 : end]
    if len(names) % _NAME_BYTES:
        raise ContentError("the names of a part's objects are cut off")
    objects = tuple(_name(names[at : at + _NAME_BYTES]) for at in range(0, len(names), _NAME_BYTES))
    size_bytes = int.from_bytes(element[sizes : sizes + 8], "little")
    return DeltaPart(checked_digest(element[4:end_of_checksum]).hex(), size_bytes, objects, inline and inline[1])


def _fallback(element: bytes) -> str:
    """Read `(yaytt)`: kind, checksum, sizes."""
    (end_of_checksum, _) = tuple_ends(element, 1)
    return _name(element[:end_of_checksum])


def _name(data: bytes) -> str:
    if data[0] not in _KINDS:
        raise ContentError(f"it has an object of the unknown kind {data[0]}")
    return f"{checked_digest(data[1:]).hex()}.{_KINDS[data[0]]}"


def verify_part(data: bytes, part: DeltaPart) -> None:
    """Verify a part's bytes, and execute it: each of its objects has its checksum. Raise ContentError."""
    expect_checksum(hashlib.sha256(data).hexdigest(), part.sha256)
    payload = _unpacked(data)
    ends = tuple_ends(payload, 3)
    modes = payload[: ends[0]]
    xattrs = list(array_elements(payload[ends[0] : ends[1]]))
    run = _PartRun(modes, xattrs, payload[ends[1] : ends[2]], _Operations(payload[ends[2] : ends[3]]))
    made = 0
    while run.operations.has_more:
        if made == len(part.objects):
            raise ContentError("it makes more objects than it names")
        made += run.execute(part.objects[made])
    if made < len(part.objects):
        raise ContentError(f"it makes {made} objects, and names {len(part.objects)}")


def _unpacked(data: bytes) -> bytes:
    match data[:1]:
        case b"\0":
            return data[1:]
        case b"x":
            unpack = lzma.LZMADecompressor()
            try:
                payload = unpack.decompress(data[1:], LARGEST_PART)
            except lzma.LZMAError as error:
                raise ContentError(f"it cannot be unpacked: {error}") from error
            if not unpack.eof:
                raise ContentError("it is cut off, or larger than 256 MiB")
            return payload
        case other:
            raise ContentError(f"it has the unknown compression {other!r}")


@dataclass(slots=True)
class _Operations:
    """The operations of a part, and their numbers: seven bits a byte, the lowest first."""

    data: bytes
    at: int = 0

    @property
    def has_more(self) -> bool:
        return self.at < len(self.data)

    def byte(self) -> int:
        if not self.has_more:
            raise ContentError("its operations are cut off")
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        value = shift = 0
        while shift < 64:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
        raise ContentError("an operation has a number of more than 64 bits")


@dataclass(slots=True)
class _PartRun:
    modes: bytes
    xattrs: list[bytes]
    source: bytes
    operations: _Operations
    _digest: "hashlib._Hash | None" = field(default=None)  # of a file that was opened and not closed

    def execute(self, name: str) -> int:
        """Execute one operation; return 1 if it ends the object `name`, which is verified, else 0."""
        match self.operations.byte():
            case 0x53:  # S: open, splice and close
                self._splice(name)
                return 1
            case 0x6F:  # o: open
                self._digest = hashlib.sha256(hashed_header(self._header(link=b"")))
                self.operations.number()  # the size
                return 0
            case 0x77 if self._digest is not None:  # w: write
                size = self.operations.number()
                self._digest.update(self._slice(self.operations.number(), size))
                return 0
            case 0x63 if self._digest is not None:  # c: close
                expect_checksum(self._digest.hexdigest(), name.partition(".")[0])
                self._digest = None
                return 1
            case other:
                raise ContentError(f"it has the operation {other:#x}, which a delta from nothing cannot have")

    def _splice(self, name: str) -> None:
        checksum, _, kind = name.partition(".")
        if kind != "filez":
            size = self.operations.number()
            data = self._slice(self.operations.number(), size)
            return expect_checksum(hashlib.sha256(data).hexdigest(), checksum)
        mode, attributes = self._mode_and_attributes()
        size = self.operations.number()
        data = self._slice(self.operations.number(), size)
        is_link = stat.S_ISLNK(int.from_bytes(mode[8:12], "big"))
        header = file_header(mode, data if is_link else b"", attributes)
        digest = hashlib.sha256(hashed_header(header))
        if not is_link:
            digest.update(data)
        return expect_checksum(digest.hexdigest(), checksum)

    def _header(self, *, link: bytes) -> bytes:
        mode, attributes = self._mode_and_attributes()
        return file_header(mode, link, attributes)

    def _mode_and_attributes(self) -> tuple[bytes, bytes]:
        mode_at, attributes_at = 12 * self.operations.number(), self.operations.number()
        if mode_at + 12 > len(self.modes) or attributes_at >= len(self.xattrs):
            raise ContentError("an operation names a mode or attributes that it does not have")
        return self.modes[mode_at : mode_at + 12], self.xattrs[attributes_at]

    def _slice(self, start: int, size: int) -> bytes:
        if start + size > len(self.source):
            raise ContentError("an operation reads behind its data")
        return self.source[start : start + size]


def file_header(mode: bytes, link: bytes, attributes: bytes) -> bytes:
    """Write `(uuuusa(ayay))`: uid, gid and mode as they are in a delta, no device, the target of a link, xattrs."""
    body = mode + bytes(4) + link + b"\0"
    end_of_link = len(body)
    body += attributes
    width = next(width for width in (1, 2, 4, 8) if offset_width(len(body) + width) <= width)
    return body + end_of_link.to_bytes(width, "little")
