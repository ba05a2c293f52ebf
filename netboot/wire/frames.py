"""Read and write UDP over IPv4 below the kernel: checksums, fragments, bounded memory for what is incomplete.

Never opens a socket, never reads a datagram's payload. The result is None for malformed data: its sender gets
no reply, and the kernel's own sockets would have dropped it too.

RFC 791 §3.1, §3.2 (header, fragments) · RFC 768 (UDP) · RFC 1071 (the checksum) · RFC 1858 §3 (tiny fragments).
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from struct import Struct
from sys import byteorder
from typing import Final

UDP: Final = 17
LARGEST_DATAGRAM_BYTES: Final = 65_535
PIECES_HELD: Final = 32  # datagrams whose other fragments are awaited
PIECES_HELD_S: Final = 2.0
PIECE_LIMIT: Final = 16  # fragments of one datagram: 1400 bytes over a link of 576 are three

_IP: Final = Struct("!BBHHHBBH4s4s")
_UDP: Final = Struct("!HHHH")
_PSEUDO: Final = Struct("!4s4sBBH")
_MORE_FRAGMENTS: Final = 0x2000
_OFFSET: Final = 0x1FFF
_TTL: Final = 64


@dataclass(frozen=True, slots=True)
class UdpDatagram:
    """One datagram with both ends of its way."""

    source: IPv4Address
    source_port: int
    destination: IPv4Address
    destination_port: int
    data: bytes


@dataclass(frozen=True, slots=True)
class IpPacket:
    """One IPv4 packet or fragment that carries UDP; `offset` in bytes."""

    source: IPv4Address
    destination: IPv4Address
    identification: int
    offset: int
    has_more: bool
    payload: bytes

    @property
    def is_whole(self) -> bool:
        """It is not a fragment."""
        return self.offset == 0 and not self.has_more


def checksum(data: bytes) -> int:
    """Sum 16-bit words in one's complement and invert (RFC 1071); 0 over data that holds its own right checksum."""
    if len(data) % 2:
        data += b"\0"
    total = sum(memoryview(data).cast("H"))  # in the other byte order the sum has the same value with its bytes swapped
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int.from_bytes((~total & 0xFFFF).to_bytes(2, byteorder), "big")


def read_ip(packet: bytes) -> IpPacket | None:
    """Read an IPv4 packet that begins at its header; None if it is malformed or carries no UDP."""
    if len(packet) < _IP.size:
        return None
    first, _, length, identification, fragment, _, protocol, _, source, destination = _IP.unpack_from(packet)
    header_bytes = (first & 0x0F) * 4
    if first >> 4 != 4 or protocol != UDP or not _IP.size <= header_bytes <= length <= len(packet):
        return None
    if checksum(packet[:header_bytes]) != 0:
        return None
    has_more = bool(fragment & _MORE_FRAGMENTS)
    payload = packet[header_bytes:length]
    if has_more and (not payload or len(payload) % 8):
        return None
    offset = (fragment & _OFFSET) * 8
    return IpPacket(IPv4Address(source), IPv4Address(destination), identification, offset, has_more, payload)


def read_udp(packet: IpPacket, *, is_verified: bool = False) -> UdpDatagram | None:
    """Read the datagram of a whole packet; None if its length or checksum is wrong.

    `is_verified`: the kernel reports that the checksum is right, or that none was computed, as on virtual links.
    """
    if len(packet.payload) < _UDP.size:
        return None
    source_port, destination_port, length, sum_ = _UDP.unpack_from(packet.payload)
    if not _UDP.size <= length <= len(packet.payload):
        return None
    segment = packet.payload[:length]
    if sum_ and not is_verified and checksum(_pseudo(packet.source, packet.destination, length) + segment) != 0:
        return None
    return UdpDatagram(packet.source, source_port, packet.destination, destination_port, segment[_UDP.size :])


def write(datagram: UdpDatagram) -> bytes:
    """Write a whole IPv4 packet with both checksums; its identification is 0, for the kernel to fill in."""
    length = _UDP.size + len(datagram.data)
    segment = _UDP.pack(datagram.source_port, datagram.destination_port, length, 0) + datagram.data
    sum_ = (
        checksum(_pseudo(datagram.source, datagram.destination, length) + segment) or 0xFFFF
    )  # 0 means "not computed"
    ends = datagram.source.packed, datagram.destination.packed
    header = _IP.pack(0x45, 0, _IP.size + length, 0, 0, _TTL, UDP, 0, *ends)
    header = _IP.pack(0x45, 0, _IP.size + length, 0, 0, _TTL, UDP, checksum(header), *ends)
    return header + segment[:6] + sum_.to_bytes(2, "big") + segment[8:]


@dataclass(slots=True)
class _Pieces:
    until_s: float
    by_offset: dict[int, IpPacket] = field(default_factory=dict)


class Reassembly:
    """Joins fragments, in any order. `now_s` is the caller's monotonic clock."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[IPv4Address, IPv4Address, int], _Pieces] = OrderedDict()

    def take(self, packet: IpPacket, now_s: float) -> IpPacket | None:
        """Add a fragment; return the whole packet when all fragments are present.

        Fragments that overlap, or of which there are too many, are dropped with all that belong to them.
        """
        while self._waiting and next(iter(self._waiting.values())).until_s <= now_s:
            self._waiting.popitem(last=False)
        key = (packet.source, packet.destination, packet.identification)
        pieces = self._waiting.get(key)
        if pieces is None:
            pieces = self._waiting[key] = _Pieces(now_s + PIECES_HELD_S)
            if len(self._waiting) > PIECES_HELD:
                self._waiting.popitem(last=False)
        if packet.offset in pieces.by_offset or len(pieces.by_offset) >= PIECE_LIMIT:
            del self._waiting[key]
            return None
        pieces.by_offset[packet.offset] = packet
        whole = _joined(pieces)
        if whole is not None:
            del self._waiting[key]
        return whole


def _joined(pieces: _Pieces) -> IpPacket | None:
    payload, last = b"", None
    for offset, packet in sorted(pieces.by_offset.items()):
        if offset != len(payload) or last is not None:
            return None  # one is missing, or they overlap and never fit
        payload += packet.payload
        if not packet.has_more:
            last = packet
    if last is None or len(payload) > LARGEST_DATAGRAM_BYTES:
        return None
    return IpPacket(last.source, last.destination, last.identification, 0, False, payload)


def _pseudo(source: IPv4Address, destination: IPv4Address, length: int) -> bytes:
    return _PSEUDO.pack(source.packed, destination.packed, 0, UDP, length)
