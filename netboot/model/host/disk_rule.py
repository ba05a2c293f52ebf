"""The rule by which the installer finds the one disk that it may write. Pure.

`matches` and `problem_with` decide about inspected disks as kickstart/disk_rule.ks.j2 decides on the machine.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netboot.model.host.hardware import InspectedDisk

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

    @property
    def wanted(self) -> Mapping[str, str]:
        """Return its texts in small letters, with one underscore for each run of blanks, as `spelled` of the script."""
        texts = {"serial": self.serial, "wwn": self.wwn, "model": self.model}
        return {name: _spelled(text or "") for name, text in texts.items()}

    def matches(self, disk: InspectedDisk) -> bool:
        """Return whether a disk is what the rule describes, its `choose` aside; one without a size is no disk."""
        wanted, size = self.wanted, disk.size_bytes or 0
        return (
            disk.read_only is False
            and disk.removable is False
            and size > 0
            and (self.min_bytes is None or size >= self.min_bytes)
            and (self.max_bytes is None or size <= self.max_bytes)
            and (self.rotational is None or disk.rotational is self.rotational)
            and (not wanted["serial"] or wanted["serial"] in map(_spelled, disk.serials))
            and (not wanted["wwn"] or wanted["wwn"] in map(_spelled, disk.wwns))
            and (not wanted["model"] or _spelled(disk.model).startswith(wanted["model"]))
        )

    def problem_with(self, disks: Sequence[InspectedDisk]) -> str | None:
        """Return why this rule does not describe exactly one of these disks; None if it does."""
        fitting = [disk for disk in disks if self.matches(disk)]
        if not fitting:
            return "no disk fits"
        if self.choose is not None:
            fitting.sort(key=lambda disk: disk.size_bytes or 0, reverse=self.choose is DiskChoice.LARGEST)
            fitting = [disk for disk in fitting if disk.size_bytes == fitting[0].size_bytes]
        names = " and ".join(disk.name for disk in fitting)
        if len(fitting) == 1:
            return None
        return f"{names} have the same size, and all fit" if self.choose else f"{names} all fit"

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


def _spelled(text: str) -> str:
    return re.sub(r"[ _]+", "_", text.lower()).strip("_")


def disk_problem(disk: str | DiskRule, disks: Sequence[InspectedDisk]) -> str | None:
    """Return why `disk`, a path or a rule, is not exactly one of the inspected disks; None if it is, or not known."""
    if isinstance(disk, DiskRule):
        return disk.problem_with(disks)
    is_known = disk.startswith(("/dev/disk/by-path/", "/dev/disk/by-id/")) or disk.count("/") == 2
    paths = {path for each in disks for path in (f"/dev/{each.name}", *each.by_path, *each.by_id)}
    return "no disk fits" if is_known and disk not in paths else None


def disk_mismatch(host: str, disk: str | DiskRule, disks: Sequence[InspectedDisk]) -> str | None:
    """Return the sentence that names the host's `disk` and its inspected disks, if it is not exactly one of them."""
    problem = disk_problem(disk, disks)
    if problem is None:
        return None
    found = ", ".join(each.name for each in disks) or "none"
    return f"{problem} hosts.{host}.disk ({disk}) among the disks of its last inspection ({found})"
