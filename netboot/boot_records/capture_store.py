"""Appends packets to the captures of boots, which are pcapng files. Blocks: one thread at a time.

Each packet gets an Ethernet frame, whose ends are the machine's MAC and `OUR_MAC`; the rest of it is as it was sent, or
a TCP segment with the head of an HTTP request. A capture has `LONGEST_CAPTURE_BYTES` at most: its first part and its
newest packets stay. docs/capture.md has the format.
"""

import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from netboot.boot_records.budgeted_batch import BudgetedBatch, Written
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.boot_records.record_files import PART, Owner, RecordKind, append, opened
from netboot.errors import WireError
from netboot.model.captured_packet import CapturedPacket, Endpoint, Protocol
from netboot.model.host.mac import Mac
from netboot.wire import frames, pcapng
from netboot.wire.pcapng import BlockType

LONGEST_CAPTURE_BYTES: Final = 2 << 20
FIRST_PART_BYTES: Final = 512 << 10  # of a capture that became too long
NEWEST_PART_BYTES: Final = 768 << 10
OUR_MAC: Final = bytes.fromhex("026e62000001")  # locally administered: packets are not received as frames
OPEN_CAPTURES: Final = 512  # whose state is in memory
FLOWS: Final = 64  # TCP connections of one capture whose position is in memory
_HEADERS_BYTES: Final = 14 + 20 + 8  # Ethernet, IP, UDP
_BROADCAST: Final = "255.255.255.255"
_BROADCAST_MAC: Final = b"\xff" * 6
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class ReceivedPacket(NamedTuple):
    """A packet, its machine and network card, and when the boot of that began, as of `ReceivedLine`.

    `lost`: how many packets of this machine before it were not taken.
    """

    owner: Owner
    began_at: datetime | None
    mac: Mac
    packet: CapturedPacket
    lost: int = 0


@dataclass(slots=True)
class _Capture:
    """What is known of a capture that is written: its interfaces, and how much of each connection it has."""

    interfaces: list[str] = field(default_factory=list)
    flows: OrderedDict[tuple[Endpoint, Endpoint], int] = field(default_factory=OrderedDict)
    size_bytes: int = 0

    def blocks_of(self, received: ReceivedPacket) -> bytes:
        """Write a packet, after its interface if that is new."""
        name = received.packet.interface
        new = b""
        if name not in self.interfaces:
            self.interfaces.append(name)
            new = pcapng.interface(name)
        return new + pcapng.packet(self._packet(received, self.interfaces.index(name)))

    def _packet(self, received: ReceivedPacket, interface: int) -> pcapng.Packet:
        packet = received.packet
        frame = _frame(received.mac, packet, self._ip_packet(packet))
        kept = frame if packet.kept_bytes is None else frame[: _HEADERS_BYTES + packet.kept_bytes]
        at_us = (packet.at - _EPOCH) // _MICROSECOND
        return pcapng.Packet(interface, at_us, kept, len(frame), packet.is_sent, packet.comment, received.lost)

    def _ip_packet(self, packet: CapturedPacket) -> bytes:
        ends = _address(packet.source[0]), packet.source[1], _address(packet.destination[0]), packet.destination[1]
        if packet.protocol is not Protocol.HTTP:
            return frames.write(frames.UdpDatagram(*ends, packet.data))
        # A request continues its connection; an answer, whose bytes are not kept, acknowledges all of it.
        flow = (packet.destination, packet.source) if packet.is_sent else (packet.source, packet.destination)
        sequence = self.flows.pop(flow, 1)
        self.flows[flow] = sequence + len(packet.data)
        while len(self.flows) > FLOWS:
            self.flows.popitem(last=False)
        numbers = (1, sequence) if packet.is_sent else (sequence, 1)
        return frames.write_segment(frames.TcpSegment(*ends, *numbers, packet.data))


