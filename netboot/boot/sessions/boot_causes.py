"""Why a running boot of a host waits longer than it should, from what the daemon has at that moment.

The same causes as `netboot install show` has; while the store fails, from the events that wait for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime

from netboot.errors import StoreError
from netboot.events.event_log import EventLog
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.boot_record import BootRecord
from netboot.model.boot.causes.cause import NEWEST_EVENTS, Cause, Shortage, Situation
from netboot.model.boot.causes.cause_table import cause_of
from netboot.model.boot.causes.evidence import BY_ANYBODY, NEWEST_BY_ANYBODY
from netboot.model.boot.expected_durations import Wait
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event
from netboot.model.install.install import Install


@dataclass(frozen=True, slots=True, eq=False)
class BootCauses:
    """Finds the cause of a boot that waits. `unserved`: what this appliance does not serve now; all are in memory.

    `shortage`: when it had too few descriptors last.
    """

    event_log: EventLog
    _: KW_ONLY
    install_of: Callable[[HostName], Install]
    machine_of: Callable[[Mac], Machine | None]
    unserved: Callable[[], Sequence[str]]
    shortage: Callable[[], Shortage | None]
    now: Callable[[], datetime]

    async def of(self, boot: BootRecord, wait: Wait, *, is_store_answering: bool) -> Cause | None:
        """Return why a boot waits; None if nothing shows it."""
        if boot.host is None:
            return None
        events = await self._events(boot.host, is_store_answering=is_store_answering)
        situation = Situation(
            self.now(),
            self.install_of(boot.host),
            events,
            (),
            record=boot,
            wait=wait,
            machine=self.machine_of(boot.mac),
            unserved=self.unserved(),
            shortage=self.shortage(),
        )
        return cause_of(situation)

    async def _events(self, host: HostName, *, is_store_answering: bool) -> Sequence[Event]:
        waiting = self.event_log.waiting_of(host)
        if not is_store_answering:
            return waiting
        try:
            stored = await self.event_log.newest(
                host, limit=NEWEST_EVENTS, apart=BY_ANYBODY, limit_apart=NEWEST_BY_ANYBODY
            )
            return [*stored, *waiting]
        except StoreError:
            return waiting


def cause_data(cause: Cause | None) -> dict[str, str]:
    """Return a cause as data of an event; empty without one."""
    if cause is None:
        return {}
    shown = {"cause": cause.name, "severity": cause.severity.value, "sentence": cause.sentence, "cure": cause.cure}
    return {**shown, "evidence": "\n".join(cause.evidence)}
