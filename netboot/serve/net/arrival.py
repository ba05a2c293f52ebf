"""The interface by which a TCP connection came in, which its local address does not show.

Linux accepts packets to each of its addresses on every interface (the weak host model, RFC 1122 §3.3.4.2), so a machine
on one LAN can connect to the appliance's address on another. ip(7) and ipv6(7): IP_PKTINFO; the kernel gives it of a
TCP connection's SYN by IP_PKTOPTIONS and IPV6_2292PKTOPTIONS.
"""

import socket
from struct import Struct
from typing import Final

_IP_PKTINFO: Final = 8  # <linux/in.h>, as the next; Python has neither
_IP_PKTOPTIONS: Final = 9
_IPV6_2292PKTOPTIONS: Final = 6  # <linux/in6.h>
_OPTIONS_BYTES: Final = 256
_IPV4_INFO: Final = Struct("@Niii")  # cmsghdr: length, level, type; in_pktinfo begins with the index
_IPV6_INFO: Final = Struct("@Nii16si")  # in6_pktinfo: address, then the index


def note_arrival(listening: socket.socket) -> None:
    """Let `arrived_on` work for the connections that this socket accepts; raise OSError."""
    if listening.family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        listening.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def arrived_on(connection: socket.socket) -> str:
    """Return the name of the interface; of a connection from this computer, that of the address. Raises OSError."""
    if connection.family == socket.AF_INET6:
        options = connection.getsockopt(socket.IPPROTO_IPV6, _IPV6_2292PKTOPTIONS, _OPTIONS_BYTES)
        layout = _IPV6_INFO
    else:
        options = connection.getsockopt(socket.IPPROTO_IP, _IP_PKTOPTIONS, _OPTIONS_BYTES)
        layout = _IPV4_INFO
    if len(options) < layout.size:
        raise OSError("the kernel does not name the interface of the connection")
    index: int = layout.unpack_from(options)[-1]
    return socket.if_indextoname(index)
