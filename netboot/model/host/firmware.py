"""What is chosen for a firmware: the boot variant, and the method by which it is led to its machine's own disk.

A boot variant is the reply variant, and the loader that the reply names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final


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


class LocalBootMethod(StrEnum):
    """How a machine is led to its disk; the values of `hosts.X.local_boot`."""

    EXIT = "exit"  # the script ends its loader with an error: the firmware continues with its next boot entry
    SANBOOT = "sanboot"  # iPXE starts the loader on the disk: drive 0x80 of a BIOS, by UEFI \EFI\redhat\shimx64.efi
    GRUB = "grub"  # GRUB starts the loader on the disk
    NO_FILE = "no-file"  # an offer without a boot file: PXE-E21 of EDK2, the menu of a BIOS with the local disk alone
    HTTP_404 = "http-404"  # UEFI HTTP boot: the URL of a file that does not exist
    NO_OFFER = "no-offer"  # no reply to its DISCOVERs: the firmware gives up after about a minute


BY_SCRIPT: Final = frozenset({LocalBootMethod.EXIT, LocalBootMethod.SANBOOT, LocalBootMethod.GRUB})


class LocalBootState(StrEnum):
    """What is known of the method by which one firmware is led to its disk."""

    UNTRIED = "untried"
    DOUBTED = "doubted"  # its machine came back at once
    VERIFIED = "verified"  # the installed system showed itself after it
    RESTING = "resting"  # every method failed: the first, or the one that worked once, is used for an hour


_TIMES: Final = ("led_at", "since", "unheard")


@dataclass(frozen=True, slots=True)
class LocalBoot:
    """What is known of the local boot of one firmware of one machine."""

    method: LocalBootMethod
    state: LocalBootState = LocalBootState.UNTRIED
    returns: int = 0  # how often in a row it came back at once
    led_at: datetime | None = None  # when it was led to its disk last, until its end is known
    since: datetime | None = None  # of the state
    worked: LocalBootMethod | None = None  # the method after which the installed system showed itself last
    why: str = ""  # why this method: what happened after the one before, or what the installed system sent
    unheard: datetime | None = None  # the `led_at` after which its node did not report in time, which was recorded

    def as_json(self) -> dict[str, Any]:
        """Return what the store keeps."""
        times = {name: at.isoformat() for name in _TIMES if (at := getattr(self, name))}
        worked = {"worked": self.worked.value} if self.worked else {}
        return {
            "method": self.method.value,
            "state": self.state.value,
            "returns": self.returns,
            "why": self.why,
            **times,
            **worked,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "LocalBoot | None":
        """Read what the store has; None if another version wrote it."""
        try:
            led_at, since, unheard = (
                datetime.fromisoformat(text) if (text := stored.get(name)) else None for name in _TIMES
            )
            worked = stored.get("worked")
            return cls(
                LocalBootMethod(stored["method"]),
                LocalBootState(stored["state"]),
                int(stored["returns"]),
                led_at,
                since,
                LocalBootMethod(worked) if worked else None,
                str(stored.get("why") or ""),
                unheard,
            )
        except (KeyError, TypeError, ValueError):
            return None


_REASONS: Final = {
    "": "the first method, tried",
    "came-back": "tried, because the machine came back at once after the method before",
    "unseen": "tried, because the installed system did not show itself after the method before",
    "ignition": "the installed system requested its Ignition after it",
    "ready": "the installed system became ready after it",
    "report": "the installed node sent its report after it",
}


def local_boot_reason(known: LocalBoot) -> str:
    """State why this method is used, in words."""
    reason = _REASONS.get(known.why, known.why)
    match known.state:
        case LocalBootState.RESTING:
            return "no method is left; this one is tried again"
        case LocalBootState.DOUBTED if known.returns:
            return f"{reason}; the machine came back at once, {known.returns} times"
        case _:
            return reason
