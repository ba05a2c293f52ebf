"""The bad wire loses 2 percent in each direction, and delays only frames to the guests."""

import asyncio
import secrets
import socket
import time
from collections.abc import Iterator

import pytest
from bad_wire import DELAY_S, BadWire
from lab_lans import FAR_BRIDGE, BadWireLan

from netboot.lab.lan.namespaces import BRIDGE, within

pytestmark = pytest.mark.integration

ETHERTYPE = 0x88B5  # IEEE 802, for experiments
FRAMES = 3000
FRAME = b"\xff" * 6 + bytes.fromhex("525400aabb01") + ETHERTYPE.to_bytes(2, "big") + bytes(50)


@pytest.fixture
def lan() -> Iterator[BadWireLan]:
    lan = BadWireLan(f"test{secrets.token_hex(2)}")
    try:
        lan.create()
        yield lan
    finally:
        lan.remove()


def on(lan: BadWireLan, bridge: str) -> socket.socket:
    def opened(_ip: object) -> socket.socket:
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        end.bind((bridge, ETHERTYPE))
        end.setblocking(False)
        return end

    return within(lan.namespace, opened)


async def carried(lan: BadWireLan, start: str, end: str) -> tuple[int, float]:
    """Send frames across in small bursts; count those that come, and time the first of them."""
    loop = asyncio.get_running_loop()
    came = 0
    with BadWire(lan), on(lan, start) as sender, on(lan, end) as receiver:
        began = time.monotonic()
        first_s = 0.0
        for _ in range(FRAMES // 20):
            for _ in range(20):
                sender.send(FRAME)
            await asyncio.sleep(0)
        try:
            while True:
                async with asyncio.timeout(1):
                    frame = await loop.sock_recv(receiver, 2048)
                if frame[12:14] == FRAME[12:14]:
                    first_s = first_s or time.monotonic() - began
                    came += 1
        except TimeoutError:
            pass
    return came, first_s


def test_towards_the_appliance_frames_are_lost_and_not_late(lan: BadWireLan):
    came, _ = asyncio.run(carried(lan, FAR_BRIDGE, BRIDGE))

    assert 0.97 < came / FRAMES < 0.99


def test_towards_the_guests_they_are_late_too(lan: BadWireLan):
    came, first_s = asyncio.run(carried(lan, BRIDGE, FAR_BRIDGE))

    assert first_s >= DELAY_S
    assert 1000 * 0.97 < came < FRAMES * 0.99  # a burst of 3000 may find the queue of 1000 full
