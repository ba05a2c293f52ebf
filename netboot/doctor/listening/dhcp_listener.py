"""Receives the DHCP messages of machines and servers on one interface by a packet socket. Sends nothing, opens no port.

Broadcasts, and what is sent to this appliance, also beside a daemon that holds the ports.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from netboot.doctor.paced_reader import PacedReader
from netboot.errors import PortError
from netboot.serve.net import frame_receiver
from netboot.serve.net.frame_receiver import FrameLoss, Instruction
from netboot.wire.dhcp import message as dhcp
from netboot.wire.frames import UDP, UdpDatagram

BOOT_SERVER_PORT: Final = 4011
PAUSE_S: Final = 0.1

# fmt: off
_DHCP: Final[tuple[Instruction, ...]] = (
    (0x30, 0, 0, 9),                  # load the protocol
    (0x15, 0, 7, UDP),                # UDP, else drop
    (0x28, 0, 0, 6),                  # load flags and offset of the fragment
    (0x45, 5, 0, 0x1FFF),             # the first one, else drop
    (0xB1, 0, 0, 0),                  # X = length of the IP header
    (0x48, 0, 0, 2),                  # load the destination port
    (0x15, 3, 0, dhcp.SERVER_PORT),   # a server's is kept
    (0x15, 2, 0, dhcp.CLIENT_PORT),   # a client's is kept
    (0x15, 1, 0, BOOT_SERVER_PORT),   # a boot server's is kept
    (0x06, 0, 0, 0),                  # drop
    (0x06, 0, 0, 0xFFFF),             # keep
)
# fmt: on

Receive = Callable[[str, UdpDatagram, bytes], None]


class DhcpListener:
    """Calls `receive` with interface, datagram and source MAC until it is closed; opened in the running loop."""

    def __init__(self, interface: str, receive: Receive) -> None:
        """Raise PortError without CAP_NET_RAW, or if the interface is missing or down."""
        self._interface, self._receive = interface, receive
        try:
            with ExitStack() as on_failure:
                opened = on_failure.enter_context(frame_receiver.opened())
                frame_receiver.receive_frames(opened, interface, _DHCP)
                on_failure.pop_all()
        except OSError as error:
            raise PortError(
                f"cannot listen on {interface}: {error.strerror}; run it as root, or with CAP_NET_RAW"
            ) from error
        self._reader = PacedReader(opened, self._read, pause_s=PAUSE_S)

    def close(self) -> None:
        """Close the socket."""
        self._reader.close()

    def _read(self, data: bytes, ancillary: bytes, source_mac: bytes) -> None:
        datagram = frame_receiver.read_frame(data, ancillary)
        if not isinstance(datagram, FrameLoss):
            self._receive(self._interface, datagram, source_mac)
