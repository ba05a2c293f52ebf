"""Verifies an OSTree object while its bytes arrive; only metadata, which is small, is kept.

A commit, dirtree or dirmeta is named by the SHA-256 of its bytes. The name of a `filez` is that of its header without
the size, and of its inflated content (`content.ostree.object_check`, libostree's ostree-core.c).
"""

import hashlib
import stat
import zlib
from typing import Final

from netboot.content.ostree.object_check import (
    LARGEST_HEADER,
    LARGEST_METADATA,
    checked_format,
    header_without_size,
    is_link_header,
)
from netboot.errors import ContentError

_INFLATED_BYTES: Final = 1 << 20  # at once: a small object may inflate to a large one


class ReceivedMetadata:
    """A commit, dirtree or dirmeta; its bytes are `content`."""

    def __init__(self, checksum: str, kind: str) -> None:
        self._checksum, self._kind = checksum, kind
        self.content = bytearray()

    def write(self, data: bytes) -> None:
        """Add the next bytes; raise ContentError for more than libostree takes."""
        self.content += data
        if len(self.content) > LARGEST_METADATA:
            raise ContentError(f"it is larger than {LARGEST_METADATA} bytes, which libostree refuses")

    def verify(self) -> None:
        """Raise ContentError if the bytes are not those that the name states."""
        expect_checksum(hashlib.sha256(self.content).hexdigest(), self._checksum)
        if self._kind == "dirmeta":
            checked_format(bytes(self.content[8:12]), stat.S_IFDIR)


class ReceivedFile:
    """A `filez`: a header, then the deflated content. Nothing but the header is kept."""

    def __init__(self, checksum: str) -> None:
        self._checksum = checksum
        self._head = bytearray()  # until the header is complete
        self._digest = hashlib.sha256()
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._has_header = self._is_link = False

    def write(self, data: bytes) -> None:
        """Add the next bytes; raise ContentError for damage."""
        if not self._has_header:
            self._head += data
            data = self._read_header()
        if self._has_header and not self._is_link:
            self._hash_content(data)

    def verify(self) -> None:
        """Raise ContentError if the object is cut off, or is not the one that its name states."""
        if not self._has_header:
            raise ContentError("it is cut off in its header")
        if not self._is_link and not self._inflate.eof:
            raise ContentError("it is cut off in its content")
        expect_checksum(self._digest.hexdigest(), self._checksum)

    def _read_header(self) -> bytes:
        """Hash the header once it is complete; return what follows it."""
        if len(self._head) < 8:
            return b""
        length = int.from_bytes(self._head[:4], "big")
        if length > LARGEST_HEADER:
            raise ContentError("it does not begin with a filez header")
        if len(self._head) < 8 + length:
            return b""
        header = header_without_size(bytes(self._head[8 : 8 + length]))
        self._has_header, self._is_link = True, is_link_header(header)
        self._digest.update(hashed_header(header))
        rest = bytes(self._head[8 + length :])
        self._head.clear()
        return rest

    def _hash_content(self, data: bytes) -> None:
        try:
            while data and not self._inflate.eof:
                self._digest.update(self._inflate.decompress(data, _INFLATED_BYTES))
                data = self._inflate.unconsumed_tail
        except zlib.error as error:
            raise ContentError(f"its content cannot be inflated: {error}") from error


def hashed_header(header: bytes) -> bytes:
    """Return what of a header `(uuuusa(ayay))` is hashed into the name of a file."""
    return len(header).to_bytes(4, "big") + bytes(4) + header


def expect_checksum(actual: str, expected: str) -> None:
    """Raise ContentError, as libostree words it, if an object has another checksum than its name."""
    if actual != expected:
        raise ContentError(f"checksum expected={expected} actual={actual}")
