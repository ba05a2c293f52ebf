"""The boots of machines as an operator sees them: those that are kept, and those that run, with their progress.

With a daemon the running boots are those in its memory; without one all are read from the store.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from netboot.errors import NetbootError
from netboot.model.boot.boot_progress import BootProgress
from netboot.model.boot.boot_record import LONGEST_STEP, BootRecord
from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.operate.boots.boot_waits import BootWaits, WaitStatus
from netboot.operate.boots.merged_boots import merged_boots

if TYPE_CHECKING:
    from netboot.boot.sessions.boot_recorder import BootRecorder  # slow to load, as its database


class NoBootError(NetbootError):
    """No such boot of this machine is kept."""

    code = "boot-unknown"


@dataclass(frozen=True, slots=True)
class ShownBoot:
    """A boot, its number among the kept ones of its machine (1 is the oldest), and how far what it waits for is."""

    record: BootRecord
    number: int | None = None  # None in the list of the boots of all machines
    boots: int | None = None
    progress: BootProgress | None = None  # None: nothing is sent to it now, or no daemon runs
    wait: WaitStatus | None = None  # what it waits for, and how long that takes here; None: it does not run
    is_inactive: bool = False  # it has not ended, and showed nothing for so long that it does not run any longer


class BootHistory:
    def __init__(
        self,
        recorder: "BootRecorder",
        waits: BootWaits,
        known: Callable[[str], Awaitable[HostName | Mac]],
        *,
        progress: Callable[[Mac], BootProgress | None] | None,
        now: Callable[[], datetime],
    ) -> None:
        """`known` finds a host by name or a machine by MAC, else raises UnknownHostError.

        `progress` is the daemon's, if this is its process: how far what is sent to a machine now is.
        """
        self._recorder, self._boots, self._waits = recorder, recorder.boots, waits
        self._known, self._progress, self._now = known, progress, now

    async def all(self, name: str) -> list[ShownBoot]:
        """List the kept boots of a machine, the oldest first; raise UnknownHostError, StoreError."""
        records, expected = await self._records(await self._known(name)), await self._waits.expected()
        return [self._shown(record, expected, number, len(records)) for number, record in enumerate(records, start=1)]

    async def show(self, name: str, *, boot: int = 0) -> ShownBoot:
        """Show a boot: 0 is the last one, -1 the one before, 1 the oldest, as in journalctl(1); raise NoBootError."""
        found = await self.all(name)
        index = boot - 1 if boot > 0 else boot + len(found) - 1
        if not 0 <= index < len(found):
            what = f"boot {boot} of {name}" if found else f"boot of {name}"
            kept = f"there are {len(found) or 'none'}: netboot install history {name} --boots"
            raise NoBootError(f"no {what} is kept; {kept}")
        return found[index]

    async def expected(self) -> ExpectedDurations:
        """Return how long each step normally takes here; raise StoreError."""
        return await self._waits.expected()

    async def running(self) -> list[ShownBoot]:
        """List the boots that run now, those of hosts first, each in the order of its name; raise StoreError."""
        now = self._now()
        if self._progress is not None:
            records: Sequence[BootRecord] = self._recorder.running(now)
        else:
            records = merged_boots(await self._boots.running(now - LONGEST_STEP))
        ordered = sorted(records, key=lambda record: (record.host is None, record.host or "", record.mac))
        expected = await self._waits.expected()
        return [self._shown(record, expected) for record in ordered]

    async def _records(self, machine: HostName | Mac) -> list[BootRecord]:
        """Read the boots of a machine; the newest may be in memory alone, or be newer there.

        Of a boot that several appliances on one store have recorded, there is one record.
        """
        if isinstance(machine, Mac):
            stored = await self._boots.of_unregistered(machine)
        else:
            stored = await self._boots.of_host(machine)
        newest = self._recorder.newest(machine)
        if newest is not None:
            stored = [each for each in stored if (each.mac, each.began_at) != (newest.mac, newest.began_at)] + [newest]
        return merged_boots(stored)

    def _shown(
        self, record: BootRecord, expected: ExpectedDurations, number: int | None = None, boots: int | None = None
    ) -> ShownBoot:
        now = self._now()
        is_running = record.is_running(now)
        progress = self._progress(record.mac) if self._progress is not None and is_running else None
        wait = WaitStatus.of(expected.wait_of(record), now) if is_running else None
        return ShownBoot(record, number, boots, progress, wait, is_inactive=record.end is None and not is_running)
