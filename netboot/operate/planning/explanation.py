"""Where each value of a host comes from, and what its machine gets now: the result of `explain`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from netboot.errors import Problem
from netboot.operate.host_status import InstallReport
from netboot.operate.planning.next_boot import NextBoot


@dataclass(frozen=True, slots=True)
class ValueOrigin:
    """Where a value is written: `defaults.timezone` in `hosts.yaml`, line 5, column 13."""

    where: str
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class SourcedValue:
    """One value in force, without secrets; several origins if one layer adds to another's list.

    `recorded_at`: when an address from a pool was recorded; None if it is not, or is from no pool.
    """

    key: str  # network.gateway
    value: object
    origins: Sequence[ValueOrigin]
    overridden: Sequence[ValueOrigin]
    is_allocated: bool = False  # from a pool
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WrittenValues:
    """The values of a host as its files have them now, and the faults that affect it."""

    values: Sequence[SourcedValue]
    faults: Sequence[Problem]


@dataclass(frozen=True, slots=True)
class HostExplanation:
    """`install` is None if the daemon has not read the file of the host yet."""

    host: str
    written: WrittenValues
    install: InstallReport | None
    next_boot: NextBoot
