"""One interface for many simulated machines: frames out with any MAC, replies in by DHCP transaction, addresses.

One packet socket receives for all machines: it is promiscuous, and a filter in the kernel keeps only
datagrams to port 68. Never waits, and starts no thread.
"""

import asyncio
import errno
import fcntl
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from ipaddress import IPv4Address, IPv4Interface
from random import Random
from struct import Struct
from typing import Final, Self

from netboot.model.host.mac import Mac
from netboot.probe.lan.impairment import NO_IMPAIRMENT, ImpairedLink, Impairment
from netboot.probe.lan.lan_addresses import RIGHTS, LanAddresses
from netboot.probe.lan.lan_errors import LanInterfaceError
from netboot.probe.lan.udp_frames import BOOT_SERVER_PORT, Way, announcement, receive_replies, udp_frame, xid_of_frame

_ETH_P_IP: Final = 0x0800
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PROMISCUOUS = 263, 1, 1  # <linux/if_packet.h>
_MEMBERSHIP: Final = Struct("=iHH8s")
_SO_RCVBUFFORCE: Final = 33
_BUFFER_BYTES: Final = 8 << 20
_LARGEST_FRAME: Final = 65_535
_FRAMES_PER_WAKE: Final = 64
_REPLIES_HELD: Final = 64  # of one transaction; more are dropped
_TFTP_PORT: Final = 69
_SIOCGIFMTU: Final = 0x8921
_IFREQ: Final = Struct("=16si20x")


