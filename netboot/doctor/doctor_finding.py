"""What a check of the doctor found: its level, one sentence, the evidence and the cure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

NO_INTERFACE: Final = "network.interfaces names no interface, and no --interface was given"  # why a check did not run


class Level(StrEnum):
    """How much a finding matters."""

    PROBLEM = "problem"  # would stop a boot; exit code 1
    WARNING = "warning"  # stops some machines, or a boot in some state
    NOTE = "note"  # worth knowing; nothing to do


class Area(StrEnum):
    """What the doctor examines, in the order of its output."""

    BOX = "box"
    CONFIGURATION = "configuration"
    CONTENT = "content"
    LAN = "lan"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One finding. `check` is the id of the check that found it, such as `box.ports`: its row in docs/doctor.md."""

    check: str
    level: Level
    sentence: str
    evidence: tuple[str, ...] = ()
    cure: str | None = None


@dataclass(frozen=True, slots=True)
class AreaReport:
    """The findings of one area, the ids of the checks that ran, and why others did not run."""

    area: Area
    findings: tuple[DoctorFinding, ...] = ()
    checked: tuple[str, ...] = ()
    not_checked: Mapping[str, str] = field(default_factory=dict)
