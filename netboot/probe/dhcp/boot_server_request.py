"""The request to port 4011, from the machine's own address: EDK2 sends it from port 4011, ROM and iPXE from port 68.

[edk2 PxeBcDhcp4.c: PxeBcRetryBinlOffer; ipxe net/udp/dhcp.c: dhcp_proxy_rx; PXE 2.1]; EDK2's waits are measured.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.dhcp_answer import ACK, OFFER, DhcpAnswer, answer_of_datagram
from netboot.probe.dhcp.dhcp_exchange import DhcpExchange
from netboot.probe.firmwares.dhcp_client import DhcpClient, DhcpRules, MessageKind
from netboot.probe.firmwares.message_form import Values
from netboot.probe.lan.lan_errors import LanInterfaceError
from netboot.probe.lan.udp_frames import BOOT_SERVER_PORT, CLIENT_PORT
from netboot.probe.machine import SimulatedMachine

_LARGEST = 65_535
_EDK2_LEAST_S = 2  # a quick answer costs EDK2 two seconds


async def request_from_boot_server(
    machine: SimulatedMachine, client: DhcpClient, exchange: DhcpExchange, proxy: DhcpAnswer
) -> DhcpAnswer | None:
    """Request the boot file from port 4011 of an offer's server; None if it does not reply in time."""
    is_edk2 = client.rules is DhcpRules.EDK2
    server = proxy.boot_server if is_edk2 else proxy.server
    xid = machine.lan.new_xid() if is_edk2 else exchange.xid
    assert machine.address is not None
    loop, began_s = asyncio.get_running_loop(), machine.timeline.now_s
    began = loop.time()
    with bound_socket(machine.address, BOOT_SERVER_PORT if is_edk2 else CLIENT_PORT) as opened:
        elapsed_s = 0.0
        for wait_s in client.timing.boot_request_s:
            values = Values(
                machine.mac, machine.uuid, xid, secs=_secs(exchange, is_edk2=is_edk2, elapsed_s=elapsed_s),
                ciaddr=machine.address, server=server,
            )  # fmt: skip
            message = client.message(MessageKind.BOOT_REQUEST, values)
            await _send(machine, opened, message, server)
            answer = await _answer(machine, opened, exchange, xid=xid, wait_s=machine.behaviour.wait_s(wait_s))
            elapsed_s += wait_s
            if answer is not None:
                if is_edk2:
                    await asyncio.sleep(max(0.0, machine.behaviour.wait_s(_EDK2_LEAST_S) - (loop.time() - began)))
                text = f"got the reply of {answer} from port {BOOT_SERVER_PORT}"
                machine.timeline.add(Step.PXE_REQUEST, text, size_bytes=len(answer.data), since_s=began_s)
                return answer
    return None


def _secs(exchange: DhcpExchange, *, is_edk2: bool, elapsed_s: float) -> int:
    """EDK2 writes these seconds in the other byte order."""
    return int(elapsed_s) << 8 if is_edk2 else exchange.secs(elapsed_s)


@contextmanager
def bound_socket(address: IPv4Address, port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((str(address), port))
        except OSError as error:
            cure = f"end the DHCP or PXE program of this computer that has port {port}: ss -ulnp sport = :{port}"
            raise LanInterfaceError(f"cannot bind {address}:{port}: {error.strerror}; {cure}") from error
        yield opened


async def _send(machine: SimulatedMachine, opened: socket.socket, message: bytes, server: IPv4Address) -> None:
    text = f"sent REQUEST to {server}, port {BOOT_SERVER_PORT}"
    machine.timeline.add(Step.PXE_REQUEST, text, size_bytes=len(message))
    for _ in range(2 if machine.behaviour.duplicates else 1):
        transit_s = machine.lan.link.transit_s(len(message))
        if transit_s is not None:
            await asyncio.sleep(transit_s)
            try:
                await asyncio.get_running_loop().sock_sendto(opened, message, (str(server), BOOT_SERVER_PORT))
            except OSError as error:
                what = f"cannot send to {server}, port {BOOT_SERVER_PORT}: {error.strerror}"
                cure = "verify routes and firewall of this computer: ip route get"
                raise BootFailedError(Step.PXE_REQUEST, what, cure=cure) from error


async def _answer(
    machine: SimulatedMachine, opened: socket.socket, exchange: DhcpExchange, *, xid: int, wait_s: float
) -> DhcpAnswer | None:
    """Receive until the reply of this request, which comes from port 4011; None at the deadline."""
    try:
        async with asyncio.timeout(wait_s):
            while True:
                data, source = await asyncio.get_running_loop().sock_recvfrom(opened, _LARGEST)
                transit_s = machine.lan.link.transit_s(len(data))
                answer = answer_of_datagram(data, source) if transit_s is not None else None
                if answer is None or answer.xid != xid or not exchange.is_for_us(answer):
                    continue
                if answer.source_port == BOOT_SERVER_PORT and answer.kind in (ACK, OFFER):
                    await asyncio.sleep(transit_s or 0.0)
                    return answer
    except TimeoutError:
        return None
