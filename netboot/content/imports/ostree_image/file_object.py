"""The headers of a file object: the one that its name hashes, and the one that an archive stores. Pure.

Formats: libostree's ostree-core.c. The hashed header is BE32 length, 4 zero bytes and the GVariant `(uuuusa(ayay))`:
uid, gid, mode, device (0), target of a link, extended attributes; the stored one is `(tuuuusa(ayay))`, whose first
member is the size. All numbers are big-endian; the last bytes are the framing offset of the end of the target.
"""

import stat
from dataclasses import dataclass
from typing import Final

from netboot.content.ostree.gvariant import array_elements, offset_width, tuple_ends
from netboot.content.ostree.object_check import is_link_header
from netboot.errors import ContentError

_LARGEST_ID: Final = (1 << 32) - 1
_SIZE_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class FileObject:
    """A file or link. `mode` has its format; `entry` names where it comes from."""

    checksum: str
    uid: int
    gid: int
    mode: int
    target: bytes  # of a link
    xattrs: bytes  # GVariant `a(ayay)`
    size_bytes: int
    entry: str

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)

    @property
    def member(self) -> str:
        """Its file below the archive."""
        return f"objects/{self.checksum[:2]}/{self.checksum[2:]}.filez"

    def hashed_header(self) -> bytes:
        """Return what the name hashes before the content; raise ContentError for what libostree refuses."""
        header = self._framed(b"")
        is_link_header(header)
        return _with_length(header)

    def stored_header(self) -> bytes:
        """Return what an archive stores before the deflated content."""
        return _with_length(self._framed((0 if self.is_link else self.size_bytes).to_bytes(_SIZE_BYTES, "big")))

    def _framed(self, size: bytes) -> bytes:
        numbers = (self.uid, self.gid, self.mode, 0)
        if max(numbers) > _LARGEST_ID:
            raise ContentError("its owner or mode does not fit into 32 bits")
        body = size + b"".join(number.to_bytes(4, "big") for number in numbers) + self.target + b"\0"
        end_of_target = len(body)
        body += self.xattrs
        width = next(width for width in (1, 2, 4, 8) if offset_width(len(body) + width) <= width)
        return body + end_of_target.to_bytes(width, "little")


def check_xattrs(data: bytes) -> None:
    """Raise ContentError if bytes are not extended attributes, `a(ayay)`: names that end in a zero byte, and values."""
    for element in array_elements(data):
        end_of_name, _ = tuple_ends(element, 1)
        name = element[:end_of_name]
        if len(name) < 2 or name.find(b"\0") != len(name) - 1:
            raise ContentError(f"{name!r} is not the name of an extended attribute")


def _with_length(header: bytes) -> bytes:
    return len(header).to_bytes(4, "big") + bytes(4) + header
