"""Reads a packet socket in turns, so that a flood of frames leaves time to the rest of the event loop."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from netboot.serve.net.frame_receiver import ANCILLARY_BYTES

FRAMES_PER_TURN: Final = 64  # in a flood the kernel drops what is not read
LARGEST_FRAME_BYTES: Final = 65_535

Receive = Callable[[bytes, bytes, bytes], None]
"""Gets the data, the ancillary data of the kernel, and the source MAC of one whole frame that came in."""


class PacedReader:
    """Calls `receive` with each frame until it is closed; after each turn it pauses. Made in the running loop."""

    def __init__(self, receiver: socket.socket, receive: Receive, *, pause_s: float) -> None:
        """Read from a packet socket that does not block; it is closed with the reader."""
        self._socket, self._receive, self._pause_s = receiver, receive, pause_s
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._wait()

    def close(self) -> None:
        """Close the socket; what waits is not read."""
        self._loop.remove_reader(self._socket.fileno())
        if self._pause is not None:
            self._pause.cancel()
        self._socket.close()

    def _wait(self) -> None:
        self._loop.add_reader(self._socket.fileno(), self._drain)

    def _drain(self) -> None:
        """Read what waits; the rest of a flood after a pause."""
        for _ in range(FRAMES_PER_TURN):
            try:
                data, ancillary, flags, sender = self._socket.recvmsg(LARGEST_FRAME_BYTES, ANCILLARY_BYTES)
            except OSError:  # nothing more waits, or the link went down
                return
            if not flags & socket.MSG_TRUNC and ancillary and sender[2] != socket.PACKET_OUTGOING:
                self._receive(data, ancillary[0][2], sender[4])
        self._loop.remove_reader(self._socket.fileno())
        self._pause = self._loop.call_later(self._pause_s, self._wait)
