"""Ethernet frames of UDP datagrams as a machine without an IP stack sends them, and the filter for their replies.

The headers are laid out once by scapy; of each frame only addresses, ports, lengths and checksums are written.
"""

import ctypes
import socket
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address
from struct import Struct
from typing import Any, Final

BROADCAST_MAC: Final = b"\xff" * 6
ANY: Final = IPv4Address("0.0.0.0")
BROADCAST: Final = IPv4Address("255.255.255.255")
CLIENT_PORT: Final = 68
SERVER_PORT: Final = 67
BOOT_SERVER_PORT: Final = 4011

_ETHERNET_BYTES, _IP_BYTES, _UDP_BYTES = 14, 20, 8
_SO_ATTACH_FILTER: Final = 26  # <asm-generic/socket.h>
_INSTRUCTION: Final = Struct("=HBBI")
_PROGRAM: Final = Struct("@HP")
# Classic BPF over an Ethernet frame: IPv4, UDP, no fragment but the first, to port 68.
_REPLIES: Final = (
    (0x28, 0, 0, 12),  # ldh [12], the EtherType
    (0x15, 0, 8, 0x0800),
    (0x30, 0, 0, 23),  # ldb [23], the protocol
    (0x15, 0, 6, 17),
    (0x28, 0, 0, 20),  # ldh [20], the fragment's offset
    (0x45, 4, 0, 0x1FFF),
    (0xB1, 0, 0, 14),  # ldxb 4*([14]&0xf), the IP header's length
    (0x48, 0, 0, 16),  # ldh [x+16], the destination port
    (0x15, 0, 1, CLIENT_PORT),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


@dataclass(frozen=True, slots=True)
class Way:
    """From where to where a datagram is sent; the addresses default to those of a client without an address."""

    source_mac: bytes
    destination_mac: bytes = BROADCAST_MAC
    source: IPv4Address = ANY
    source_port: int = CLIENT_PORT
    destination: IPv4Address = BROADCAST
    destination_port: int = SERVER_PORT


def udp_frame(payload: bytes, way: Way) -> bytes:
    """Write the Ethernet frame of one datagram, with both checksums."""
    from scapy.utils import checksum

    frame = bytearray(_headers()) + payload
    udp_bytes = _UDP_BYTES + len(payload)
    frame[0:6], frame[6:12] = way.destination_mac, way.source_mac
    frame[16:18] = (_IP_BYTES + udp_bytes).to_bytes(2, "big")
    frame[26:34] = way.source.packed + way.destination.packed
    frame[24:26] = int(checksum(bytes(frame[14:34]))).to_bytes(2, "big")
    frame[34:40] = b"".join(each.to_bytes(2, "big") for each in (way.source_port, way.destination_port, udp_bytes))
    pseudo = bytes(frame[26:34]) + b"\0\x11" + udp_bytes.to_bytes(2, "big")
    frame[40:42] = (int(checksum(pseudo + bytes(frame[34:]))) or 0xFFFF).to_bytes(2, "big")
    return bytes(frame)


def announcement(mac: str, address: IPv4Address) -> bytes:
    """Write the gratuitous ARP request by which others learn that a card has an address (RFC 5227 §3)."""
    card = bytes.fromhex(mac.replace(":", ""))
    head = BROADCAST_MAC + card + bytes.fromhex("08060001080006040001")
    return head + card + address.packed + bytes(6) + address.packed + bytes(18)  # to Ethernet's 60 bytes


@cache
def _headers() -> bytes:
    """Lay out the three headers with zeros where each frame has its own values."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    ends: dict[str, Any] = {"src": "0.0.0.0", "dst": "0.0.0.0"}
    packet = Ether(src=bytes(6), dst=bytes(6), type=0x0800) / IP(**ends, id=0, len=0, chksum=0, proto=17)
    return bytes(packet / UDP(sport=0, dport=0, len=0, chksum=0))


def receive_replies(receiver: socket.socket) -> None:
    """Let a packet socket keep only datagrams to port 68, whichever machine they are for."""
    data = b"".join(_INSTRUCTION.pack(*instruction) for instruction in _REPLIES)
    held = ctypes.create_string_buffer(data, len(data))
    pointer = _PROGRAM.pack(len(_REPLIES), ctypes.addressof(held))
    receiver.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)


def xid_of_frame(frame: bytes) -> int | None:
    """Return the transaction of a DHCP message in a frame; None if the frame is too short for one."""
    at = _ETHERNET_BYTES + (frame[_ETHERNET_BYTES] & 0x0F) * 4 + _UDP_BYTES + 4 if len(frame) > _ETHERNET_BYTES else 0
    xid = frame[at : at + 4]
    return int.from_bytes(xid, "big") if at and len(xid) == 4 else None
