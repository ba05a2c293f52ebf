"""The sockets of the TFTP door: bound to one interface, answering from the address that was asked.

Must never set DF: a router on the way may still fragment what a small MTU there cannot carry (IP_PMTUDISC_DONT).
"""

import socket
import struct
from typing import Final

from netboot.errors import NetbootError

_PKTINFO: Final = struct.Struct("=I4s4s")  # interface, our address, the datagram's destination
_IP_PKTINFO: Final = getattr(socket, "IP_PKTINFO", 8)  # Linux's number; Python names it from 3.14 on
_IP_MTU_DISCOVER: Final = 10
_IP_PMTUDISC_DONT: Final = 0
PKTINFO_SPACE: Final = socket.CMSG_SPACE(_PKTINFO.size)


def bound_socket(interface: str, address: str, port: int) -> socket.socket:
    """Open a socket that hears and sends on one interface only; raise NetbootError where it is not to be had."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
        opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        opened.bind((address, port))
    except OSError as error:
        opened.close()
        raise NetbootError(
            f"cannot listen for TFTP on {interface} port {port}: {error.strerror}; "
            f"see who has it: ss -lunp 'sport = :{port}'"
        ) from error
    return opened


def unicast_destination(ancillary: list[tuple[int, int, bytes]]) -> str | None:
    """Tell to which of our addresses a datagram was sent; None for a broadcast or a group."""
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            _, local, destination = _PKTINFO.unpack(value)
            return socket.inet_ntoa(local) if local == destination else None
    return None


def send_from(bound: socket.socket, local: str, peer: tuple[str, int], datagram: bytes) -> None:
    """Send from one of our addresses by a socket that is bound to none."""
    source = _PKTINFO.pack(0, socket.inet_aton(local), bytes(4))
    bound.sendmsg([datagram], [(socket.IPPROTO_IP, _IP_PKTINFO, source)], 0, peer)
