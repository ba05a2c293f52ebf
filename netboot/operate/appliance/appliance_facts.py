"""What an operator reads of this appliance: the settings in force, versions, disks, interfaces. Values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """A setting of `netboot.yaml`; `value` is as it can be written, `hidden` for a secret, empty for none.

    `file` and `line` say where it is written; without them it has its default. `waits_for_restart`: the file has
    another value, which a restart puts in force.
    """

    key: str
    value: str
    description: str
    file: str | None = None
    line: int | None = None
    waits_for_restart: bool = False


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The file system of what the appliance keeps; `problem` if it cannot be read."""

    holds: str
    path: Path
    total_bytes: int = 0
    free_bytes: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class InterfaceFacts:
    """A network interface of this appliance; `serves_boots`: it is one of `network.interfaces`."""

    name: str
    addresses: Sequence[str]
    is_up: bool
    has_carrier: bool
    mtu_bytes: int
    serves_boots: bool


@dataclass(frozen=True, slots=True)
class ApplianceFacts:
    """What is read of the appliance at one moment; `versions` of netboot and of what it runs on."""

    versions: Mapping[str, str]
    disks: Sequence[DiskSpace]
    interfaces: Sequence[InterfaceFacts]
