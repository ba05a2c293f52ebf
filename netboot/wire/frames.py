"""Read and write UDP over IPv4 below the kernel, and write TCP: headers and checksums.

Never opens a socket, never reads a datagram's payload, never joins fragments. The result is None for malformed data:
its sender gets no reply, and the kernel's own sockets would have dropped it too.

RFC 791 §3.1 (header) · RFC 768 (UDP) · RFC 9293 §3.1 (TCP) · RFC 1071 (the checksum).
"""

from dataclasses import dataclass
from ipaddress import IPv4Address
from struct import Struct
from sys import byteorder
from typing import Final

UDP: Final = 17
TCP: Final = 6

_IP: Final = Struct("!BBHHHBBH4s4s")
_UDP: Final = Struct("!HHHH")
_TCP: Final = Struct("!HHIIBBHHH")
_ETHERNET: Final = Struct("!6s6sH")
_PSEUDO: Final = Struct("!4s4sBBH")
_FRAGMENT: Final = 0x3FFF  # more fragments follow, or the offset of one
_TTL: Final = 64
_IPV4: Final = 0x0800
_PUSH_ACK: Final = 0x18
_WINDOW: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class UdpDatagram:
    """One datagram with both ends of its way."""

    source: IPv4Address
    source_port: int
    destination: IPv4Address
    destination_port: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TcpSegment:
    """Bytes of a stream in one direction, from `sequence` on; everything before `acknowledged` was received."""

    source: IPv4Address
    source_port: int
    destination: IPv4Address
    destination_port: int
    sequence: int
    acknowledged: int
    data: bytes


def checksum(data: bytes) -> int:
    """Sum 16-bit words in one's complement and invert (RFC 1071); 0 over data that holds its own right checksum."""
    if len(data) % 2:
        data += b"\0"
    total = sum(memoryview(data).cast("H"))  # in the other byte order the sum has the same value with its bytes swapped
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int.from_bytes((~total & 0xFFFF).to_bytes(2, byteorder), "big")


def read(packet: bytes, *, is_verified: bool = False) -> UdpDatagram | None:
    """Read an IPv4 packet that begins at its header; None if it is malformed, a fragment, or carries no UDP.

    `is_verified`: the kernel reports that the checksum is right, or that none was computed, as on virtual links.
    """
    if len(packet) < _IP.size:
        return None
    first, _, length, _, fragment, _, protocol, _, source, destination = _IP.unpack_from(packet)
    header_bytes = (first & 0x0F) * 4
    if first >> 4 != 4 or protocol != UDP or not _IP.size <= header_bytes <= length <= len(packet):
        return None
    payload = packet[header_bytes:length]
    if checksum(packet[:header_bytes]) != 0 or fragment & _FRAGMENT or len(payload) < _UDP.size:
        return None
    source_port, destination_port, length, sum_ = _UDP.unpack_from(payload)
    if not _UDP.size <= length <= len(payload):
        return None
    segment = payload[:length]
    if sum_ and not is_verified and checksum(_pseudo(source, destination, length) + segment) != 0:
        return None
    data = segment[_UDP.size :]
    return UdpDatagram(IPv4Address(source), source_port, IPv4Address(destination), destination_port, data)


def write(datagram: UdpDatagram) -> bytes:
    """Write a whole IPv4 packet with both checksums; its identification is 0, for the kernel to fill in."""
    length = _UDP.size + len(datagram.data)
    segment = _UDP.pack(datagram.source_port, datagram.destination_port, length, 0) + datagram.data
    ends = datagram.source.packed, datagram.destination.packed
    sum_ = checksum(_pseudo(*ends, length) + segment) or 0xFFFF  # 0 means "not computed"
    return _ip_header(*ends, length) + segment[:6] + sum_.to_bytes(2, "big") + segment[8:]


def write_segment(segment: TcpSegment) -> bytes:
    """Write a whole IPv4 packet of a TCP connection with both checksums."""
    ports = segment.source_port, segment.destination_port
    numbers = segment.sequence & 0xFFFFFFFF, segment.acknowledged & 0xFFFFFFFF
    data = _TCP.pack(*ports, *numbers, _TCP.size // 4 << 4, _PUSH_ACK, _WINDOW, 0, 0) + segment.data
    ends = segment.source.packed, segment.destination.packed
    sum_ = checksum(_pseudo(*ends, len(data), TCP) + data)
    return _ip_header(*ends, len(data), TCP) + data[:16] + sum_.to_bytes(2, "big") + data[18:]


def ethernet(packet: bytes, *, source: bytes, destination: bytes) -> bytes:
    """Put the header of an Ethernet frame before an IPv4 packet; both ends are MACs of 6 bytes."""
    return _ETHERNET.pack(destination, source, _IPV4) + packet


def _ip_header(source: bytes, destination: bytes, length: int, protocol: int = UDP) -> bytes:
    header = _IP.pack(0x45, 0, _IP.size + length, 0, 0, _TTL, protocol, 0, source, destination)
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:]


def _pseudo(source: bytes, destination: bytes, length: int, protocol: int = UDP) -> bytes:
    return _PSEUDO.pack(source, destination, 0, protocol, length)
