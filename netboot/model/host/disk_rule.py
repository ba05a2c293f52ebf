"""The rule by which the installer finds the one disk that it may write."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_UNITS: Final = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6))


class DiskChoice(StrEnum):
    """Which of several disks that fit is used."""

    SMALLEST = "smallest"
    LARGEST = "largest"


@dataclass(frozen=True, slots=True)
class DiskRule:
    """What a disk must have; all that is set must hold. Exactly one disk must fit, unless `choose` selects one."""

    serial: str | None = None
    wwn: str | None = None
    model: str | None = None  # how its model begins
    min_bytes: int | None = None
    max_bytes: int | None = None
    rotational: bool | None = None
    choose: DiskChoice | None = None

    def __str__(self) -> str:
        """Return the rule as messages and the record of an arming have it."""
        named = [(name, getattr(self, name)) for name in ("serial", "wwn", "model")]
        parts = [f"{name} {value}" for name, value in named if value is not None]
        if self.min_bytes is not None:
            parts.append(f"at least {size_text(self.min_bytes)}")
        if self.max_bytes is not None:
            parts.append(f"at most {size_text(self.max_bytes)}")
        if self.rotational is not None:
            parts.append("rotational" if self.rotational else "not rotational")
        if self.choose is not None:
            parts.append(f"the {self.choose}")
        return ", ".join(parts)


def size_text(size_bytes: int) -> str:
    """Return a size as disks are sold: decimal, in the largest unit that divides it."""
    return next(
        (f"{size_bytes // size} {unit}" for unit, size in _UNITS if size_bytes % size == 0), f"{size_bytes} bytes"
    )
