"""What only a running daemon can do for an operator, and its results. `app` has the daemon itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, Self

from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.record_files import RecordKind
from netboot.model.appliances.known_appliance import ApplianceState
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.boot_progress import BootProgress
from netboot.model.boot.causes.cause import Shortage
from netboot.model.boot.other_server import OtherServer
from netboot.model.host.mac import Mac
from netboot.model.release import EntryName

NO_DAEMON: Final = "no daemon runs; start it with systemctl start netboot"


@dataclass(frozen=True, slots=True)
class DiskUse:
    """The disk that the records of boots and the store take of `records.budget`, in bytes."""

    directory: Path
    budget: int
    used: int
    logs: int
    captures: int
    store: int

    @classmethod
    def of(cls, budget: DiskBudget) -> Self:
        logs, captures = budget.used[RecordKind.LOG], budget.used[RecordKind.CAPTURE]
        used = logs + captures + budget.store_bytes
        return cls(budget.files.directory, budget.budget_bytes, used, logs, captures, budget.store_bytes)


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """The state of a running daemon. `problems` keep machines from being served as declared."""

    version: str
    pid: int
    started_at: datetime
    hosts: int
    machines: int
    media: Sequence[str]
    releases: Sequence[str]
    pulls: Sequence[str]
    problems: Sequence[str]
    loaders: Mapping[str, str]
    warnings: Sequence[str] = ()  # of machines that were seen
    other_servers: Sequence[OtherServer] = ()  # of the last day
    unobserved: Sequence[str] = ()  # why other servers are not seen on some interface
    records: DiskUse | None = None  # None: neither logs nor captures are kept
    appliances: Sequence[ApplianceState] = ()  # of a store that several may share; this one is the first
    image_pulls: Sequence[str] = ()  # digests of the blobs of images that machines requested a moment ago


@dataclass(frozen=True, slots=True)
class ApplianceStatus:
    """The daemon's state, with the id of the newest event, or why the store does not answer."""

    daemon: DaemonStatus
    last_event_id: int | None
    store_fault: str | None


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What a reload put in force, what waits for a restart, and the hosts whose arming ended."""

    hosts: int
    needs_restart: Sequence[str]
    armings_ended: Sequence[str]
    problems: Sequence[str]
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class RescanRequest:
    """The entry of the content to read again, or None for all; `change` is what was done to it, for the audit trail."""

    entry: EntryName | None = None
    change: str = ""


@dataclass(frozen=True, slots=True)
class RescanResult:
    """The content that is served now, what is not served, and the hosts whose arming ended."""

    media: Sequence[str]
    releases: Sequence[str]
    problems: Sequence[str]
    armings_ended: Sequence[str]


class RunningDaemon(Protocol):
    def status(self) -> DaemonStatus: ...

    def problems(self) -> list[str]: ...  # what keeps machines from being served as declared

    def unserved(self) -> list[str]: ...  # the interfaces and ports on which no machine boots now
    def shortage(self) -> Shortage | None: ...  # when it had too few descriptors for machines last

    def pulls(self) -> list[str]: ...  # the releases that machines pull now

    def image_pulls(self) -> list[str]: ...  # the blobs of images that machines requested a moment ago

    def boot_progress(self, mac: Mac) -> BootProgress | None: ...  # of what is sent to a machine now

    def discovered(self) -> list[Machine]: ...  # the unregistered machines

    async def reload(self) -> ReloadResult: ...  # raises ConfigError and keeps the previous files if they have faults

    async def rescan_content(self, entry: EntryName | None) -> RescanResult: ...
