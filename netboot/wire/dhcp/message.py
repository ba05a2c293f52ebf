"""Read and write DHCPv4 messages: the fixed header and the options, not their meaning.

Never decides whether to answer (`wire.dhcp.pxe`). Reads option overload and split options, but never writes them.

RFC 2131 §2, §3, §4.1 (format, overload, where replies go) · RFC 2132 §2, §3.1, §9.3 (options, PAD, overload) ·
RFC 1542 §2.1 (300 bytes at least) · RFC 3396 (an option in pieces) · RFC 951 (what is left of BOOTP).
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address
from struct import Struct
from typing import Final

from netboot.errors import WireError

SERVER_PORT: Final = 67
CLIENT_PORT: Final = 68
NO_ADDRESS: Final = IPv4Address(0)
BROADCAST: Final = IPv4Address("255.255.255.255")
BROADCAST_FLAG: Final = 0x8000

REQUEST: Final = 1  # op: from a client
REPLY: Final = 2  # op: from a server

SMALLEST_MESSAGE_BYTES: Final = 300  # RFC 1542 §2.1; some relays and ROMs drop less
COOKIE: Final = bytes.fromhex("63825363")
_HEADER: Final = Struct("!4BIHH16s16s64s128s4s")
HEADER_BYTES: Final = _HEADER.size  # 240, the magic cookie included
_IPOIB: Final = (
    32,
    20,
)  # htype and hlen of a client whose address does not fit into `chaddr`; RFC 4390 requires hlen 0
_ZEROS: Final = bytes(4)
_NO_ADDRESSES: Final = 4 * _ZEROS
_EVERYBODY: Final = (str(BROADCAST), CLIENT_PORT)


class Option:
    """The option codes that netboot reads or writes (IANA, RFC 2132 unless noted).

    Plain integers: a member of an enum costs five times as much to look up, dozens of times for each datagram.
    """

    PAD: Final = 0
    SUBNET_MASK: Final = 1
    ROUTERS: Final = 3
    NAME_SERVERS: Final = 6
    HOST_NAME: Final = 12
    DOMAIN_NAME: Final = 15
    BROADCAST_ADDRESS: Final = 28
    NTP_SERVERS: Final = 42  # RFC 2132 §8.3
    VENDOR_OPTIONS: Final = 43
    REQUESTED_ADDRESS: Final = 50
    LEASE_TIME: Final = 51
    OVERLOAD: Final = 52
    MESSAGE_TYPE: Final = 53
    SERVER_ID: Final = 54
    MESSAGE: Final = 56
    MAX_MESSAGE_SIZE: Final = 57
    RENEWAL_TIME: Final = 58
    REBINDING_TIME: Final = 59
    VENDOR_CLASS: Final = 60
    CLIENT_ID: Final = 61
    TFTP_SERVER: Final = 66
    BOOT_FILE: Final = 67
    USER_CLASS: Final = 77  # RFC 3004
    RELAY_INFORMATION: Final = 82  # RFC 3046
    CLIENT_ARCH: Final = 93  # RFC 4578
    CLIENT_UUID: Final = 97  # RFC 4578
    SUBNET_SELECTION: Final = 118  # RFC 3011
    IPXE: Final = 175  # Etherboot's encapsulation
    END: Final = 255


class MessageType(IntEnum):
    """Option 53."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


_PAD, _END = Option.PAD, Option.END
_NEVER_WRITTEN: Final = frozenset({_PAD, Option.OVERLOAD, _END})
# Old ROMs read the boot file's name up to the next zero byte and ignore the length byte (Kontron, Lenovo T460,
# Intel Z77: netboot.xyz 1198). Only behind this option is a PAD needed: no other is read as a file name.
_FOLLOWED_BY_PAD: Final = Option.BOOT_FILE
_MESSAGE_TYPES: Final[Mapping[bytes, MessageType]] = {bytes((kind,)): kind for kind in MessageType}


