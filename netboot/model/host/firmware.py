"""How one firmware is told what to load: the shape of the reply, and the loader that it names."""

from dataclasses import dataclass
from enum import StrEnum


class ReplyVariant(StrEnum):
    """How an offer leads a PXE firmware to its loader; the words of `hosts.X.firmware`."""

    WITH_43 = "with-43"  # option 43 says: take the named file, ask nobody
    WITHOUT_43 = "without-43"  # no option 43: the firmware asks port 4011, and is told there


class RomIpxe(StrEnum):
    """What becomes of an iPXE in a card's ROM; the words of `hosts.X.rom_ipxe`."""

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
            raise ValueError(f"{text!r} is no shape of a boot")
        return cls(ReplyVariant(reply), loader)
