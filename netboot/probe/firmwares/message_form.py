"""A DHCP message as a firmware lays it out: built once by scapy, then copied with the values of one machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Any, Final
from uuid import UUID

from netboot.model.host.mac import Mac

BROADCAST_FLAG: Final = 0x8000
ETHERNET: Final = 1
INFINIBAND: Final = 32
_CHADDR_AT: Final = 28
_CHADDR_BYTES: Final = 16
_OPTIONS_AT: Final = 240
_NOWHERE: Final = IPv4Address(0)


class Filled(Enum):
    """An option's value that differs from machine to machine, with its length in bytes."""

    UUID = "uuid", 17  # type 0 and 16 bytes, the first three fields little-endian
    SERVER = "server", 4
    ADDRESS = "address", 4
    CLIENT_ID = "client-id", 7  # hardware type and MAC
    PORT_GUID = "port-guid", 17  # RFC 4390: ff, an IAID, a DUID-LL with the GUID of an InfiniBand port


class Chaddr(Enum):
    """What a client has in chaddr, and its hlen."""

    MAC = 6
    GUID = 8  # of an InfiniBand port
    UUID = 16  # EDK2 with SendGUID
    NOTHING = 0  # RFC 4390


OptionValue = bytes | Filled


@dataclass(frozen=True, slots=True)
class MessageForm:
    """One message of a client. `padded_bytes` is the least size, filled with zeros after END."""

    options: tuple[tuple[int, OptionValue], ...]
    flags: int = BROADCAST_FLAG
    htype: int = ETHERNET
    chaddr: Chaddr = Chaddr.MAC
    padded_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Values:
    """What one message of one machine has in place of a form's gaps."""

    mac: Mac
    uuid: UUID
    xid: int
    secs: int = 0
    ciaddr: IPv4Address = _NOWHERE
    server: IPv4Address = _NOWHERE
    address: IPv4Address = _NOWHERE


def written_message(form: MessageForm, values: Values) -> bytes:
    """Copy the form's message with the values of one machine."""
    template, gaps = _template(form)
    message = bytearray(template)
    message[4:8] = values.xid.to_bytes(4, "big")
    message[8:10] = values.secs.to_bytes(2, "big")
    message[12:16] = values.ciaddr.packed
    chaddr = _chaddr(form.chaddr, values)
    message[_CHADDR_AT : _CHADDR_AT + len(chaddr)] = chaddr
    for gap, at in gaps.items():
        filling = _filling(gap, values)
        message[at : at + len(filling)] = filling
    return bytes(message)


@lru_cache(maxsize=256)
def _template(form: MessageForm) -> tuple[bytes, Mapping[Filled, int]]:
    """Build the message with empty gaps, and return where each gap begins."""
    from scapy.layers.dhcp import BOOTP, DHCP

    options: list[tuple[int, bytes] | str] = []
    gaps: dict[Filled, int] = {}
    at = _OPTIONS_AT
    for code, value in form.options:
        content = bytes(value.value[1]) if isinstance(value, Filled) else value
        if isinstance(value, Filled):
            gaps[value] = at + 2
        options.append((code, content))
        at += 2 + len(content)
    header: dict[str, Any] = {"op": 1, "htype": form.htype, "hlen": form.chaddr.value, "flags": form.flags}
    message = bytes(BOOTP(**header, chaddr=bytes(_CHADDR_BYTES)) / DHCP(options=[*options, "end"]))
    return message.ljust(form.padded_bytes, b"\0"), gaps


def _chaddr(kind: Chaddr, values: Values) -> bytes:
    match kind:
        case Chaddr.MAC | Chaddr.GUID:
            return bytes.fromhex(values.mac.replace(":", ""))[: kind.value]
        case Chaddr.UUID:
            return values.uuid.bytes_le
        case Chaddr.NOTHING:
            return b""


def _filling(gap: Filled, values: Values) -> bytes:
    match gap:
        case Filled.UUID:
            return b"\0" + values.uuid.bytes_le
        case Filled.SERVER:
            return values.server.packed
        case Filled.ADDRESS:
            return values.address.packed
        case Filled.CLIENT_ID:
            return b"\x01" + bytes.fromhex(values.mac.replace(":", ""))
        case Filled.PORT_GUID:
            return bytes.fromhex("ff 00000001 0003 0020") + bytes.fromhex(values.mac.replace(":", ""))