@dataclass(slots=True, kw_only=True)  # made twice for each datagram; a frozen one takes three times as long
class DhcpMessage:
    """One message by the names of RFC 2131; `options` in the order of their first piece.

    `chaddr` has all 16 bytes; `sname` and `file` come without the zeros behind them, and empty if option 52
    made them carry options instead.
    """

    op: int
    xid: int
    chaddr: bytes
    htype: int = 1
    hlen: int = 6
    hops: int = 0
    secs: int = 0
    flags: int = 0
    ciaddr: IPv4Address = NO_ADDRESS
    yiaddr: IPv4Address = NO_ADDRESS
    siaddr: IPv4Address = NO_ADDRESS
    giaddr: IPv4Address = NO_ADDRESS
    sname: bytes = b""
    file: bytes = b""
    options: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def message_type(self) -> MessageType | None:
        """Option 53; None if it is absent (BOOTP), of another length, or unassigned."""
        return _MESSAGE_TYPES.get(self.options.get(Option.MESSAGE_TYPE, b""))

    @property
    def is_relayed(self) -> bool:
        """It came through a relay agent."""
        return self.giaddr is not NO_ADDRESS and self.giaddr != NO_ADDRESS

    @property
    def largest_reply_bytes(self) -> int:
        """What option 57 allows, IP and UDP headers included; 576 where it is absent, malformed or less."""
        value = self.options.get(Option.MAX_MESSAGE_SIZE)
        return max(576, int.from_bytes(value, "big")) if value is not None and len(value) == 2 else 576

    def address_option(self, code: int) -> IPv4Address | None:
        """Read an option that holds one address; None if it is absent or of another length."""
        value = self.options.get(code)
        return IPv4Address(value) if value is not None and len(value) == 4 else None


def parse(data: bytes) -> DhcpMessage:
    """Read one datagram; raise WireError if it is not a message of RFC 2131.

    Options in pieces are joined (RFC 3396), overloaded `file` and `sname` are read after the options field. Without
    option 52 they are kept unchanged and have no meaning in a request: ROMs leave garbage there.
    """
    if len(data) < HEADER_BYTES:
        raise WireError(f"cannot read a DHCP message of {len(data)} bytes; {HEADER_BYTES} are the least")
    op, htype, hlen, hops, xid, secs, flags, addresses, chaddr, sname, file, cookie = _HEADER.unpack_from(data)
    if cookie != COOKIE:
        raise WireError("cannot read a DHCP message without its magic cookie; plain BOOTP is not served")
    if op not in (REQUEST, REPLY) or (hlen > len(chaddr) and (htype, hlen) != _IPOIB):
        raise WireError(f"cannot read a DHCP message with op {op} and hlen {hlen}; op is 1 or 2, hlen at most 16")
    options: dict[int, bytes] = {}
    if not _read_options(data, HEADER_BYTES, options):
        raise WireError("cannot read the options of a DHCP message: the last one runs past its end")
    overload = options.pop(Option.OVERLOAD, b"")
    if len(overload) == 1 and 1 <= overload[0] <= 3:
        if overload[0] & 1:
            _read_options(file, 0, options)
            file = b""
        if overload[0] & 2:
            _read_options(sname, 0, options)
            sname = b""
        options.pop(Option.OVERLOAD, None)  # one inside an overloaded field is ignored
    ciaddr, yiaddr, siaddr, giaddr = _addresses(addresses)
    return DhcpMessage(
        op=op,
        xid=xid,
        chaddr=chaddr,
        htype=htype,
        hlen=hlen,
        hops=hops,
        secs=secs,
        flags=flags,
        ciaddr=ciaddr,
        yiaddr=yiaddr,
        siaddr=siaddr,
        giaddr=giaddr,
        sname=sname.rstrip(b"\0"),
        file=file.rstrip(b"\0"),
        options=options,
    )


