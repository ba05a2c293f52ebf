"""What a BMC was found to do: one row per ability."""

from dataclasses import dataclass
from enum import StrEnum


class Ability(StrEnum):
    """What netboot uses of a BMC, in the order of a table."""

    LOGIN = "login"
    MACHINE = "machine"  # the one that the host declares
    POWER_STATE = "power-state"
    POWER_ON = "power-on"
    POWER_OFF = "power-off"
    POWER_CYCLE = "power-cycle"
    PXE_ONCE = "pxe-once"
    HTTP_ONCE = "http-once"
    BOOT_URI = "boot-uri"
    BOOT_PROGRESS = "boot-progress"


class Works(StrEnum):
    YES = "yes"
    OFFERED = "offered"  # the BMC lists it; it was not tried, because it would change the machine
    NO = "no"
    UNKNOWN = "unknown"  # the BMC does not show it


@dataclass(frozen=True, slots=True)
class ProbedAbility:
    """One row. `detail`: what was read, or why it does not work and what to do."""

    ability: Ability
    works: Works
    detail: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What a BMC is, and what it can do. `quirks`: the names of the entries that apply to it."""

    url: str
    vendor: str
    model: str
    firmware: str  # of the BMC
    bios: str
    redfish: str  # version of the protocol
    certificate_sha256: str  # of the BMC; empty: it was used without TLS
    quirks: tuple[str, ...]
    abilities: tuple[ProbedAbility, ...]
