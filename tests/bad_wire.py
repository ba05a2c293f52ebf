"""A wire that loses and delays frames, for kernels without `netem`: this process carries frames between two veth ends.

Runs in the test's own process and ends with it. Frames are lost by a seeded generator, so that a run can be repeated;
late ones keep their order, and no more than `QUEUE` are on the way, as in a switch whose buffer is full.
"""

import asyncio
import ctypes
import fcntl
import random
import socket
import struct
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from lab_lans import BAD_WIRE, BadWireLan

from netboot.lab.lan.namespaces import within

LOSS: Final = 0.02  # of the frames, each way
DELAY_S: Final = 0.050  # towards the guests, as `tc qdisc add dev PORT root netem loss 2% delay 50ms` has it
QUEUE: Final = 1000  # netem's own limit
FRAME_BYTES: Final = 65_536
_BURST = 64  # frames taken in one turn of the loop
_SIOCETHTOOL: Final = 0x8946
_OFFLOADS: Final = (0x17, 0x1F, 0x24)  # ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO


@dataclass(slots=True)
class Carried:
    """The numbers of frames in one direction."""

    frames: int = 0
    lost: int = 0


class BadWire:
    """Carries frames between the guests' bridge and the appliance's."""

    def __init__(self, lan: BadWireLan, *, seed: int = 1) -> None:
        self.to_appliance, self.to_guests = Carried(), Carried()
        self._random = random.Random(seed)
        self._guests, self._appliance = within(lan.namespace, _ends)
        self._late: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        """Carry frames from now on, in the running loop."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._guests, self._from_guests)
        loop.add_reader(self._appliance, self._from_appliance)
        return self

    def __exit__(self, *_: object) -> None:
        """Cut the wire."""
        loop = asyncio.get_running_loop()
        for end in (self._guests, self._appliance):
            loop.remove_reader(end)
            end.close()
        if self._timer is not None:
            self._timer.cancel()
        self._late.clear()

    def _from_guests(self) -> None:
        for frame in _frames(self._guests):
            if self._survives(self.to_appliance):
                _put(self._appliance, frame)

    def _from_appliance(self) -> None:
        due_s = asyncio.get_running_loop().time() + DELAY_S
        for frame in _frames(self._appliance):
            if self._survives(self.to_guests) and len(self._late) < QUEUE:
                self._late.append((due_s, frame))
        self._wait()

    def _survives(self, carried: Carried) -> bool:
        carried.frames += 1
        is_lost = self._random.random() < LOSS
        carried.lost += is_lost
        return not is_lost

    def _wait(self) -> None:
        if self._late and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._late[0][0], self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        while self._late and self._late[0][0] <= now_s:
            _put(self._guests, self._late.popleft()[1])
        self._wait()


def _ends(_ip: Any) -> tuple[socket.socket, socket.socket]:
    for end in BAD_WIRE:
        _send_whole_frames(f"{end}-port")
    guests, appliance = (_open(end) for end in BAD_WIRE)
    return guests, appliance


def _open(end: str) -> socket.socket:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    wire.bind((end, 0x0003))  # ETH_P_ALL
    wire.setblocking(False)
    return wire


def _send_whole_frames(port: str) -> None:
    """Have the kernel finish checksums and cut segments before a frame leaves by this port: no card does it later."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in _OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))  # struct ethtool_value
            fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP16x", port.encode(), ctypes.addressof(value)))


def _frames(end: socket.socket) -> Iterable[bytes]:
    for _ in range(_BURST):
        try:
            frame, address = end.recvfrom(FRAME_BYTES)
        except BlockingIOError:
            return
        if address[2] != socket.PACKET_OUTGOING:  # a frame that we sent
            yield frame


def _put(end: socket.socket, frame: bytes) -> None:
    with suppress(OSError):  # a full queue loses frames too, as this wire should
        end.send(frame)
