"""Reads a capture of a boot: pcap or pcapng of netboot, of tcpdump, or of Wireshark. scapy reads the file.

Only what a boot has is kept: DHCP, TFTP and the heads of HTTP. A file may be hostile: its size and packets are bounded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final, cast

from netboot.errors import NetbootError
from netboot.probe.lan.udp_frames import BOOT_SERVER_PORT, CLIENT_PORT, SERVER_PORT

LARGEST_FILE_BYTES: Final = 256 << 20
MOST_PACKETS: Final = 200_000
_DHCP: Final = {SERVER_PORT, CLIENT_PORT, BOOT_SERVER_PORT}
_ETHERNET: Final = 1  # LINKTYPE_ETHERNET


class CaptureFileError(NetbootError):
    """A file that is no capture of a boot: its name, what is wrong, and the cure."""


@dataclass(frozen=True, slots=True)
class CapturedDatagram:
    """One UDP datagram, or the data of one TCP segment. `payload` may be a beginning of it; `at_s` since the first."""

    at_s: float
    source_mac: str
    destination_mac: str
    source: tuple[IPv4Address, int]
    destination: tuple[IPv4Address, int]
    is_tcp: bool
    payload: bytes
    comment: str = ""  # of pcapng

    @property
    def is_dhcp(self) -> bool:
        """One of its ports is of DHCP or of the PXE boot server."""
        return not self.is_tcp and bool({self.source[1], self.destination[1]} & _DHCP)


def read_capture(file: Path) -> list[CapturedDatagram]:
    """Read the datagrams of a capture in their order; raise CaptureFileError with the file's name and the cure."""
    from scapy.error import Scapy_Exception
    from scapy.utils import RawPcapReader

    try:
        if file.stat().st_size > LARGEST_FILE_BYTES:
            raise CaptureFileError(
                f"{file} has more than {LARGEST_FILE_BYTES >> 20} MiB; keep one boot: "
                "tshark -r FILE -Y 'eth.addr == MAC' -w SMALLER"
            )
        with file.open("rb") as opened:
            found = list(_datagrams(RawPcapReader(cast("str", opened))))  # or an open file, which its type omits
    except OSError as error:
        raise CaptureFileError(f"cannot read {file}: {error.strerror or error}; name a pcap or pcapng file") from error
    except (Scapy_Exception, EOFError, ValueError) as error:
        raise CaptureFileError(f"{file} is no capture: {error}; record one with netboot install capture") from error
    if not found:
        raise CaptureFileError(f"{file} has no packet of a boot: no DHCP, TFTP or HTTP over Ethernet and IPv4")
    return found


def _datagrams(reader: Any) -> Iterator[CapturedDatagram]:
    first_s: float | None = None
    for number, (data, meta) in enumerate(reader):
        if number == MOST_PACKETS:
            raise CaptureFileError(f"the capture has more than {MOST_PACKETS} packets; keep one boot of one machine")
        if getattr(meta, "linktype", _ETHERNET) != _ETHERNET:
            continue
        at_s = _time_s(meta)
        first_s = at_s if first_s is None else first_s
        found = _datagram(data, at_s - first_s)
        if found is not None:
            yield replace(found, comment=_comment(meta))


def _time_s(meta: Any) -> float:
    if hasattr(meta, "tshigh"):  # pcapng; None without a time, as in a simple packet block
        ticks = (meta.tshigh or 0) << 32 | (meta.tslow or 0)
        return float(ticks / meta.tsresol)
    return float(meta.sec + meta.usec / 1e6)


def _comment(meta: Any) -> str:
    """Return the first comment of a packet; older scapy has one, newer a list."""
    found = getattr(meta, "comments", None) or [getattr(meta, "comment", None) or b""]
    text = found[0] if isinstance(found, list) else found
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _datagram(data: bytes, at_s: float) -> CapturedDatagram | None:
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.l2 import Ether

    frame = Ether(data)  # also of a VLAN
    ip = frame.getlayer(IP)
    if ip is None or ip.frag:
        return None
    transport = ip.getlayer(UDP) or ip.getlayer(TCP)
    if transport is None:
        return None
    return CapturedDatagram(
        at_s=at_s,
        source_mac=frame.src,
        destination_mac=frame.dst,
        source=(IPv4Address(ip.src), transport.sport),
        destination=(IPv4Address(ip.dst), transport.dport),
        is_tcp=isinstance(transport, TCP),
        payload=bytes(transport.payload),
    )
