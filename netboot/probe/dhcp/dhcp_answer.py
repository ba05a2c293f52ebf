"""A reply of a DHCP or PXE server as a firmware reads it: parsed by scapy, its encoding walked byte by byte.

`encoding_faults` are what scapy accepts and a firmware may not: an option of length 0, options without END, an option
that ends behind the datagram.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Final

_OPTIONS_AT: Final = 240
_COOKIE: Final = bytes.fromhex("63825363")
_FILE_AT, _FILE_BYTES = 108, 128
_PAD, _OVERLOAD, _BOOT_FILE, _END = 0, 52, 67, 255
OFFER, ACK, NAK = 2, 5, 6
_URL_MARK: Final = "://"


@dataclass(frozen=True, slots=True)
class DhcpAnswer:
    """One reply. `data` is the whole message, `options` are as they were sent, halves of one code joined."""

    data: bytes
    source: IPv4Address
    source_port: int
    source_mac: bytes
    op: int
    hlen: int
    xid: int
    yiaddr: IPv4Address
    siaddr: IPv4Address
    chaddr: bytes
    file: str
    options: Mapping[int, bytes]
    encoding_faults: tuple[str, ...]

    @property
    def kind(self) -> int | None:
        """The message type of option 53; None without exactly one."""
        value = self.options.get(53, b"")
        return value[0] if len(value) == 1 else None

    @property
    def is_lease(self) -> bool:
        """It gives an address; a proxy's does not."""
        return int(self.yiaddr) != 0

    @property
    def server(self) -> IPv4Address:
        """The server of option 54, else the sender."""
        value = self.options.get(54, b"")
        return IPv4Address(value) if len(value) == 4 else self.source

    @property
    def boot_server(self) -> IPv4Address:
        """The server of the files: `siaddr`, else that of option 54."""
        return self.siaddr if int(self.siaddr) else self.server

    @property
    def vendor_class(self) -> bytes:
        """Option 60."""
        return self.options.get(60, b"")

    @property
    def boot_file_option(self) -> str:
        """Option 67 without the NUL that may end it."""
        return _text(self.options.get(_BOOT_FILE, b""))

    def addresses(self, code: int) -> tuple[IPv4Address, ...]:
        """Return the addresses of an option, as 3 or 6."""
        value = self.options.get(code, b"")
        return tuple(IPv4Address(value[at : at + 4]) for at in range(0, len(value) - 3, 4))

    def number(self, code: int) -> int | None:
        """Return the number of an option, as 51 or 26; None without it."""
        value = self.options.get(code)
        return int.from_bytes(value, "big") if value else None

    def __str__(self) -> str:
        """Describe it in one line: server, address, class, boot file."""
        what = f"lease of {self.yiaddr}" if self.is_lease else "no address"
        found = [f"{self.server}: {what}"]
        found += [f"class {_text(self.vendor_class)!r}"] if self.vendor_class else []
        name = self.boot_file_option or self.file
        found += [f"option 43 {self.options[43].hex()}"] if 43 in self.options else []
        unset = "" if int(self.siaddr) else ", whose siaddr is 0.0.0.0"
        found += [f"boot file {name!r} of {self.boot_server}{unset}"] if name else []
        return ", ".join(found)


def answer_in(frame: bytes) -> DhcpAnswer | None:
    """Read a reply out of an Ethernet frame; None if the frame holds no DHCP message."""
    from scapy.layers.dhcp import BOOTP
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    packet = Ether(frame)
    if BOOTP not in packet:
        return None
    data = bytes(frame[14 + packet[IP].ihl * 4 + 8 :])[: packet[UDP].len - 8]
    return _read(data, IPv4Address(packet[IP].src), packet[UDP].sport, frame[6:12])


def answer_of_datagram(data: bytes, source: tuple[str, int]) -> DhcpAnswer | None:
    """Read a reply that a UDP socket received; None if it is no DHCP message."""
    return _read(data, IPv4Address(source[0]), source[1], b"")


def _read(data: bytes, source: IPv4Address, port: int, mac: bytes) -> DhcpAnswer | None:
    from scapy.layers.dhcp import BOOTP

    if len(data) < _OPTIONS_AT or data[_OPTIONS_AT - 4 : _OPTIONS_AT] != _COOKIE:
        return None
    header = BOOTP(data[: _OPTIONS_AT - 4])
    options, faults = walked_options(data[_OPTIONS_AT:])
    overload = options.get(_OVERLOAD, b"\0")[:1]
    if overload in (b"\1", b"\3"):
        more, more_faults = walked_options(data[_FILE_AT : _FILE_AT + _FILE_BYTES])
        options, faults = {**options, **more}, (*faults, *more_faults)
    return DhcpAnswer(
        data=data,
        source=source,
        source_port=port,
        source_mac=mac,
        op=header.op,
        hlen=header.hlen,
        xid=header.xid,
        yiaddr=IPv4Address(header.yiaddr),
        siaddr=IPv4Address(header.siaddr),
        chaddr=data[28:44],
        file="" if overload in (b"\1", b"\3") else _text(data[_FILE_AT : _FILE_AT + _FILE_BYTES]),
        options=options,
        encoding_faults=faults,
    )


def walked_options(data: bytes) -> tuple[dict[int, bytes], tuple[str, ...]]:
    """Read options up to END; join repeated codes. Returns the faults of the encoding beside them."""
    options: dict[int, bytes] = {}
    faults: list[str] = []
    at = 0
    while at < len(data) and data[at] != _END:
        code = data[at]
        if code == _PAD:
            at += 1
            continue
        if at + 1 >= len(data) or at + 2 + data[at + 1] > len(data):
            return options, (*faults, f"option {code} ends behind the datagram")
        length = data[at + 1]
        if length == 0:
            faults.append(f"option {code} has length 0")
        options[code] = options.get(code, b"") + data[at + 2 : at + 2 + length]
        at += 2 + length
    if at >= len(data):
        faults.append("END (255) is missing")
    return options, tuple(faults)


def read_as_edk2_does(answer: DhcpAnswer) -> DhcpAnswer:
    """Read the options once more, with the NUL that EDK2 writes behind option 67 when its value does not end in one.

    If neither END nor a PAD follows 67, this NUL replaces the code of the next option [edk2 PxeBcDhcp4.c].
    """
    data = bytearray(answer.data[_OPTIONS_AT:])
    at = 0
    while at + 1 < len(data) and data[at] != _END:
        end = at + 1 if data[at] == _PAD else at + 2 + data[at + 1]
        if data[at] == _BOOT_FILE and end < len(data) and data[end - 1] != 0:
            data[end] = 0
            break
        at = end
    return replace(answer, options=walked_options(bytes(data))[0])


def boot_file_until_zero(answer: DhcpAnswer) -> str:
    """Read option 67 as old ROMs do: beyond its end, up to the next zero byte of the packet."""
    at = _OPTIONS_AT
    while at + 1 < len(answer.data) and answer.data[at] != _END:
        if answer.data[at] == _BOOT_FILE:
            return _text(answer.data[at + 2 :])
        at += 1 if answer.data[at] == _PAD else 2 + answer.data[at + 1]
    return ""


def _text(value: bytes) -> str:
    return value.split(b"\0")[0].decode("latin-1")


def is_url(name: str) -> bool:
    """Return whether a boot file is named by a URL."""
    return _URL_MARK in name
