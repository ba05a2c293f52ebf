"""Reads what differs per vendor, model and firmware (`assets/bmc/quirks.yaml`), and selects what applies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from netboot.errors import ConfigError
from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.files import read_text
from netboot.yamlfile.nodes import Table
from netboot.yamlfile.positions import parse
from netboot.yamlfile.sections import TABLE_EXPECTED, Section, described, read_section
from netboot.yamlfile.value_kinds import Flag, Name, choice, text_of, whole_number

_TEXT: Final = re.compile(r"[^\x00-\x1f]+")


class ResetStep(StrEnum):
    """Types of reset of Redfish (DSP0268, Resource.ResetType), and what does the same in two."""

    ON = "On"
    FORCE_ON = "ForceOn"
    FORCE_OFF = "ForceOff"
    GRACEFUL_SHUTDOWN = "GracefulShutdown"
    FORCE_RESTART = "ForceRestart"
    GRACEFUL_RESTART = "GracefulRestart"
    POWER_CYCLE = "PowerCycle"
    PUSH_POWER_BUTTON = "PushPowerButton"
    OFF_ON = "off-on"  # the types of `reset_off`, then, when the machine is off, those of `reset_on`


class SendEnabled(StrEnum):
    """When `BootSourceOverrideEnabled` is sent."""

    CHANGED = "changed"  # only if it is another one than the BMC reports
    ALWAYS = "always"


class SendMode(StrEnum):
    """Which `BootSourceOverrideMode` is sent."""

    NEVER = "never"
    CURRENT = "current"  # the one that the BMC reports, which it loses else
    UEFI = "uefi"


class BootUriWay(StrEnum):
    """How a boot URL is written into the firmware."""

    HTTP_BOOT_URI = "http-boot-uri"  # ComputerSystem.Boot.HttpBootUri
    BIOS = "bios"  # the attributes of `bios_steps`
    NONE = "none"


Text = Annotated[str, text_of(_TEXT, "text", cure="write one line")]
Seconds = Annotated[int, whole_number(0, 60, "seconds, 0–60")]
Times = Annotated[int, whole_number(1, 10, "whole number, 1–10")]
Step = Annotated[ResetStep, choice(ResetStep)]


class RetrySection(Section):
    """An answer after which the same request is sent again."""

    message: Text = Field(description="A part of the id or text of the BMC's message.", examples=["SYS518"])
    times: Times = described(3, "How often at most.")
    wait_s: Seconds = described(5, "The time before each.")


class QuirkSection(Section):
    """What is special of some machines."""

    name: Name = Field(description="Its name in the table of a probe.", examples=["supermicro"])
    vendor: tuple[Text, ...] = described((), "How the manufacturer's name begins, in any case.")
    model: tuple[Text, ...] = described((), "How the model begins.")
    firmware: tuple[Text, ...] = described((), "How the version of the BMC's firmware begins.")
    reset_on: tuple[Step, ...] | None = described(None, "Types of reset that power on, in the order of trying.")
    reset_off: tuple[Step, ...] | None = described(None, "Types that power off.")
    reset_cycle: tuple[Step, ...] | None = described(None, "Types that restart.")
    send_enabled: Annotated[SendEnabled, choice(SendEnabled)] | None = described(
        None, "When BootSourceOverrideEnabled is sent."
    )
    send_mode: Annotated[SendMode, choice(SendMode)] | None = described(None, "Which BootSourceOverrideMode is sent.")
    reads_back: Flag | None = described(None, "The boot is read again after it was set, until the BMC reports it.")
    http_once: Flag | None = described(None, "A one-time UEFI HTTP boot is possible.")
    boot_uri: Annotated[BootUriWay, choice(BootUriWay)] | None = described(
        None, "How a boot URL is written into the firmware."
    )
    bios_steps: tuple[Mapping[str, Text], ...] | None = described(
        None, "BIOS attributes, each table in one request; {uri} and {interface} are replaced."
    )
    remaining: tuple[Text, ...] | None = described(None, "What is left to do after a boot URL was written.")
    retry: tuple[RetrySection, ...] | None = described(None, "Answers after which a request is sent again.")


class QuirksDocument(Section):
    """A file of quirks."""

    quirks: tuple[QuirkSection, ...] = described((), "The entries, the general ones first.")


@dataclass(frozen=True, slots=True)
class MachineKind:
    """What a machine is, for the choice of quirks."""

    vendor: str
    model: str
    firmware: str


@dataclass(frozen=True, slots=True)
class Quirks:
    """What applies to one machine; `names`: the entries that it comes from."""

    names: tuple[str, ...]
    values: QuirkSection


@dataclass(frozen=True, slots=True)
class KnownQuirks:
    """All entries, in their order."""

    entries: tuple[QuirkSection, ...]

    def needs_firmware(self, vendor: str, model: str) -> bool:
        """Return whether the firmware of the BMC decides which entries apply to a machine."""
        return any(_matches(entry, vendor, model) for entry in self.entries if entry.firmware)

    def of(self, kind: MachineKind) -> Quirks:
        """Return what applies to a machine."""
        found = [
            entry
            for entry in self.entries
            if _matches(entry, kind.vendor, kind.model)
            and (not entry.firmware or kind.firmware.startswith(entry.firmware))
        ]
        merged = reduce(_over, found[1:], found[0])
        return Quirks(tuple(entry.name for entry in found), merged)


def _matches(entry: QuirkSection, vendor: str, model: str) -> bool:
    vendor = vendor.casefold()
    is_of_vendor = not entry.vendor or vendor.startswith(tuple(name.casefold() for name in entry.vendor))
    return is_of_vendor and (not entry.model or model.startswith(entry.model))


def _over(below: QuirkSection, entry: QuirkSection) -> QuirkSection:
    given = {name: value for name in entry.model_fields_set if (value := getattr(entry, name)) is not None}
    return below.model_copy(update=given)


def read_quirks(*paths: Path) -> KnownQuirks:
    """Read files of quirks, the shipped one first; raise ConfigError with every fault."""
    faults, entries = Faults(), list[QuirkSection]()
    for path in paths:
        text = read_text(path, faults, place=Place(str(path)))
        tree = None if text is None else parse(text, str(path), faults)
        if isinstance(tree, Table):
            entries += read_section(QuirksDocument, tree, faults).quirks
        elif text is not None and not faults:
            what, cure = TABLE_EXPECTED
            faults.add(Place(str(path)), "", what=what, cure=cure)
    if faults:
        raise ConfigError(faults.problems)
    return KnownQuirks(tuple(entries))
