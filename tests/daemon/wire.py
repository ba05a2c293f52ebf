"""The client's end of the rack's wire, below every socket: packets written byte by byte, answers read without mercy.

Shares no line with `netboot.wire`: what both got wrong would pass.
"""

import re
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon.rack import SERVER, Rack
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

MAC = bytes.fromhex("525400aabb01")
ADDRESS = "192.0.2.50"
RELAY = "198.51.100.1"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
TIMEOUT_S = 2.0
UUID = bytes.fromhex("0033221100554477668899aabbccddeeff")
BIOS = b"PXEClient:Arch:00000:UNDI:002001"
UEFI = b"PXEClient:Arch:00007:UNDI:003001"

Options = Iterable[tuple[int, bytes]]

CAPTURES = Path(__file__).parents[1] / "wire" / "captures"


def vector(name: str) -> bytes:
    """Read a packet that is kept in `tests/wire/captures`: hex, `[00*n]` for n zero bytes."""
    line = (CAPTURES / f"{name}.hex").read_text().splitlines()[-1]
    return bytes.fromhex(re.sub(r"\[00\*(\d+)\]", lambda zeros: "00" * int(zeros[1]), line))


def message(
    options: Options | bytes,
    *,
    op: int = 1,
    htype: int = 1,
    hlen: int = 6,
    hops: int = 0,
    xid: int = 0x1234,
    secs: int = 4,
    flags: int = 0x8000,
    ciaddr: str = "0.0.0.0",
    giaddr: str = "0.0.0.0",
    chaddr: bytes = MAC,
    sname: bytes = b"",
    file: bytes = b"",
    cookie: str = "63825363",
) -> bytes:
    """Write one message; `options` may be raw bytes, which are not ended for you."""
    tail = options if isinstance(options, bytes) else encoded(options) + b"\xff"
    return (
        struct.pack("!4BIHH", op, htype, hlen, hops, xid, secs, flags)
        + socket.inet_aton(ciaddr)
        + bytes(8)
        + socket.inet_aton(giaddr)
        + struct.pack("!16s64s128s", chaddr, sname, file)
        + bytes.fromhex(cookie)
        + tail
    )


def encoded(options: Options) -> bytes:
    return b"".join(bytes((code, len(value))) + value for code, value in options)


def opts(*, kind: int = 1, vendor: bytes | None = UEFI, arch: bytes | None = b"\0\7", more: Options = ()) -> list:
    """The options of a firmware's question; None leaves one out."""
    options = [(53, bytes((kind,))), (57, b"\5\xc0"), (55, bytes(range(1, 20))), (97, UUID)]
    options += [(93, arch)] if arch is not None else []
    options += [(60, vendor)] if vendor is not None else []
    return [*options, *more]


@dataclass(frozen=True)
class Reply:
    """An answer: its frame's addresses, its header, its options in order."""

    frame: Packet
    header: tuple
    chaddr: bytes
    sname: bytes
    file: bytes
    options: dict[int, bytes]
    size_bytes: int

    @property
    def xid(self) -> int:
        return int(self.header[4])

    @property
    def way(self) -> tuple[str, int, str, int]:
        return self.frame[IP].src, self.frame[UDP].sport, self.frame[IP].dst, self.frame[UDP].dport

    @property
    def name(self) -> bytes:
        return self.file.rstrip(b"\0")


def reply_in(frame: Packet) -> Reply:
    """Read an answer; fail where it breaks a rule that holds for every answer of ours."""
    data = bytes(frame[UDP].payload)
    header = struct.unpack_from("!4BIHH4s4s4s4s", data)
    options: dict[int, bytes] = {}
    at = 240
    assert data[236:240].hex() == "63825363"
    while data[at] != 255:
        code, length = data[at], data[at + 1]
        assert code != 0, "padding that is not behind option 67"
        assert length > 0, f"option {code} is empty"
        assert code not in options, f"option {code} comes twice"
        options[code] = data[at + 2 : at + 2 + length]
        assert len(options[code]) == length
        at += 2 + length
        if code == 67:  # old ROMs read it up to the next zero byte
            assert data[at] == 0, "no PAD behind option 67"
            at += 1
    assert not any(data[at + 1 :]), "bytes after END"
    assert len(data) == max(300, at + 1)
    return Reply(frame, header, data[28:44], data[44:108], data[108:236], options, len(data))


class Wire:
    """Frames out and in, from the client `52:54:00:aa:bb:01`."""

    def __init__(self, rack: Rack) -> None:
        self._socket = rack.client_socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.bind(("c0", 0))
        with rack.server_socket(socket.AF_PACKET, socket.SOCK_RAW) as there:
            there.bind(("s0", 0))
            self.server_mac = there.getsockname()[4].hex(":")
        self._xid = int.from_bytes(b"\x7e\0\0\0", "big")

    def close(self) -> None:
        self._socket.close()

    def send(
        self,
        payload: bytes,
        *,
        source: tuple[str, int] = ("0.0.0.0", 68),
        to: tuple[str, int] = ("255.255.255.255", 67),
        size: int = 1480,
    ) -> None:
        """Send one datagram, in fragments of `size` where it is longer."""
        ether = EVERYBODY if to[0].endswith(".255") else self.server_mac
        packet = IP(src=source[0], dst=to[0], id=self.next_xid() & 0xFFFF) / UDP(sport=source[1], dport=to[1])
        for piece in fragment(packet / Raw(payload), size):
            self._socket.send(bytes(Ether(src=MAC, dst=ether) / piece))

    def receive(self, wanted: Callable[[Packet], bool], timeout_s: float = TIMEOUT_S) -> Packet | None:
        """Take the next frame of the server's that is wanted; None where none comes in time."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data, address = self._socket.recvfrom(65535)
            except TimeoutError:
                return None
            if address[2] == socket.PACKET_OUTGOING:
                continue
            frame = Ether(data)
            if UDP in frame and wanted(frame):
                return frame
        return None

    def query(self, payload: bytes, **way: tuple[str, int]) -> Reply:
        """Send a question and read its answer, which must come."""
        self.send(payload, **way)
        frame = self.receive(lambda frame: frame[UDP].sport in (67, 4011))
        assert frame is not None, "no answer came"
        return reply_in(frame)

    def hears_nothing_of(self, payload: bytes, **way: tuple[str, int]) -> bool:
        """Send what must get silence, then a question on the same port: the answer to that one comes first."""
        self.send(payload, **way)
        xid = self.next_xid()
        if way.get("to", ("", 67))[1] == 4011:
            last = message(opts(kind=3), xid=xid, ciaddr=ADDRESS)
            reported = self.query(last, source=(ADDRESS, 4011), to=(SERVER, 4011))
        else:
            reported = self.query(message(opts(), xid=xid))
        return reported.xid == xid

    def next_xid(self) -> int:
        self._xid += 1
        return self._xid
