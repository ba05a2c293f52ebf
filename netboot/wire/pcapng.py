"""Writes and reads pcapng: sections of Ethernet packets with comments. Pure.

Reads only what this module wrote: one section, little-endian, microseconds, no blocks but those below.
draft-ietf-opsawg-pcapng §3.1 (blocks), §3.5 (options), §4.1 (section), §4.2 (interface), §4.3 (packet).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct, error
from typing import Final

from netboot.errors import WireError

_SECTION: Final = Struct("<IHHq")
_INTERFACE: Final = Struct("<HHI")
_PACKET: Final = Struct("<IIIII")  # interface, time in two halves, length that is kept, length on the wire
_FRAME: Final = Struct("<II")  # type and length before a block; the length is repeated behind it
_OPTION: Final = Struct("<HH")
_FLAGS: Final = Struct("<I")
_DROPS: Final = Struct("<Q")
_LENGTH: Final = Struct("<I")

_BYTE_ORDER: Final = 0x1A2B3C4D
_VERSION: Final = 1, 0
_UNKNOWN_LENGTH: Final = -1  # of a section that grows
_ETHERNET: Final = 1  # LINKTYPE_ETHERNET
_MICROSECONDS: Final = b"\x06"
_LEAST_BLOCK_BYTES: Final = 12

_COMMENT, _APPLICATION = 1, 4
_INTERFACE_NAME, _RESOLUTION = 2, 9
_PACKET_FLAGS, _DROP_COUNT = 2, 4
_INBOUND, _OUTBOUND = 1, 2


class BlockType(IntEnum):
    SECTION = 0x0A0D0D0A
    INTERFACE = 1
    PACKET = 6  # "enhanced"


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. `data` may be a beginning of its `length` bytes; `lost`: how many before it are not in the file."""

    interface: int
    at_us: int  # since 1970
    data: bytes
    length: int
    is_sent: bool
    comment: str = ""
    lost: int = 0


def section(application: str, comment: str) -> bytes:
    """Write the beginning of a file."""
    options = [(_COMMENT, comment.encode()), (_APPLICATION, application.encode())]
    return _block(BlockType.SECTION, _SECTION.pack(_BYTE_ORDER, *_VERSION, _UNKNOWN_LENGTH) + _options(options))


def interface(name: str) -> bytes:
    """Write an interface; packets name it by its place among those of the file, from 0 on."""
    options = [(_INTERFACE_NAME, name.encode()), (_RESOLUTION, _MICROSECONDS)]
    return _block(BlockType.INTERFACE, _INTERFACE.pack(_ETHERNET, 0, 0) + _options(options))


def packet(packet: Packet) -> bytes:
    """Write a packet."""
    options = [(_PACKET_FLAGS, _FLAGS.pack(_OUTBOUND if packet.is_sent else _INBOUND))]
    if packet.comment:
        options.append((_COMMENT, packet.comment.encode("utf-8", "replace")))
    if packet.lost:
        options.append((_DROP_COUNT, _DROPS.pack(packet.lost)))
    halves = packet.at_us >> 32, packet.at_us & 0xFFFFFFFF
    head = _PACKET.pack(packet.interface, *halves, len(packet.data), packet.length)
    return _block(BlockType.PACKET, head + _padded(packet.data) + _options(options))


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the bytes of each block up to the first one that is not whole, as a killed daemon leaves."""
    at = 0
    while at + _LEAST_BLOCK_BYTES <= len(data):
        kind, length = _FRAME.unpack_from(data, at)
        if length < _LEAST_BLOCK_BYTES or length % 4 or at + length > len(data):
            return
        yield kind, data[at : at + length]
        at += length


def interface_name(block: bytes) -> str:
    """Read the name of an interface's block; raise WireError if this module did not write it."""
    try:
        return _options_in(block, _FRAME.size + _INTERFACE.size)[_INTERFACE_NAME].decode()
    except (error, KeyError, UnicodeDecodeError) as fault:
        raise WireError(f"a damaged interface in a capture: {fault}") from fault


def read_packet(block: bytes) -> Packet:
    """Read the block of a packet; raise WireError if this module did not write it."""
    try:
        return _read_packet(block)
    except (error, KeyError, UnicodeDecodeError) as fault:
        raise WireError(f"a damaged packet in a capture: {fault}") from fault


def _read_packet(block: bytes) -> Packet:
    number, high, low, kept, length = _PACKET.unpack_from(block, _FRAME.size)
    start = _FRAME.size + _PACKET.size
    options = _options_in(block, start + _padded_length(kept))
    (flags,) = _FLAGS.unpack(options[_PACKET_FLAGS])
    comment = options.get(_COMMENT, b"").decode()
    (lost,) = _DROPS.unpack(options.get(_DROP_COUNT, bytes(_DROPS.size)))
    is_sent = flags & 3 == _OUTBOUND
    return Packet(number, high << 32 | low, block[start : start + kept], length, is_sent, comment, lost)


def _block(kind: BlockType, body: bytes) -> bytes:
    length = _FRAME.size + len(body) + _LENGTH.size
    return _FRAME.pack(kind, length) + body + _LENGTH.pack(length)


def _options(options: Sequence[tuple[int, bytes]]) -> bytes:
    """Write options, without those that have no value, and their end."""
    written = [_OPTION.pack(code, len(value)) + _padded(value) for code, value in options if value]
    return b"".join([*written, _OPTION.pack(0, 0)])


def _options_in(block: bytes, at: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while True:
        code, length = _OPTION.unpack_from(block, at)
        if code == 0:
            return found
        at += _OPTION.size
        found[code] = block[at : at + length]
        at += _padded_length(length)


def _padded(data: bytes) -> bytes:
    """Return bytes with zeros up to a whole number of 32-bit words."""
    return data + bytes(-len(data) % 4)


def _padded_length(length: int) -> int:
    """Return how many bytes data of this length takes with its zeros; a damaged file may name any length."""
    return length + -length % 4