class CaptureStore:
    def __init__(self, budget: DiskBudget, *, application: str) -> None:
        """`application` is named in each file."""
        self.budget = budget
        self._application = application
        self._open: OrderedDict[Path, _Capture] = OrderedDict()

    def write(self, batch: Iterable[ReceivedPacket]) -> Written:
        """Append packets to their captures; a fault of the disk drops them."""
        writes = BudgetedBatch(self.budget, file="capture", items="packets")
        for _, group in groupby(sorted(batch, key=_boot), key=_boot):
            packets = list(group)
            owner = packets[0].owner
            with writes.writing(owner, len(packets)):
                path = self.budget.path_of(owner, packets[0].began_at, RecordKind.CAPTURE)
                if path is None:
                    writes.dropped[RecordDrop.NO_BOOT] += len(packets)
                elif writes.admit(len(packets)):
                    writes.dropped[RecordDrop.BOOT_FULL] += self._append(owner, path, packets)
        return writes.written()

    def _append(self, owner: Owner, path: Path, packets: Sequence[ReceivedPacket]) -> int:
        """Append packets; return how many older ones were removed for them."""
        with opened(path) as descriptor:
            before_bytes = os.fstat(descriptor).st_size
            capture = self._capture(path, descriptor, before_bytes)
            head = b"" if capture.size_bytes else pcapng.section(self._application, f"a boot of {owner}")
            data = head + b"".join([capture.blocks_of(each) for each in packets])
            try:
                append(descriptor, data, size_bytes=capture.size_bytes)
            except OSError:
                del self._open[path]
                raise
            capture.size_bytes += len(data)
        try:
            return self._shorten(path, capture) if capture.size_bytes > LONGEST_CAPTURE_BYTES else 0
        finally:
            self.budget.note_size(owner, RecordKind.CAPTURE, before=before_bytes, after=capture.size_bytes)

    def _capture(self, path: Path, descriptor: int, size_bytes: int) -> _Capture:
        """Return the state of a capture; of one that is not in memory, read it, and remove what is not whole."""
        capture = self._open.pop(path, None)
        if capture is None or capture.size_bytes != size_bytes:
            capture = _Capture()
            with suppress(WireError):
                for kind, block in pcapng.blocks(os.pread(descriptor, size_bytes, 0)):
                    if kind == BlockType.INTERFACE:
                        capture.interfaces.append(pcapng.interface_name(block))
                    capture.size_bytes += len(block)
            os.ftruncate(descriptor, capture.size_bytes)
        self._open[path] = capture
        while len(self._open) > OPEN_CAPTURES:
            self._open.popitem(last=False)
        return capture

    def _shorten(self, path: Path, capture: _Capture) -> int:
        """Replace a capture by its first part and its newest packets; return how many packets were removed.

        One that the disk damaged begins anew.
        """
        try:
            data, removed = shortened(path.read_bytes(), first_bytes=FIRST_PART_BYTES, newest_bytes=NEWEST_PART_BYTES)
        except WireError:
            data, removed = b"", 0
            del self._open[path]
        part = path.with_suffix(PART)
        try:
            with part.open("wb") as file:
                os.fchmod(file.fileno(), 0o640)
                file.write(data)
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        capture.size_bytes = len(data)
        return removed


def shortened(data: bytes, *, first_bytes: int, newest_bytes: int) -> tuple[bytes, int]:
    """Return a capture without the packets between its first part and its newest one, and how many those are.

    The first packet behind the gap has their number, with those that were lost among them.
    """
    blocks = list(pcapng.blocks(data))
    heads = [block for kind, block in blocks if kind != BlockType.PACKET]
    packets = [block for kind, block in blocks if kind == BlockType.PACKET]
    first, size = 0, 0
    while first < len(packets) and size + len(packets[first]) <= first_bytes:
        size += len(packets[first])
        first += 1
    newest, size = len(packets), 0
    while newest > first and size + len(packets[newest - 1]) <= newest_bytes:
        newest -= 1
        size += len(packets[newest])
    removed = [pcapng.read_packet(block) for block in packets[first:newest]]
    behind = packets[newest:]
    if removed and behind:
        after = pcapng.read_packet(behind[0])
        lost = after.lost + len(removed) + sum(packet.lost for packet in removed)
        behind[0] = pcapng.packet(replace(after, lost=lost))
    return b"".join([*heads, *packets[:first], *behind]), len(removed)


def _boot(received: ReceivedPacket) -> tuple[str, str]:
    """Return what packets of one boot have in common."""
    return received.owner, str(received.began_at)


def _frame(mac: Mac, packet: CapturedPacket, ip_packet: bytes) -> bytes:
    machine = bytes.fromhex(mac.replace(":", ""))[-6:]  # of a GUID its last bytes
    if packet.is_sent:
        destination = _BROADCAST_MAC if packet.destination[0] == _BROADCAST else machine
        return frames.ethernet(ip_packet, source=OUR_MAC, destination=destination)
    destination = _BROADCAST_MAC if packet.destination[0] == _BROADCAST else OUR_MAC
    return frames.ethernet(ip_packet, source=machine, destination=destination)


@lru_cache(maxsize=1024)
def _address(text: str) -> IPv4Address:
    return IPv4Address(text)
