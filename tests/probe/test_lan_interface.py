"""The interface of simulated machines: refusals, loss, frames, and that nothing remains of a run."""

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface
from random import Random

import pytest
from fixtures.lan import Lan, a_lan
from fixtures.simulated import addresses_of, on_lan
from netns import inside
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from netboot.probe.lan.impairment import ImpairedLink, Impairment
from netboot.probe.lan.lan_errors import LanInterfaceError
from netboot.probe.lan.lan_interface import LanInterface
from netboot.probe.lan.udp_frames import Way, udp_frame, xid_of_frame

pytestmark = pytest.mark.integration

SERVER = IPv4Address("192.0.2.10")


@pytest.fixture
def lan() -> Iterator[Lan]:
    with a_lan(("192.0.2.10/24", "192.0.2.50/24")) as made:
        yield made


def test_a_frame_has_the_headers_that_scapy_computes() -> None:
    way = Way(bytes.fromhex("525400aabb01"), source=SERVER, source_port=67, destination_port=68)
    frame = udp_frame(b"abc", way)
    expected = (
        Ether(src="52:54:00:aa:bb:01", dst="ff:ff:ff:ff:ff:ff")
        / IP(src="192.0.2.10", dst="255.255.255.255", id=0)
        / UDP(sport=67, dport=68)
        / b"abc"
    )

    assert frame == bytes(expected)
    assert xid_of_frame(frame) is None
    assert xid_of_frame(b"") is None


def test_loss_and_delay_are_the_same_for_the_same_seed() -> None:
    impairment = Impairment(loss=0.5, delay_s=0.25, bytes_per_s=1000)
    runs = [[ImpairedLink(impairment, Random(seed)).transit_s(500)] for seed in (1, 1, 2)]
    link = ImpairedLink(impairment, Random(7))
    passed = [link.transit_s(500) for _ in range(400)]

    assert runs[0] == runs[1]
    assert 150 < passed.count(None) < 250
    assert set(passed) == {None, 0.75}
    assert ImpairedLink().transit_s(10**9) == 0


def test_an_interface_that_does_not_exist_is_refused_with_those_that_do(lan: Lan) -> None:
    with pytest.raises(LanInterfaceError, match=r"cannot open none0: .*; choose one of c0"):
        on_lan(lan, nothing, interface="none0")


def test_the_appliance_itself_is_refused(lan: Lan) -> None:
    held = [lan.client_socket(port) for port in (69, 4011)]

    with pytest.raises(
        LanInterfaceError, match=r"this computer is the appliance on c0, .* another computer of the LAN"
    ):
        on_lan(lan, nothing)

    for each in held:
        each.close()
    on_lan(lan, nothing)


def test_addresses_and_routes_of_a_run_are_removed_also_if_it_is_cancelled(lan: Lan) -> None:
    async def scenario(interface: LanInterface) -> None:
        for _ in range(2):
            await interface.add_address(IPv4Interface("192.0.2.77/24"))
        await interface.add_address(IPv4Interface("192.0.2.50/24"))
        await interface.reach(SERVER)
        await interface.reach(IPv4Address("203.0.113.9"), gateway=IPv4Address("192.0.2.1"))
        await interface.reach(IPv4Address("203.0.113.10"))
        await interface.remove_address(IPv4Address("192.0.2.77"))
        assert sorted(addresses_of(lan)) == ["192.0.2.50/24", "192.0.2.50/32", "192.0.2.77/32"]
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        on_lan(lan, scenario)

    assert addresses_of(lan) == ["192.0.2.50/24"]
    assert routes(lan) == []


def test_the_replies_of_a_transaction_arrive_once_it_is_awaited(lan: Lan) -> None:
    message = b"\2\1\6\0" + (0x01020304).to_bytes(4, "big") + bytes(240)

    async def scenario(interface: LanInterface) -> bytes:
        with lan_socket(lan) as server, interface.replies(0x01020304) as queue:
            with pytest.raises(ValueError, match="transaction 01020304 is in use"), interface.replies(0x01020304):
                pass
            server.sendto(message, ("192.0.2.255", 67))  # not to port 68
            server.sendto(message, ("192.0.2.255", 68))
            return await asyncio.wait_for(queue.get(), 5)

    frame = on_lan(lan, scenario)

    assert xid_of_frame(frame) == 0x01020304
    assert frame[-len(message) :] == message


async def nothing(_: LanInterface) -> None:
    """Do nothing."""


def routes(lan: Lan) -> list[str]:
    """List the routes that lead beyond the wire's network."""
    command = ["ip", "-n", lan.client, "route", "show"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout
    return [line for line in found.splitlines() if not line.startswith("192.0.2.0/24")]


def lan_socket(lan: Lan) -> socket.socket:
    """Open a socket of the server's that may broadcast."""
    with inside(lan.server):
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    return opened
