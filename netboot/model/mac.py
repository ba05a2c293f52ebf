"""The hardware address of a network card, in one spelling."""

import hashlib
import re
from typing import Self

_SEPARATORS = re.compile(r"[:.\-]")
_TWELVE_HEX = re.compile(r"[0-9a-f]{12}")


class Mac(str):
    """An Ethernet address as `52:54:00:aa:bb:01`: lower case, unicast; made by `parse` and `from_bytes` only."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read any usual spelling: colons, hyphens, Cisco's dots, bare hex, or `01-…` as PXELINUX and GRUB write it.

        Raises ValueError where the text is no unicast Ethernet address.
        """
        digits = _SEPARATORS.sub("", text.strip().lower())
        if len(digits) == 14 and digits.startswith("01"):  # hardware type 1, then the address
            digits = digits[2:]
        if not _TWELVE_HEX.fullmatch(digits):
            raise ValueError(f"{text!r} is no MAC address")
        return cls.from_bytes(bytes.fromhex(digits))

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Take the six bytes of `chaddr`; raise ValueError for another length, a group or a zero address."""
        if len(raw) != 6 or raw[0] & 1 or not any(raw):
            raise ValueError(f"{raw.hex()} is no unicast Ethernet address")
        return cls(raw.hex(":"))

    @classmethod
    def standing_for(cls, identity: bytes) -> Self:
        """Make the MAC that stands for a machine which shows another identity: locally administered, no card's.

        It is the same each time, so such a machine can be found among the discovered ones and registered by it.
        """
        digest = hashlib.blake2b(identity, digest_size=5).digest()
        return cls.from_bytes(b"\x02" + digest)

    @property
    def hyphenated(self) -> str:
        """The address as file names and BOOTIF carry it: `52-54-00-aa-bb-01`."""
        return self.replace(":", "-")
