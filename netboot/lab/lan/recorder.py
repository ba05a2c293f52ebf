"""Keeps what the lab's firmware says: the UDP datagrams of DHCP, 4011 and TFTP requests as they cross the bridge.

Listens only. A capture is text that is read and kept beside the tests: a story, then the payload in hex, with
`[00*n]` for n zero bytes.
"""

import asyncio
import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from netboot.lab.lan.namespaces import Lan, within

DATAGRAMS: Final = 10_000  # kept; what comes later is not
PORTS: Final = frozenset({67, 68, 69, 4011})
_ETHERNET_BYTES = 14
_UDP = 17
_BURST = 64


@dataclass(frozen=True, slots=True)
class Recorded:
    """One datagram; the addresses are (IPv4, port)."""

    mac: str  # of who sent it
    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes

    def capture(self, story: str) -> str:
        """Return it as the text of a capture."""
        where = "{}:{} -> {}:{}".format(*self.source, *self.destination)
        return f"# {story}\n# {where}, from {self.mac}. [00*n] stands for n zero bytes.\n{short_hex(self.payload)}\n"


class Recorder:
    """Listens on the bridge of the guests."""

    def __init__(self, lan: Lan) -> None:
        self.datagrams: list[Recorded] = []
        self._socket = within(lan.namespace, lambda _ip: _open(lan.guests_bridge))

    def start(self) -> None:
        """Record from now on, in the running loop."""
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        """Stop; what was recorded stays."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        for _ in range(_BURST):
            try:
                frame = self._socket.recv(65_536)
            except BlockingIOError:
                return
            found = datagram_in(frame)
            if found is not None and len(self.datagrams) < DATAGRAMS:
                self.datagrams.append(found)


def datagram_in(frame: bytes) -> Recorded | None:
    """Read one Ethernet frame; None unless it is whole IPv4 and UDP to or from a port of a boot."""
    packet = frame[_ETHERNET_BYTES:]
    if frame[12:14] != b"\x08\x00" or len(packet) < 28 or packet[9] != _UDP or packet[6] & 0x3F or packet[7]:
        return None
    udp = packet[(packet[0] & 0xF) * 4 :]
    ports = int.from_bytes(udp[:2], "big"), int.from_bytes(udp[2:4], "big")
    if not PORTS.intersection(ports):
        return None
    source, destination = (str(IPv4Address(packet[at : at + 4])) for at in (12, 16))
    payload = udp[8 : int.from_bytes(udp[4:6], "big")]
    return Recorded(frame[6:12].hex(":"), (source, ports[0]), (destination, ports[1]), payload)


def short_hex(data: bytes) -> str:
    """Write bytes in hex, a run of 8 zero bytes or more as `[00*n]`."""
    pairs = " ".join(f"{byte:02x}" for byte in data)  # apart, so that a run begins at a whole byte
    runs = re.sub(r"\b00(?: 00){7,}\b", lambda run: f"[00*{(len(run[0]) + 1) // 3}]", pairs)
    return runs.replace(" ", "")


def _open(bridge: str) -> socket.socket:
    listening = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    listening.bind((bridge, 0x0003))  # ETH_P_ALL
    listening.setblocking(False)
    return listening
