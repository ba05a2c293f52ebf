"""A recorded DHCP message for this LAN: another transaction, another machine, other addresses. Pure.

Everything else stays as it was recorded, byte by byte.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final
from uuid import UUID

from netboot.model.host.mac import Mac

_OPTIONS_AT: Final = 240
_XID, _CIADDR, _CHADDR = slice(4, 8), slice(12, 16), slice(28, 34)
_REQUESTED_ADDRESS, _SERVER, _CLIENT_ID, _MACHINE_ID = 50, 54, 61, 97
_UUID_BYTES: Final = 17  # type 0, then the UUID with its first three fields little-endian
_PAD, _END = 0, 255


@dataclass(frozen=True, slots=True)
class LiveValues:
    """The values of this LAN; an address that the message has not is not added."""

    xid: int
    mac: Mac
    address: IPv4Address | None = None
    server: IPv4Address | None = None
    uuid: UUID | None = None


def rewritten(recorded: bytes, live: LiveValues) -> bytes:
    """Return the message with the live transaction, MAC, own address and server."""
    data = bytearray(recorded)
    was, now = bytes(data[_CHADDR]), bytes.fromhex(str(live.mac).replace(":", ""))
    data[_XID], data[_CHADDR] = live.xid.to_bytes(4, "big"), now
    if any(data[_CIADDR]) and live.address is not None:
        data[_CIADDR] = live.address.packed
    for code, place in _options(recorded):
        if code == _CLIENT_ID:
            data[place] = recorded[place].replace(was, now)
        if code == _MACHINE_ID and live.uuid is not None and place.stop - place.start == _UUID_BYTES:
            data[place] = written_uuid(live.uuid)
        address = {_REQUESTED_ADDRESS: live.address, _SERVER: live.server}.get(code)
        if address is not None and place.stop - place.start == len(address.packed):
            data[place] = address.packed
    return bytes(data)


def written_uuid(uuid: UUID) -> bytes:
    """Write the value of option 97."""
    return b"\0" + uuid.bytes_le


def uuid_of(recorded: bytes) -> UUID | None:
    """Read the machine's UUID of option 97; None without one."""
    for code, place in _options(recorded):
        if code == _MACHINE_ID and place.stop - place.start == _UUID_BYTES:
            return UUID(bytes_le=recorded[place][1:])
    return None


def _options(data: bytes) -> Iterator[tuple[int, slice]]:
    """Yield code and place of the value of each option."""
    at = _OPTIONS_AT
    while at + 1 < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        yield data[at], slice(at + 2, at + 2 + data[at + 1])
        at += 2 + data[at + 1]
