"""Receives and sends UDP datagrams of one port on one interface without a UDP socket: another server has the port.

Receives only datagrams that a UDP socket would receive: with a valid checksum, to one of our addresses or a broadcast
address, in this VLAN. A frame that still has the tag of another VLAN is dropped; serve `eth0.100` for that VLAN. The
kernel joins fragments, routes what is sent, resolves addresses and adds the tag of a VLAN interface. Use this only for
port 67 beside another DHCP server: if no UDP socket is bound to the port, the kernel also sends "port unreachable" to a
client that uses unicast.

packet(7), raw(7), udp(7) of the Linux manual; <linux/if_packet.h> for numbers.
"""

import socket
from contextlib import ExitStack
from ipaddress import IPv4Address
from struct import Struct
from typing import Any, Final

from netboot.errors import PortError
from netboot.model.host.network import Interface
from netboot.serve.net import frame_receiver
from netboot.serve.net.frame_receiver import ANCILLARY_BYTES, FrameLoss, Instruction
from netboot.serve.net.udp import Address, Datagram, DatagramPort, enlarge_receive_buffer, error_name
from netboot.telemetry.metrics import Metrics
from netboot.wire.dhcp.message import BROADCAST
from netboot.wire.frames import UdpDatagram, write

_SOL_PACKET, _PACKET_FANOUT = 263, 18
_JOINED_FRAGMENTS: Final = Struct("=HH").pack(0, 0xA000)  # a group of its own: FLAG_DEFRAG, FLAG_UNIQUEID (Linux 4.12)
_RAW: Final = socket.SOCK_RAW | socket.SOCK_NONBLOCK


class PacketSocket(DatagramPort):
    """A packet socket that receives and a raw socket that sends."""

    _ancillary_bytes = ANCILLARY_BYTES

    def __init__(self, port: int, interface: Interface, *, counters: Metrics) -> None:
        """Open both; raise PortError if the right (CAP_NET_RAW) or the interface is missing or down."""
        super().__init__(port, interface, counters=counters)
        broadcast_addresses = {each.broadcast_address for each in interface.networks}
        self._accepted = {BROADCAST, *interface.addresses, *broadcast_addresses}
        try:
            with ExitStack() as on_failure:
                self._receiver = on_failure.enter_context(frame_receiver.opened())
                self._sender = on_failure.enter_context(socket.socket(socket.AF_INET, _RAW, socket.IPPROTO_RAW))
                self._set_options()
                on_failure.pop_all()
        except OSError as error:
            raise PortError(
                f"cannot take frames of UDP port {port} on {interface.name}: {error.strerror}; "
                "set the interface up, give the daemon CAP_NET_RAW, as netboot.service does, or use dhcp.listen: udp"
            ) from error

    def _set_options(self) -> None:
        enlarge_receive_buffer(self._receiver)
        frame_receiver.receive_frames(self._receiver, self.interface.name, _filter(self.port))
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
        datagram = frame_receiver.read_frame(data, ancillary)
        if isinstance(datagram, FrameLoss):
            self._lost(datagram.value)
            return None
        if datagram.destination not in self._accepted:
            return None  # for a machine that this appliance routes for
        return Datagram(datagram.data, (str(datagram.source), datagram.source_port), str(datagram.destination))


def _filter(port: int) -> tuple[Instruction, ...]:
    """Write the kernel's filter: UDP to `port`."""
    # fmt: off
    return (
        (0x30, 0, 0, 9),        # load the protocol
        (0x15, 0, 4, 17),       # UDP, else drop
        (0xB1, 0, 0, 0),        # X = length of the IP header
        (0x48, 0, 0, 2),        # load the destination port
        (0x15, 0, 1, port),     # ours, else drop
        (0x06, 0, 0, 0xFFFF),   # keep
        (0x06, 0, 0, 0),        # drop
    )
    # fmt: on
