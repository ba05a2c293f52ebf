"""The boot variant of a firmware: the reply variant, and the loader that the reply names."""

from dataclasses import dataclass
from enum import StrEnum


class ReplyVariant(StrEnum):
    """How an offer names the loader to a PXE firmware; the values of `hosts.X.firmware`."""

    WITH_43 = "with-43"  # option 43: load the named file without a further request
    WITHOUT_43 = "without-43"  # no option 43: the firmware requests the file on port 4011


class RomIpxe(StrEnum):
    """How an iPXE in a card's ROM is treated; the values of `hosts.X.rom_ipxe`."""

    KEEP = "keep"  # it gets its script at once
    REPLACE = "replace"  # too old for a script: it gets the loader first, as any firmware does


@dataclass(frozen=True, slots=True)
class BootVariant:
    """A reply and the loader in it, a name below `bootfiles.directories`."""

    reply: ReplyVariant
    loader: str

    def __str__(self) -> str:
        return f"{self.reply} {self.loader}"

    @classmethod
    def parse(cls, text: str) -> "BootVariant":
        """Read what `str` wrote; raise ValueError."""
        reply, _, loader = text.partition(" ")
        if not loader:
            raise ValueError(f"{text!r} is not a boot variant")
        return cls(ReplyVariant(reply), loader)
