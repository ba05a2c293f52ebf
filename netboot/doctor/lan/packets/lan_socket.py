"""One interface below every socket of the kernel: frames in through a filter, and the few frames that are sent.

The interface is promiscuous while it is open: a server sends its reply to the MAC of the request, which is not the
interface's, and BPDUs go to a group address that a card drops otherwise.

packet(7) of the Linux manual; <linux/if_packet.h> for numbers.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from struct import Struct
from typing import Final

from netboot.doctor.paced_reader import PacedReader
from netboot.errors import PortError
from netboot.serve.net import frame_receiver
from netboot.serve.net.frame_receiver import Instruction

PAUSE_S: Final = 0.05

_SOL_PACKET, _ADD_MEMBERSHIP, _PROMISCUOUS = 263, 1, 1
_MEMBERSHIP: Final = Struct("=iHH8s")  # struct packet_mreq

# fmt: off
_KEPT: Final[tuple[Instruction, ...]] = (
    (0x28, 0, 0, 12),         # load the EtherType
    (0x15, 23, 0, 0x0806),    # ARP is kept
    (0x15, 22, 0, 0x88CC),    # LLDP is kept
    (0x15, 21, 0, 0x8809),    # LACP is kept
    (0x15, 4, 0, 0x86DD),     # IPv6: see what it carries
    (0x15, 7, 0, 0x0800),     # IPv4: see what it carries
    (0x25, 17, 0, 1500),      # another EtherType: drop
    (0x30, 0, 0, 0),          # a length: load the first byte of the destination
    (0x45, 16, 15, 1),        # a group address, as that of BPDUs, is kept; else drop
    (0x30, 0, 0, 20),         # load IPv6's next header
    (0x15, 0, 13, 58),        # ICMPv6, else drop
    (0x30, 0, 0, 54),         # load its type
    (0x15, 12, 11, 134),      # a router advertisement is kept; else drop
    (0x30, 0, 0, 23),         # load IPv4's protocol
    (0x15, 0, 9, 17),         # UDP, else drop
    (0x28, 0, 0, 20),         # load flags and offset of the fragment
    (0x45, 7, 0, 0x1FFF),     # the first one, else drop
    (0xB1, 0, 0, 14),         # X = length of the IP header
    (0x48, 0, 0, 16),         # load the destination port
    (0x15, 5, 0, 67),         # a DHCP server's is kept
    (0x15, 4, 0, 68),         # a DHCP client's is kept
    (0x15, 3, 0, 4011),       # a boot server's is kept
    (0x48, 0, 0, 14),         # load the source port
    (0x15, 1, 0, 4011),       # a boot server's is kept
    (0x06, 0, 0, 0),          # drop
    (0x06, 0, 0, 0xFFFF),     # keep
)
# fmt: on


@dataclass(frozen=True, slots=True)
class LanFrame:
    """One Ethernet frame that was received. `vlan`: of its tag; `at_s` on the loop's clock."""

    data: bytes
    vlan: int | None
    at_s: float


class LanSocket:
    """Calls `receive` with each frame until it is closed; opened in the running loop."""

    def __init__(self, interface: str, receive: Callable[[LanFrame], None]) -> None:
        """Raise PortError without CAP_NET_RAW, or if the interface is missing or down."""
        self._receive = receive
        try:
            with ExitStack() as on_failure:
                self._socket = on_failure.enter_context(frame_receiver.opened_for_whole_frames())
                frame_receiver.receive_whole_frames(self._socket, interface, _KEPT)
                membership = _MEMBERSHIP.pack(socket.if_nametoindex(interface), _PROMISCUOUS, 0, b"")
                self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, membership)
                on_failure.pop_all()
        except OSError as error:
            raise PortError(
                f"cannot receive the frames of {interface}: {error.strerror}; run it as root, or with CAP_NET_RAW"
            ) from error
        self._clock = asyncio.get_running_loop().time
        self._reader = PacedReader(self._socket, self._read, pause_s=PAUSE_S)

    def close(self) -> None:
        """Close it; the interface is not promiscuous from then on."""
        self._reader.close()

    def send(self, frame: bytes) -> None:
        """Send one frame; one that the link does not take is lost, as on a LAN."""
        with suppress(OSError):
            self._socket.send(frame)

    def _read(self, data: bytes, ancillary: bytes, _: bytes) -> None:
        self._receive(LanFrame(data, frame_receiver.vlan_of(ancillary), self._clock()))
