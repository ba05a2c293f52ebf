"""Records the boots of all machines: a sink of the event bus that has the newest boot of each machine in memory.

The store gets each change later, in batches. A machine that is not registered has few places: any machine can send the
requests of many.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain, product
from typing import Final

from netboot.model.boot.boot_fold import after_event, replaced_by_another, with_moves, with_retry
from netboot.model.boot.boot_record import LONGEST_STEP, BootRecord, BootStep
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.model.install.install import Move
from netboot.store.boots.boot_store import Boots

HOSTS_KEPT: Final = 10_000  # in memory; the boot that changed first is forgotten first
UNREGISTERED_KEPT: Final = 500

_HOSTS_AT_ONCE: Final = 100  # in a query of their histories

Histories = Callable[[Sequence[HostName]], Awaitable[Mapping[HostName, Sequence[Move]]]]
OnMeasured = Callable[[BootRecord, BootStep], None]  # called with each step whose duration is known now


class BootRecorder:
    """The newest boot of each machine. The boots of registered machines are measured."""

    def __init__(self, boots: Boots, *, on_measured: Sequence[OnMeasured] = ()) -> None:
        self.boots = boots
        self._on_measured = on_measured
        self._of_hosts: OrderedDict[HostName, BootRecord] = OrderedDict()
        self._unregistered: OrderedDict[Mac, BootRecord] = OrderedDict()

    async def load(self, now: datetime) -> None:
        """Read the boots that run, after a restart; raise StoreError."""
        for boot in sorted(await self.boots.running(now - LONGEST_STEP), key=lambda boot: boot.last_at):
            self._take(boot)

    async def bring_forward(self, histories: Histories, now: datetime) -> None:
        """Add what the stored moves of installs show and the boots that run lack, after a kill; raise StoreError.

        A boot that another appliance records meanwhile is left to it: it stores a move before its boot.
        """
        newest = {(boot.mac, boot.began_at) for boot in await self.boots.newest_running(now - LONGEST_STEP)}
        running = {host: boot for host, boot in self._of_hosts.items() if (boot.mac, boot.began_at) in newest}
        hosts = list(running)
        for first in range(0, len(hosts), _HOSTS_AT_ONCE):
            changes = {}
            for host, moves in (await histories(hosts[first : first + _HOSTS_AT_ONCE])).items():
                if (forward := with_moves(running[host], moves)) is not running[host]:
                    changes[host] = running[host], forward
            for boot in await self.boots.replace_unchanged(changes) if changes else ():
                self._take(boot)

    def event_happened(self, event: Event, _level: int) -> None:
        """Add an event to the boot of its machine."""
        before = self._boot_for(event)
        folded = after_event(before, event)
        if folded.replaced is not None:
            self.boots.keep(folded.replaced)
        boot = folded.boot
        if boot is None or boot is before:
            return
        if before is None:
            self._end_under_another_name(boot)
        self._keep(boot)
        if boot.host is not None:
            self._unregistered.pop(boot.mac, None)  # it was registered meanwhile, and this is its boot now
            for step, measured in product(folded.measured, self._on_measured):
                measured(boot, step)

    def count_retry(self, host: HostName | None, mac: Mac, step: Step, *, at: datetime) -> None:
        """Count a repeated request or packet of a machine in a step of its running boot."""
        boot = self._of_hosts.get(host) if host is not None else self._unregistered.get(mac)
        if boot is None or (counted := with_retry(boot, step, at)) is boot:
            return
        self._take(counted)
        repeated = counted.step(step)
        if repeated is not None and repeated.retries.bit_count() == 1:  # not each of a thousand is written
            self.boots.keep(counted)

    def newest(self, machine: HostName | Mac) -> BootRecord | None:
        """Return the newest boot of a host, or of a machine that is not registered; None if it is not in memory."""
        return self._of_hosts.get(HostName(machine)) or self._unregistered.get(Mac(machine))

    def running(self, now: datetime) -> list[BootRecord]:
        """List the boots that run now, those of hosts first."""
        return [boot for boot in chain(self._of_hosts.values(), self._unregistered.values()) if boot.is_running(now)]

    def _boot_for(self, event: Event) -> BootRecord | None:
        """Find the boot that an event may continue; a machine that was registered meanwhile continues its own."""
        if event.host is None:
            return self._unregistered.get(event.mac) if event.mac is not None else None
        boot = self._of_hosts.get(event.host)
        if event.mac is not None and (boot is None or boot.end is not None):
            return self._unregistered.get(event.mac, boot)
        return boot

    def _end_under_another_name(self, begun: BootRecord) -> None:
        """End the boot that a machine began before its host was renamed or removed."""
        boots = (boot for boot in self._of_hosts.values() if boot.mac == begun.mac and boot.end is None)
        if (earlier := next(boots, None)) is not None:
            self._keep(replaced_by_another(earlier, begun.began_at))

    def _keep(self, boot: BootRecord) -> None:
        self._take(boot)
        self.boots.keep(boot)

    def _take(self, boot: BootRecord) -> None:
        if boot.host is not None:
            self._of_hosts[boot.host] = boot
            self._of_hosts.move_to_end(boot.host)
            if len(self._of_hosts) > HOSTS_KEPT:
                self._of_hosts.popitem(last=False)
            return
        self._unregistered[boot.mac] = boot
        self._unregistered.move_to_end(boot.mac)
        if len(self._unregistered) > UNREGISTERED_KEPT:
            self._unregistered.popitem(last=False)
