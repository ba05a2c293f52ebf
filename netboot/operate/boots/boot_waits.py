"""What the running boots of hosts wait for, from the store: the same with and without a daemon."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from netboot.model.boot.boot_record import LONGEST_STEP
from netboot.model.boot.expected_durations import ExpectedDurations, Wait
from netboot.model.host.host import HostName

if TYPE_CHECKING:
    from netboot.boot.sessions.learned_durations import LearnedDurations
    from netboot.store.boots.boot_store import Boots  # slow to load


@dataclass(frozen=True, slots=True)
class WaitStatus:
    """What the running boot of a host waits for, and whether that is overdue."""

    wait: Wait
    is_overdue: bool

    @classmethod
    def of(cls, wait: Wait | None, now: datetime) -> "WaitStatus | None":
        return cls(wait, wait.is_overdue(now)) if wait is not None else None


@dataclass(frozen=True, slots=True, eq=False)
class BootWaits:
    """Reads the running boots of hosts, and compares them with what is expected here."""

    boots: "Boots"
    durations: "LearnedDurations"
    now: Callable[[], datetime]

    async def expected(self) -> ExpectedDurations:
        """Return what is expected here; raise StoreError."""
        await self.durations.load_once()
        return self.durations.now

    async def of_all(self) -> dict[HostName, WaitStatus]:
        """Return what each host waits for that boots now, and not for an operator; raise StoreError."""
        expected, now = await self.expected(), self.now()
        await self.boots.flush()  # of this process, which writes later
        running = await self.boots.newest_running(now - LONGEST_STEP)
        waits = {boot.host: WaitStatus.of(expected.wait_of(boot), now) for boot in running}
        return {host: wait for host, wait in waits.items() if host is not None and wait is not None}