class LanInterface:
    """An interface through which simulated machines send; made by `LanInterface.open`."""

    def __init__(self, name: str, link: ImpairedLink) -> None:
        self.name = name
        self.link = link
        self.index = socket.if_nametoindex(name)
        self.mtu = _mtu(name)
        self._addresses = LanAddresses(name, self.index)
        self._queues: dict[int, asyncio.Queue[bytes]] = {}
        self._at_exit: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self.mac = self._listen()
        except OSError:
            self._socket.close()
            raise

    @classmethod
    @asynccontextmanager
    async def open(
        cls, name: str, *, impairment: Impairment = NO_IMPAIRMENT, seed: int | None = None
    ) -> AsyncIterator[Self]:
        """Open an interface; at the end, release every lease and remove every address and route.

        Raises LanInterfaceError if the interface is missing or is the appliance's own, or without the rights.
        """
        _refuse_own_appliance(name)
        try:
            lan = cls(name, ImpairedLink(impairment, Random(seed)))  # noqa: S311 - which datagrams are lost, no secret
        except OSError as error:
            raise LanInterfaceError(f"cannot open {name}: {error.strerror}; {_cure(name, error)}") from error
        try:
            await lan._addresses.open()
            lan._loop.add_reader(lan._socket.fileno(), lan._drain)
            yield lan
        finally:
            await asyncio.shield(lan._close())

    def send(self, frame: bytes) -> None:
        """Send a frame, as the impairment lets it through; a link that is down loses it."""
        transit_s = self.link.transit_s(len(frame))
        if transit_s is None:
            return
        if transit_s:
            self._loop.call_later(transit_s, self._send_now, frame)
        else:
            self._send_now(frame)

    def send_datagram(self, payload: bytes, way: Way) -> None:
        """Send one UDP datagram below the IP stack of this computer."""
        self.send(udp_frame(payload, way))

    def send_at_once(self, payload: bytes, way: Way) -> None:
        """Send one UDP datagram past the impairment: a RELEASE leaves before the interface is closed."""
        self._send_now(udp_frame(payload, way))

    @contextmanager
    def replies(self, xid: int) -> Iterator[asyncio.Queue[bytes]]:
        """Receive the frames of one DHCP transaction while the context is open."""
        if xid in self._queues:
            raise ValueError(f"transaction {xid:08x} is in use")
        queue = self._queues[xid] = asyncio.Queue(_REPLIES_HELD)
        try:
            yield queue
        finally:
            del self._queues[xid]

    def new_xid(self) -> int:
        """Draw a transaction that no other machine of this interface uses."""
        while (xid := secrets.randbits(32)) in self._queues:  # not repeated with the seed: a server remembers it
            pass
        return xid

    async def add_address(self, address: IPv4Interface) -> None:
        """Add a machine's address to the interface as /32, and announce that this computer's card has it.

        A DHCP server that sends an ACK to the machine's own MAC enters that in its ARP table (dnsmasq does), and this
        computer takes no packet to that MAC for the sockets of the machine.
        """
        await self._addresses.add(address)
        self._send_now(announcement(self.mac, address.ip))

    async def remove_address(self, address: IPv4Address) -> None:
        """Remove an address after its last use."""
        await self._addresses.remove(address)

    async def reach(self, server: IPv4Address, *, gateway: IPv4Address | None = None) -> None:
        """Add the route that sockets bound to a machine's address need to reach a server, if there is none."""
        await self._addresses.reach(server, gateway)

    def call_at_exit(self, action: Callable[[], None]) -> None:
        """Call `action` when the interface is closed, before addresses are removed."""
        self._at_exit.append(action)

    def _listen(self) -> Mac:
        receive_replies(self._socket)
        self._socket.bind((self.name, _ETH_P_IP))
        membership = _MEMBERSHIP.pack(self.index, _PROMISCUOUS, 0, b"")
        self._socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        with suppress(PermissionError):  # then the buffer of the kernel's default size
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        return Mac.from_bytes(self._socket.getsockname()[4])

    def _send_now(self, frame: bytes) -> None:
        try:
            self._socket.send(frame)
        except OSError as error:
            if error.errno not in (errno.ENETDOWN, errno.ENOBUFS, errno.EAGAIN, errno.EBADF):
                raise

    def _drain(self) -> None:
        for _ in range(_FRAMES_PER_WAKE):
            try:
                frame, sender = self._socket.recvfrom(_LARGEST_FRAME)
            except OSError:
                return
            if sender[2] == socket.PACKET_OUTGOING:
                continue
            xid = xid_of_frame(frame)
            queue = self._queues.get(xid) if xid is not None else None
            if queue is not None and (transit_s := self.link.transit_s(len(frame))) is not None:
                self._loop.call_later(transit_s, _put, queue, frame) if transit_s else _put(queue, frame)

    async def _close(self) -> None:
        for action in self._at_exit:
            action()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        await self._addresses.close()


def _mtu(name: str) -> int:
    """Read the MTU by an ioctl, because /sys shows the interfaces of the namespace in which it was mounted."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, _SIOCGIFMTU, _IFREQ.pack(name.encode(), 0))
    return int(_IFREQ.unpack(answer)[1])


def _put(queue: asyncio.Queue[bytes], frame: bytes) -> None:
    with suppress(asyncio.QueueFull):
        queue.put_nowait(frame)


def _cure(name: str, error: OSError) -> str:
    if error.errno in (errno.EPERM, errno.EACCES):
        return RIGHTS
    names = [each for _, each in socket.if_nameindex() if each != "lo"]
    return f"set the interface up: ip link set {name} up" if name in names else f"choose one of {', '.join(names)}"


def _refuse_own_appliance(name: str) -> None:
    """Raise LanInterfaceError if this computer serves TFTP and port 4011 on the interface: it gets no frame of ours."""
    if all(_is_taken(name, port) for port in (_TFTP_PORT, BOOT_SERVER_PORT)):
        raise LanInterfaceError(
            f"this computer is the appliance on {name}, and its services receive no frame that it sends itself; run "
            "simulate from another computer of the LAN, or in a network namespace that is connected to it"
        )


def _is_taken(name: str, port: int) -> bool:
    """Return whether another socket has the port on this interface; ports of other interfaces do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode() + b"\0")
            tried.bind(("0.0.0.0", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
        return False
