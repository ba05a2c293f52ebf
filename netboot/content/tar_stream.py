"""Reads a tar from front to back, as a layer of an image arrives: no seeking, 10 µs a member.

POSIX.1-2017 pax (ustar headers, `x` and `g` records), GNU long names. Stops at the end marker; the caller
reads and hashes what follows. Python's tarfile is ten times slower, and a release has 50,000 members; and of a name it
reads as many bytes into memory as the header claims.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from netboot.errors import ContentError

_BLOCK: Final = 512
_ZEROS: Final = bytes(_BLOCK)
_LONGEST_TEXT: Final = 1 << 20  # a pax record or GNU name
REGULAR: Final = frozenset({b"0", b"\0", b"7"})
HARD_LINK: Final = b"1"
SYMLINK: Final = b"2"
DIRECTORY: Final = b"5"
_WITHOUT_CONTENT: Final = frozenset({HARD_LINK, SYMLINK, b"3", b"4", DIRECTORY, b"6"})  # whatever their size field
_PAX_KEYS: Final = frozenset({"path", "linkpath", "size", "uid", "gid"})
_SPARSE: Final = "GNU.sparse."  # begins the keys of a member whose content has holes that are not in the tar
_MOST_DIGITS: Final = 19  # of a size


class ByteStream:
    """Bytes that arrive in pieces of any size and are read in pieces of any other."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """Read exactly `count` bytes; raise ContentError if fewer are left."""
        end = self._at + count
        if end <= len(self._chunk):
            taken = self._chunk[self._at : end]
            self._at = end
            return taken
        return b"".join(self.pieces(count))

    def pieces(self, count: int) -> Iterator[bytes]:
        """Read exactly `count` bytes, in pieces as they arrive."""
        while count:
            if self.is_at_end():
                raise ContentError("it ends in the middle of a file")
            piece = self._chunk[self._at : self._at + count]
            self._at += len(piece)
            count -= len(piece)
            yield piece

    def skip(self, count: int) -> None:
        for _ in self.pieces(count):
            pass

    def rest(self) -> Iterator[bytes]:
        """Read to the end, in pieces as they arrive."""
        while not self.is_at_end():
            piece, self._at = self._chunk[self._at :], len(self._chunk)
            yield piece

    def is_at_end(self) -> bool:
        while self._at == len(self._chunk):
            chunk = next(self._chunks, None)
            if chunk is None:
                return True
            self._chunk, self._at = chunk, 0
        return False


@dataclass(frozen=True, slots=True)
class TarMember:
    """One member; its content, `size_bytes` long, is next in the stream.

    Mode, uid and gid are read when they are needed: then a header without valid ones raises ContentError.
    """

    name: str
    kind: bytes
    size_bytes: int
    link: str
    header: bytes
    extended: Mapping[str, str]

    @property
    def mode(self) -> int:
        return _number(self.header[100:108])

    @property
    def uid(self) -> int:
        return self._owner("uid", self.header[108:116])

    @property
    def gid(self) -> int:
        return self._owner("gid", self.header[116:124])

    @property
    def is_sparse(self) -> bool:
        return self.kind == b"S" or _SPARSE in self.extended

    def _owner(self, key: str, field: bytes) -> int:
        return _decimal(self.extended[key], key) if key in self.extended else _number(field)


def tar_members(stream: ByteStream) -> Iterator[TarMember]:
    """Yield each member; the caller must read or skip all of its content before the next.

    Raises ContentError if the stream is not a tar, or ends within a member. A tar without an end marker (umoci writes
    none, and no padding behind the last member) is complete only if the caller's checksum matches.
    """
    extended: dict[str, str] = {}
    while not stream.is_at_end() and (header := stream.take(_BLOCK)) != _ZEROS:
        if _number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * 0x20:
            raise ContentError("it is not a tar, or damaged: the checksum of a header is wrong")
        kind = header[156:157]
        size = _number(header[124:136])
        if kind in b"xLKg":
            if size > _LONGEST_TEXT:
                raise ContentError(f"it is damaged: a name or record of {size} bytes")
            text = stream.take(size)
            stream.skip(-size % _BLOCK)
            extended |= _extension(kind, text)
            continue
        if "size" in extended:
            size = _decimal(extended["size"], "size")
        if kind in _WITHOUT_CONTENT:
            size = 0
        name = extended.get("path") or _name(header)
        link = extended.get("linkpath") or _text(header[157:257])
        yield TarMember(name, kind, size, link, header, extended)
        if not stream.is_at_end():
            stream.skip(-size % _BLOCK)
        extended = {}


def _number(field: bytes) -> int:
    if field[0] == 0x80:  # GNU: binary; 0xFF begins a negative number, which is invalid here
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    try:
        if not digits.isdigit():  # int() accepts signs, blanks and underscores; a negative size would loop for ever
            raise ValueError
        return int(digits, 8)
    except ValueError:
        raise ContentError("it is not a tar, or damaged: a header has an invalid number") from None


def _decimal(text: str, key: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise ContentError(f"it is damaged: a pax record has an invalid {key}")
    return int(text)


def _name(header: bytes) -> str:
    name = _text(header[:100])
    is_ustar = header[257:263] == b"ustar\0"
    prefix = _text(header[345:500]) if is_ustar else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _extension(kind: bytes, text: bytes) -> dict[str, str]:
    """Read the fields of a header for the next member; global records contain no names and sizes."""
    match kind:
        case b"L":
            return {"path": _text(text)}
        case b"K":
            return {"linkpath": _text(text)}
        case b"x":
            known = ((_SPARSE if key.startswith(_SPARSE) else key, value) for key, value in _pax_records(text))
            return {key: value for key, value in known if key in _PAX_KEYS or key == _SPARSE}
        case _:
            return {}


def _pax_records(text: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        length, blank, _ = text[at : at + 20].partition(b" ")
        end = at + int(length) if length.isdigit() and blank else at
        if not at < end <= len(text):
            raise ContentError("it is damaged: a pax record has no length")
        key, _, value = text[at + len(length) + 1 : end - 1].partition(b"=")
        yield key.decode("utf-8", "replace"), _text(value)
        at = end
