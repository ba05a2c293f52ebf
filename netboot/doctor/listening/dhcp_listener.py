"""Receives the DHCP messages of machines and servers on one interface by a packet socket. Sends nothing, opens no port.

Broadcasts, and what is sent to this appliance, also beside a daemon that holds the ports.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from netboot.errors import PortError
from netboot.serve.net import frame_receiver
from netboot.serve.net.frame_receiver import ANCILLARY_BYTES, FrameLoss, Instruction
from netboot.serve.net.udp import LARGEST_DATAGRAM_BYTES
from netboot.wire.dhcp import message as dhcp
from netboot.wire.frames import UDP, UdpDatagram

BOOT_SERVER_PORT: Final = 4011
PAUSE_S: Final = 0.1
DATAGRAMS_PER_PAUSE: Final = 64  # in a flood the kernel drops what is not read

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
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        try:
            with ExitStack() as on_failure:
                self._socket = on_failure.enter_context(frame_receiver.opened())
                frame_receiver.receive_frames(self._socket, interface, _DHCP)
                on_failure.pop_all()
        except OSError as error:
            raise PortError(
                f"cannot listen on {interface}: {error.strerror}; run it as root, or with CAP_NET_RAW"
            ) from error
        self._wait()

    def close(self) -> None:
        """Close the socket."""
        self._loop.remove_reader(self._socket.fileno())
        if self._pause is not None:
            self._pause.cancel()
        self._socket.close()

    def _wait(self) -> None:
        self._loop.add_reader(self._socket.fileno(), self._drain)

    def _drain(self) -> None:
        """Read what waits; the rest of a flood after a pause."""
        for _ in range(DATAGRAMS_PER_PAUSE):
            try:
                data, ancillary, flags, sender = self._socket.recvmsg(LARGEST_DATAGRAM_BYTES, ANCILLARY_BYTES)
            except OSError:  # nothing more waits, or the link went down
                return
            if flags & socket.MSG_TRUNC or not ancillary or sender[2] == socket.PACKET_OUTGOING:
                continue
            datagram = frame_receiver.read_frame(data, ancillary[0][2])
            if not isinstance(datagram, FrameLoss):
                self._receive(self._interface, datagram, sender[4])
        self._loop.remove_reader(self._socket.fileno())
        self._pause = self._loop.call_later(PAUSE_S, self._wait)
