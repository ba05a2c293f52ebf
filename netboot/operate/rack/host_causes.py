"""Finds why hosts do not proceed, for many hosts at once: as `netboot install show` finds it for one.

A cause is found again only after a change: of the install, the newest event, what is overdue or is not served. While a
machine may boot also after a time, because some causes are that nothing happened.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from netboot.boot.install_moves import InstallMoves
from netboot.errors import StoreError
from netboot.events.event_log import EventLog
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.causes.cause import NEWEST_EVENTS, Cause, Shortage
from netboot.model.boot.causes.cause_table import cause_of
from netboot.model.boot.causes.evidence import BY_ANYBODY, NEWEST_BY_ANYBODY, explained
from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.model.host.host import HostName
from netboot.model.install.event import Event
from netboot.model.install.install import Install, InstallState
from netboot.operate.host_status import situation_of

HOSTS_AT_ONCE: Final = 5  # in one query, so that no datagram waits long for its answer
KEPT_FOR: Final = timedelta(seconds=30)  # of a host that may boot
_AT_REST: Final = frozenset({InstallState.REGISTERED, InstallState.READY})


@dataclass(frozen=True, slots=True)
class Suspect:
    """A host whose cause is wanted. `event` is its newest, `machine` the card that booted."""

    install: Install
    event: Event | None
    machine: Machine | None
    is_booting: bool
    is_overdue: bool

    @property
    def is_quiet(self) -> bool:
        """Whether nothing can be wrong: it is at rest, and its newest event needs no explanation."""
        is_at_rest = self.install.state in _AT_REST and not self.install.is_armed and not self.is_booting
        return is_at_rest and (self.event is None or explained(self.event) is None)


@dataclass(frozen=True, slots=True)
class _Found:
    """A cause, what it was found from, and when."""

    key: tuple[object, ...]
    at: datetime
    cause: Cause | None


class HostCauses:
    """The causes that were found last."""

    def __init__(
        self,
        event_log: EventLog,
        install_moves: InstallMoves,
        *,
        durations: Callable[[], ExpectedDurations],
        unserved: Callable[[], Sequence[str]],
        shortage: Callable[[], Shortage | None],
        now: Callable[[], datetime],
    ) -> None:
        self._event_log, self._install_moves = event_log, install_moves
        self._durations, self._unserved, self._shortage, self._now = durations, unserved, shortage, now
        self._found: dict[HostName, _Found] = {}
        self._finding = asyncio.Lock()

    async def of(self, suspects: Sequence[Suspect]) -> Mapping[HostName, Cause | None]:
        """Return the cause of each suspect; while the store fails, those that were found before."""
        unserved, now = tuple(self._unserved()), self._now()
        keys = {each.install.host: _key(each, unserved) for each in suspects if not each.is_quiet}
        async with self._finding:
            self._found = {host: found for host, found in self._found.items() if host in keys}
            stale = (each for each in suspects if each.install.host in keys and self._is_stale(each, keys, now))
            try:
                while some := list(islice(stale, HOSTS_AT_ONCE)):
                    await self._find(some, keys, unserved)
            except StoreError:
                pass  # what was found before stays, and the page shows that the store fails
        return {host: found.cause for host, found in self._found.items()}

    def _is_stale(self, suspect: Suspect, keys: Mapping[HostName, tuple[object, ...]], now: datetime) -> bool:
        found = self._found.get(suspect.install.host)
        if found is None or found.key != keys[suspect.install.host]:
            return True
        return (suspect.is_booting or suspect.install.is_armed) and now - found.at > KEPT_FOR

    async def _find(
        self, suspects: Sequence[Suspect], keys: Mapping[HostName, tuple[object, ...]], unserved: Sequence[str]
    ) -> None:
        hosts = [each.install.host for each in suspects]
        events = await self._event_log.newest_of(
            hosts, limit=NEWEST_EVENTS, apart=BY_ANYBODY, limit_apart=NEWEST_BY_ANYBODY
        )
        histories, now = await self._install_moves.histories(hosts), self._now()
        for each in suspects:
            host = each.install.host
            situation = situation_of(
                each.install,
                [*events[host], *self._event_log.waiting_of(host)],
                histories[host],
                machines=[each.machine] if each.machine is not None else [],
                durations=self._durations(),
                unserved=unserved,
                shortage=self._shortage(),
                now=now,
            )
            self._found[host] = _Found(keys[host], now, cause_of(situation))


def _key(suspect: Suspect, unserved: tuple[str, ...]) -> tuple[object, ...]:
    install, event = suspect.install, suspect.event
    last = (event.at, event.name) if event is not None else None
    return install.version, install.state, install.arming, last, suspect.is_booting, suspect.is_overdue, unserved