def build(message: DhcpMessage) -> bytes:
    """Write one message with its options in their order, a PAD behind option 67, END, and zeros up to 300 bytes.

    RFC 2132 §3.1 allows a PAD between any two options.

    Raises ValueError for what is never sent: an option of 0 or of more than 255 bytes, option 52, a `file` or
    `sname` that does not fit.
    """
    if len(message.sname) > 64 or len(message.file) > 128:
        raise ValueError("sname holds 64 bytes and file 128; put a longer name into option 67 alone")
    addresses = (message.ciaddr, message.yiaddr, message.siaddr, message.giaddr)
    header = _HEADER.pack(
        message.op,
        message.htype,
        message.hlen,
        message.hops,
        message.xid,
        message.secs,
        message.flags,
        b"".join([_ZEROS if each is NO_ADDRESS else each.packed for each in addresses]),
        message.chaddr,
        message.sname,
        message.file,
        COOKIE,
    )
    data = bytearray(header)
    for code, value in message.options.items():
        length = len(value)
        if not 0 < length <= 255 or code in _NEVER_WRITTEN:
            raise ValueError(f"option {code} of {length} bytes is never written")
        data.append(code)
        data.append(length)
        data += value
        if code == _FOLLOWED_BY_PAD:
            data.append(Option.PAD)
    data.append(Option.END)
    return bytes(data.ljust(SMALLEST_MESSAGE_BYTES, b"\0"))


def reply_address(message: DhcpMessage) -> tuple[str, int]:
    """Return where the reply to a request on port 67 goes where no address is leased: the relay, or broadcast.

    RFC 2131 §4.1: a relay receives on the server's port, also if the broadcast flag is set. `yiaddr` 0 rules out its
    unicast, and a `ciaddr` in a DISCOVER is invalid: nothing is ever sent there.
    """
    if message.is_relayed:
        return str(message.giaddr), SERVER_PORT
    return _EVERYBODY


def is_bogus_relay(message: DhcpMessage, ours: Container[IPv4Address]) -> bool:
    """Return whether no relay can have this `giaddr`: not a unicast address, or one of `ours`, which would loop."""
    return message.is_relayed and (not is_unicast(message.giaddr) or message.giaddr in ours)


def is_unicast(address: IPv4Address) -> bool:
    """Return whether one machine on a LAN may have this address: not in 0/8, 127/8, nor 224.0.0.0 and above."""
    first = address.packed[0]
    return 0 < first < 224 and first != 127


def sub_options(data: bytes) -> dict[int, bytes]:
    """Read the options within an option (43, 82, 175), the first of each code.

    A malformed option ends the reading; the options before it are kept.
    """
    found: dict[int, bytes] = {}
    at = 0
    while at + 1 < len(data) and data[at] != Option.END:
        if data[at] == Option.PAD:
            at += 1
            continue
        end = at + 2 + data[at + 1]
        if end > len(data):
            break
        found.setdefault(data[at], data[at + 2 : end])
        at = end
    return found


def _addresses(raw: bytes) -> Sequence[IPv4Address]:
    """Read `ciaddr`, `yiaddr`, `siaddr` and `giaddr`; in a DISCOVER without a relay all of them are zeros."""
    if raw == _NO_ADDRESSES:
        return (NO_ADDRESS, NO_ADDRESS, NO_ADDRESS, NO_ADDRESS)
    return [IPv4Address(raw[at : at + 4]) for at in range(0, 16, 4)]


def _read_options(data: bytes, at: int, options: dict[int, bytes]) -> bool:
    """Add the options of `data` from `at` on to `options`, joining pieces; return whether it is well-formed.

    Zeros are padding anywhere; nothing is read after 255; a missing 255 is accepted.
    """
    end = len(data)
    while at < end:
        code = data[at]
        if code == _END:
            return True
        if code == _PAD:
            at += 1
            continue
        start = at + 2
        if start > end:
            return False
        at = start + data[at + 1]
        if at > end:
            return False
        value = data[start:at]
        options[code] = options[code] + value if code in options else value
    return True
