"""Probe the LAN for an address before it is leased: ARP probes on one interface.

Sent from 0.0.0.0, so that no neighbour learns a wrong entry. Never waits longer than `PROBE_S`: ROMs continue after
one to four seconds.

RFC 5227 §2.1.1 (probe), §1.1 (what counts as an answer) · RFC 826 (the frame).
"""

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address
from struct import Struct
from typing import Final

from netboot.errors import PortError
from netboot.model.host.mac import Mac
from netboot.model.host.network import Interface
from netboot.telemetry.metrics import Metrics

PROBE_S: Final = 0.4
PROBES: Final = 2
FRAMES_PER_WAKE: Final = 64

_ETHERTYPE: Final = 0x0806
_FRAME: Final = Struct("!6s6sH HHBBH 6s4s6s4s")
_EVERYBODY: Final = b"\xff" * 6
_ETHERNET, _IPV4, _REQUEST, _REPLY = 1, 0x0800, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class _Probe:
    besides: Mac | None
    answered: asyncio.Future[Mac]


class ArpProber:
    """One packet socket; any number of probes at a time."""

    def __init__(self, interface: Interface, *, counters: Metrics) -> None:
        """Open the socket; raise PortError if the right to (CAP_NET_RAW) or the interface is missing."""
        self._counters = counters
        self._waiting: dict[IPv4Address, list[_Probe]] = {}
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK)
        try:
            self._socket.bind((interface.name, _ETHERTYPE))
        except OSError as error:
            self._socket.close()
            raise PortError(
                f"cannot watch ARP on {interface.name}: {error.strerror}; give the daemon CAP_NET_RAW"
            ) from error
        self._mac: bytes = self._socket.getsockname()[4]
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._drain)

    def close(self) -> None:
        """Close the socket; running probes end without an answer."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    async def holder(self, address: IPv4Address, *, besides: Mac | None) -> Mac | None:
        """Find the holder of an address, `besides` the machine that requests it; None without an answer in time."""
        probe = _Probe(besides, self._loop.create_future())
        probes = self._waiting.setdefault(address, [])
        probes.append(probe)
        try:
            for _ in range(PROBES):
                self._send_request(address)
                await asyncio.wait((probe.answered,), timeout=PROBE_S / PROBES)
                if probe.answered.done():
                    return probe.answered.result()
            return None
        finally:
            probes.remove(probe)
            if not probes:
                self._waiting.pop(address, None)

    def _send_request(self, address: IPv4Address) -> None:
        frame = _FRAME.pack(
            _EVERYBODY, self._mac, _ETHERTYPE,
            _ETHERNET, _IPV4, 6, 4, _REQUEST,
            self._mac, bytes(4), bytes(6), address.packed,
        )  # fmt: skip
        try:
            self._socket.send(frame)
        except OSError:  # the link is down: no client gets our offer either
            self._counters.count("lease_probes_lost")

    def _drain(self) -> None:
        for _ in range(FRAMES_PER_WAKE):
            try:
                frame, sender = self._socket.recvfrom(64)
            except OSError:
                return
            if len(frame) < _FRAME.size or sender[2] == socket.PACKET_OUTGOING:
                continue
            *_, hardware, protocol, _, _, _, mac, address, _, _ = _FRAME.unpack_from(frame)
            if (hardware, protocol) == (_ETHERNET, _IPV4) and any(address):
                self._heard(mac, IPv4Address(address))

    def _heard(self, raw: bytes, address: IPv4Address) -> None:
        """Process an ARP frame, request or reply, in which a machine claims an address."""
        waiting = self._waiting.get(address)
        if not waiting or raw == self._mac:
            return
        try:
            mac = Mac.from_bytes(raw)
        except ValueError:
            return
        for probe in waiting:
            if mac != probe.besides and not probe.answered.done():
                probe.answered.set_result(mac)
