"""The hardware address of a network card, in one spelling."""

import hashlib
import re
from typing import Final, Self

_SEPARATORS = re.compile(r"[:.\-]")
_HEX = re.compile(r"[0-9a-f]+")
_ETHERNET_DIGITS: Final = 12
_GUID_DIGITS: Final = 16
_IPOIB_DIGITS: Final = 40  # queue pair number, subnet prefix, port GUID (RFC 4391 §9.1.1)
_ARP_TYPES: Final = {"01": _ETHERNET_DIGITS, "20": _GUID_DIGITS}  # in front, as PXELINUX and GRUB write an address


class Mac(str):
    """`52:54:00:aa:bb:01`, or an InfiniBand port's `b8:ce:f6:03:00:31:33:3e`; made by `parse` and `from_bytes` only."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read any usual spelling: colons, hyphens, Cisco's dots, bare hex, or `01-…` as PXELINUX and GRUB write it.

        Of the 20 bytes of an IPoIB address only the last 8, the port's GUID, are used: the others change from boot to
        boot. Raises ValueError if the text is neither a unicast Ethernet address nor a GUID.
        """
        digits = _SEPARATORS.sub("", text.strip().lower())
        if _ARP_TYPES.get(digits[:2]) == len(digits) - 2:
            digits = digits[2:]
        if len(digits) == _IPOIB_DIGITS:
            digits = digits[-_GUID_DIGITS:]
        if len(digits) not in (_ETHERNET_DIGITS, _GUID_DIGITS) or not _HEX.fullmatch(digits):
            raise ValueError(f"{text!r} is not a MAC address")
        return cls.from_bytes(bytes.fromhex(digits))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Take 6 bytes of Ethernet or 8 of a GUID; raise ValueError for another length, a group or a zero address."""
        if len(raw) not in (6, 8) or raw[0] & 1 or not any(raw):
            raise ValueError(f"{raw.hex()} is neither a unicast Ethernet address nor a GUID")
        return cls(raw.hex(":"))

    @classmethod
    def standing_for(cls, identity: bytes, *, length: int = 6) -> Self:
        """Make a locally administered address, always the same, by which a machine without a MAC can be registered."""
        digest = hashlib.blake2b(identity, digest_size=length - 1).digest()
        return cls.from_bytes(b"\x02" + digest)

    @property
    def is_infiniband(self) -> bool:
        """It is a port's GUID, which identifies no interface and fits no kernel argument."""
        return len(self) > _ETHERNET_DIGITS + 5

    @property
    def hyphenated(self) -> str:
        """The address as file names and BOOTIF carry it: `52-54-00-aa-bb-01`."""
        return self.replace(":", "-")
