"""The sockets of the examination: a boot server's hostile replies, and floods."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from ipaddress import IPv4Address
from typing import Any

import pytest
from fixtures.daemon import wait_until
from fixtures.examined_lan import ExaminedLan
from fixtures.packets import message
from netns import inside
from scapy.layers.l2 import ARP, Ether

from netboot.doctor.lan.packets.boot_servers import BootServerQueries
from netboot.doctor.lan.packets.lan_socket import LanFrame, LanSocket
from netboot.doctor.lan.packets.sent_packets import BOOT_SERVERS
from netboot.doctor.listening.dhcp_listener import DhcpListener
from netboot.doctor.paced_reader import FRAMES_PER_TURN
from netboot.errors import PortError
from netboot.model.host.mac import Mac

pytestmark = pytest.mark.integration

MAC = Mac.parse("02:6e:62:00:00:01")
OURS = IPv4Address("127.0.0.1")


def boot_server(address: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((address, 4011))
    opened.settimeout(5)
    return opened


def test_only_the_ack_of_a_queried_server_names_its_boot_file() -> None:
    async def scenario() -> dict[IPv4Address, str | None]:
        with boot_server("127.0.0.2") as server, boot_server("127.0.0.3") as other:
            queries = BootServerQueries("lo", OURS, MAC)
            try:
                queries.send([IPv4Address("127.0.0.2")] * 2)
                request, client = await asyncio.to_thread(server.recvfrom, 4096)
                xid = int.from_bytes(request[4:8], "big")
                server.sendto(b"\x02", client)
                server.sendto(message([(53, b"\5"), (67, b"a")], op=2, xid=xid ^ 1), client)
                server.sendto(message([(53, b"\6"), (67, b"b")], op=2, xid=xid), client)
                other.sendto(message([(53, b"\5"), (67, b"c")], op=2, xid=xid), client)
                await asyncio.sleep(0.2)
                assert queries.answers == {IPv4Address("127.0.0.2"): None}
                server.sendto(message([(53, b"\5"), (67, b"d\x1b")], op=2, xid=xid), client)
                await asyncio.sleep(0.2)
                return queries.answers
            finally:
                queries.close()

    assert asyncio.run(scenario()) == {IPv4Address("127.0.0.2"): r"d\x1b"}


def test_no_more_than_some_servers_are_queried() -> None:
    async def scenario() -> int:
        queries = BootServerQueries("lo", OURS, MAC)
        queries.send(IPv4Address(f"127.0.0.{number}") for number in range(2, 20))
        queries.close()
        return len(queries.answers)

    assert asyncio.run(scenario()) == BOOT_SERVERS


def test_an_address_that_this_appliance_does_not_have_is_an_error() -> None:
    async def scenario() -> None:
        BootServerQueries("lo", IPv4Address("192.0.2.77"), MAC)

    with pytest.raises(OSError, match="assign"):
        asyncio.run(scenario())


def flooded(lan: ExaminedLan, opened: Callable[[list[object]], Any], send: Callable[[], None], frames: int) -> int:
    """Send frames to the appliance's open socket; return how many it received until it was closed."""

    async def scenario() -> int:
        received: list[object] = []
        listener = opened(received)
        for _ in range(frames):
            send()
        await asyncio.to_thread(wait_until, lambda: len(received) >= frames or None)
        for _ in range(frames):
            send()
        await asyncio.sleep(0.01)
        listener.close()  # also during its pause
        return len(received)

    with inside(lan.lan.server):
        return asyncio.run(scenario())


def test_a_flood_of_frames_is_read_with_pauses(lan: ExaminedLan) -> None:
    arp = Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:66") / ARP(psrc="192.0.2.66", pdst="192.0.2.10")

    def opened(received: list[object]) -> LanSocket:
        def keep(frame: LanFrame) -> None:
            if b"\x02\x00\x00\x00\x00\x66" in frame.data:
                received.append(frame)

        return LanSocket("s0", keep)

    assert flooded(lan, opened, lambda: lan.wire.send_frame(arp), 2 * FRAMES_PER_TURN) >= 2 * FRAMES_PER_TURN


def test_a_flood_of_datagrams_is_read_with_pauses(lan: ExaminedLan) -> None:
    def opened(received: list[object]) -> DhcpListener:
        return DhcpListener("s0", lambda *datagram: received.append(datagram))

    frames = 2 * FRAMES_PER_TURN
    assert flooded(lan, opened, lambda: lan.wire.send(b"dhcp"), frames) >= frames


@pytest.mark.parametrize("opened", [LanSocket, DhcpListener])
def test_a_missing_interface_is_one_clear_error(opened: Callable[..., Coroutine[Any, Any, None]]) -> None:
    async def scenario() -> None:
        opened("nosuch0", print)

    with pytest.raises(PortError, match="nosuch0: No such device; run it as root, or with CAP_NET_RAW"):
        asyncio.run(scenario())
