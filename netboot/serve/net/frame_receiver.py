"""Receives UDP datagrams of one interface from a packet socket, which opens no port: a filter in the kernel, and the
checks that the kernel does for its own sockets.

packet(7) of the Linux manual; <linux/if_packet.h>, <linux/filter.h> for numbers.
"""

import ctypes
import socket
from collections.abc import Sequence
from enum import StrEnum
from struct import Struct
from typing import Final

from netboot.wire.frames import UdpDatagram, read

_DATAGRAMS: Final = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK  # packets from their IP header on
_WHOLE_FRAMES: Final = socket.SOCK_RAW | socket.SOCK_NONBLOCK  # from their Ethernet header on
_ETH_P_IP: Final = 0x0800
_ETH_P_ALL: Final = 0x0003
_SOL_PACKET, _PACKET_AUXDATA = 263, 8
_SO_ATTACH_FILTER: Final = 26
_AUXDATA: Final = Struct("=IIIHHHH")  # status, lengths, offsets, VLAN's tag and protocol
_CHECKSUM_NOT_MADE, _VLAN_VALID, _CHECKSUM_VALID = 1 << 3, 1 << 4, 1 << 7
_VLAN_ID: Final = 0x0FFF
_INSTRUCTION: Final = Struct("=HBBI")
_PROGRAM: Final = Struct("@HP")

ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_AUXDATA.size)

# Classic BPF over a packet from its IP header on: operation, jumps if true and if false, operand.
Instruction = tuple[int, int, int, int]


class FrameLoss(StrEnum):
    """Why a frame is no datagram for this interface."""

    OTHER_VLAN = "other-vlan"
    MALFORMED = "malformed"


def opened() -> socket.socket:
    """Open a packet socket that receives nothing yet; raise OSError without CAP_NET_RAW."""
    return socket.socket(socket.AF_PACKET, _DATAGRAMS, 0)


def opened_for_whole_frames() -> socket.socket:
    """Open a packet socket for whole Ethernet frames that receives nothing yet; raise OSError without CAP_NET_RAW."""
    return socket.socket(socket.AF_PACKET, _WHOLE_FRAMES, 0)


def receive_whole_frames(receiver: socket.socket, interface: str, program: Sequence[Instruction]) -> None:
    """Let a packet socket receive the Ethernet frames of an interface that the program keeps; raise OSError."""
    _receive(receiver, interface, program, _ETH_P_ALL)


def receive_frames(receiver: socket.socket, interface: str, program: Sequence[Instruction]) -> None:
    """Let a packet socket receive the IPv4 packets of an interface that the program keeps; raise OSError."""
    _receive(receiver, interface, program, _ETH_P_IP)


def _receive(receiver: socket.socket, interface: str, program: Sequence[Instruction], protocol: int) -> None:
    data = b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)
    held = ctypes.create_string_buffer(data, len(data))
    pointer = _PROGRAM.pack(len(program), ctypes.addressof(held))
    receiver.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)
    receiver.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    receiver.bind((interface, protocol))  # behind the filter, which no packet misses


def read_frame(data: bytes, ancillary: bytes) -> UdpDatagram | FrameLoss:
    """Read a packet with its ancillary data: with a valid checksum, without the tag of another VLAN."""
    if vlan_of(ancillary) is not None:
        return FrameLoss.OTHER_VLAN
    status = _AUXDATA.unpack(ancillary)[0]
    datagram = read(data, is_verified=bool(status & (_CHECKSUM_NOT_MADE | _CHECKSUM_VALID)))
    return FrameLoss.MALFORMED if datagram is None else datagram


def vlan_of(ancillary: bytes) -> int | None:
    """Read the VLAN of a frame's tag, which the kernel took out of the frame; None without one, or for a priority."""
    status, _, _, _, _, tag, _ = _AUXDATA.unpack(ancillary)
    return (tag & _VLAN_ID or None) if status & _VLAN_VALID else None
