"""Receives and sends UDP datagrams of one port on one interface without a UDP socket: another server has the port.

Receives only datagrams that a UDP socket would receive: with a valid checksum, to one of our addresses or a broadcast
address, in this VLAN. A frame that still has the tag of another VLAN is dropped; serve `eth0.100` for that VLAN. The
kernel joins fragments, routes what is sent, resolves addresses and adds the tag of a VLAN interface. Use this only for
port 67 beside another DHCP server: if no UDP socket is bound to the port, the kernel also sends "port unreachable" to a
client that uses unicast.

packet(7), raw(7), udp(7) of the Linux manual; <linux/if_packet.h>, <linux/filter.h> for numbers.
"""

import ctypes
import socket
from contextlib import ExitStack
from ipaddress import IPv4Address
from struct import Struct
from typing import Any, Final

from netboot.errors import PortError
from netboot.model.host.network import Interface
from netboot.serve.net.udp import Address, Datagram, DatagramPort, enlarge_receive_buffer, error_name
from netboot.telemetry.metrics import Metrics
from netboot.wire.dhcp.message import BROADCAST
from netboot.wire.frames import UdpDatagram, read, write

_ETH_P_IP: Final = 0x0800
_SOL_PACKET, _PACKET_AUXDATA, _PACKET_FANOUT = 263, 8, 18
_JOINED_FRAGMENTS: Final = Struct("=HH").pack(0, 0xA000)  # a group of its own: FLAG_DEFRAG, FLAG_UNIQUEID (Linux 4.12)
_SO_ATTACH_FILTER = 26
_DATAGRAMS: Final = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
_RAW: Final = socket.SOCK_RAW | socket.SOCK_NONBLOCK
_AUXDATA: Final = Struct("=IIIHHHH")  # status, lengths, offsets, VLAN's tag and protocol
_CHECKSUM_NOT_MADE, _VLAN_VALID, _CHECKSUM_VALID = 1 << 3, 1 << 4, 1 << 7
_VLAN_ID: Final = 0x0FFF
_INSTRUCTION: Final = Struct("=HBBI")
_PROGRAM: Final = Struct("@HP")


class PacketSocket(DatagramPort):
    """A packet socket that receives and a raw socket that sends."""

    _ancillary_bytes = socket.CMSG_SPACE(_AUXDATA.size)

    def __init__(self, port: int, interface: Interface, *, counters: Metrics) -> None:
        """Open both; raise PortError if the right (CAP_NET_RAW) or the interface is missing or down."""
        super().__init__(port, interface, counters=counters)
        broadcast_addresses = {each.broadcast_address for each in interface.networks}
        self._accepted = {BROADCAST, *interface.addresses, *broadcast_addresses}
        try:
            with ExitStack() as on_failure:
                self._receiver = on_failure.enter_context(socket.socket(socket.AF_PACKET, _DATAGRAMS, 0))
                self._sender = on_failure.enter_context(socket.socket(socket.AF_INET, _RAW, socket.IPPROTO_RAW))
                self._set_options()
                on_failure.pop_all()
        except OSError as error:
            raise PortError(
                f"cannot take frames of UDP port {port} on {interface.name}: {error.strerror}; "
                "set the interface up, give the daemon CAP_NET_RAW, as netboot.service does, or use dhcp.listen: udp"
            ) from error

    def _set_options(self) -> None:
        _attach(self._receiver, _filter(self.port))
        self._receiver.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        enlarge_receive_buffer(self._receiver)
        # The socket was opened with protocol 0, which receives nothing: no frame arrives before the filter is attached.
        self._receiver.bind((self.interface.name, _ETH_P_IP))
        self._receiver.setsockopt(_SOL_PACKET, _PACKET_FANOUT, _JOINED_FRAGMENTS)  # before Linux 6.13: if it is up
        self._sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.name.encode())

    def close(self) -> None:
        """Close both sockets; a second call does nothing."""
        super().close()
        self._sender.close()

    def send(self, data: bytes, to: Address, *, source: bytes) -> bool:
        """Send on this interface from the address `source` (4 bytes); return False and count it if that fails."""
        packet = write(UdpDatagram(IPv4Address(source), self.port, IPv4Address(to[0]), to[1], data))
        try:
            self._sender.sendto(packet, (to[0], 0))
        except OSError as error:
            self._lost(error_name(error))
            return False
        return True

    def _read(self, received: tuple[bytes, bytes, Any]) -> Datagram | None:
        """Read a frame from its IP header on; None if a UDP socket would not receive it either."""
        data, ancillary, sender = received
        if sender[2] not in (socket.PACKET_HOST, socket.PACKET_BROADCAST):
            return None  # our own, or another machine's
        status, _, _, _, _, tag, _ = _AUXDATA.unpack(ancillary)
        if status & _VLAN_VALID and tag & _VLAN_ID:
            self._lost("other-vlan")
            return None
        datagram = read(data, is_verified=bool(status & (_CHECKSUM_NOT_MADE | _CHECKSUM_VALID)))
        if datagram is None:
            self._lost("malformed")
            return None
        if datagram.destination not in self._accepted:
            return None  # for a machine that this appliance routes for
        return Datagram(datagram.data, (str(datagram.source), datagram.source_port), str(datagram.destination))


def _filter(port: int) -> bytes:
    """Write the kernel's filter, classic BPF over a packet from its IP header on: UDP to `port`."""
    # fmt: off
    program = (
        (0x30, 0, 0, 9),        # load the protocol
        (0x15, 0, 4, 17),       # UDP, else drop
        (0xB1, 0, 0, 0),        # X = length of the IP header
        (0x48, 0, 0, 2),        # load the destination port
        (0x15, 0, 1, port),     # ours, else drop
        (0x06, 0, 0, 0xFFFF),   # keep
        (0x06, 0, 0, 0),        # drop
    )
    # fmt: on
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)


def _attach(receiver: socket.socket, program: bytes) -> None:
    held = ctypes.create_string_buffer(program, len(program))
    pointer = _PROGRAM.pack(len(program) // _INSTRUCTION.size, ctypes.addressof(held))
    receiver.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)
