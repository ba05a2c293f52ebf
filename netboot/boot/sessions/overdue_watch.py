"""Emits one event for each step of a running boot that does not come in time.

A machine that is not registered causes none, and neither does a boot that waits for an operator.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from netboot.boot.sessions.boot_causes import BootCauses, cause_data
from netboot.boot.sessions.boot_recorder import BootRecorder
from netboot.boot.sessions.learned_durations import LearnedDurations
from netboot.errors import StoreError
from netboot.events.event_bus import EventBus
from netboot.model.boot.boot_record import BootRecord
from netboot.model.boot.causes.cause import Cause
from netboot.model.boot.expected_durations import Wait
from netboot.model.clock import Clock
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.store.boots.boot_store import Boots
from netboot.telemetry.metrics import Reading

EVERY_S: Final = 1.0
CLOCK_SET: Final = timedelta(seconds=5)  # a difference to the monotonic clock that is no adjustment of its rate

_Key = tuple[Mac, datetime, Step]  # one step of one boot


class OverdueWatch:
    """Compares the running boots of hosts with what is expected of them, once a second.

    It counts from its own start, and again after the clock was set: a step may have come in the time before.
    `on_unseen` is called with a host whose installed system did not show itself after its first local boot. `is_held`:
    a rollout lets a host join later, so that the report of its end is not waited for.
    """

    def __init__(
        self,
        recorder: BootRecorder,
        durations: LearnedDurations,
        boots: Boots,
        *,
        hosts: Callable[[], HostSet],
        causes: BootCauses,
        on_unseen: Callable[[Host], None],
        events: EventBus,
        clock: Clock,
        is_held: Callable[[HostName], bool] = lambda _: False,
    ) -> None:
        self._recorder, self._durations, self._boots, self._causes = recorder, durations, boots, causes
        self._hosts, self._on_unseen, self._is_held = hosts, on_unseen, is_held
        self._events, self._clock = events, clock
        self._judged: set[_Key] = set()
        self._since, self._monotonic_epoch = clock.now(), self._epoch()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.judge()

    async def judge(self) -> None:
        """Emit an event for each step that is overdue now and was not before."""
        self._notice_set_clock()
        overdue = {(boot.mac, boot.began_at, wait.step): (boot, wait) for boot, wait in self._overdue()}
        self._judged.intersection_update(overdue)
        is_store_answering = True
        for key, (boot, wait) in overdue.items():
            if key in self._judged:
                continue
            self._judged.add(key)
            try:
                if is_store_answering and await self._is_left_to_another(boot, wait.step):
                    continue
            except StoreError:
                is_store_answering = False
            cause = await self._causes.of(boot, wait, is_store_answering=is_store_answering)
            self._emit(boot, wait, cause)
            if is_unseen_after_local_boot(boot, wait) and (host := self._hosts().by_mac(boot.mac)) is not None:
                self._on_unseen(host)

    def readings(self) -> Iterator[Reading]:
        """Read how many running boots wait for a step whose event was emitted."""
        yield Reading("boots_overdue", sum(wait.step in boot.overdue for boot, wait in self._waiting()))

    def _overdue(self) -> Iterator[tuple[BootRecord, Wait]]:
        """Find the boots whose next step is overdue, without those that have an event."""
        now = self._clock.now()
        for boot, wait in self._waiting():
            is_new = wait.step not in boot.overdue and wait.is_overdue(now)
            if is_new and now - self._since > timedelta(seconds=wait.expected.limit_s):
                yield boot, wait

    def _waiting(self) -> Iterator[tuple[BootRecord, Wait]]:
        """Find the running boots of hosts that wait for a step.

        A host may be renamed, removed or get another card while its machine boots.
        """
        hosts = self._hosts()
        for boot in self._recorder.running(self._clock.now()):
            host = hosts.by_mac(boot.mac)
            wait = self._durations.now.wait_of(boot) if host is not None and host.name == boot.host else None
            if wait is None or (wait.step is Step.READY and host is not None and self._is_held(host.name)):
                continue
            yield boot, wait

    def _notice_set_clock(self) -> None:
        epoch = self._epoch()
        if abs(epoch - self._monotonic_epoch) > CLOCK_SET:
            self._since = self._clock.now()
        self._monotonic_epoch = epoch

    def _epoch(self) -> datetime:
        """Return the time at which the monotonic clock was 0."""
        return self._clock.now() - timedelta(seconds=self._clock.monotonic())

    async def _is_left_to_another(self, boot: BootRecord, step: Step) -> bool:
        """Return whether the boot goes on, or its overdue step was reported, at another appliance; raise StoreError."""
        return await self._goes_on_elsewhere(boot) or not await self._boots.claim_overdue(boot, step)

    async def _goes_on_elsewhere(self, boot: BootRecord) -> bool:
        """Return whether the machine showed more to another appliance on the same store; raise StoreError.

        After the clock was set back, an earlier boot may have later times, or times to come.
        """
        stored = await self._boots.of_host(boot.host) if boot.host is not None else []
        now = self._clock.now()
        later = [each for each in stored if each.began_at >= boot.began_at or each.is_same_boot(boot)]
        return any(boot.last_at < each.last_at <= now for each in later)

    def _emit(self, boot: BootRecord, wait: Wait, cause: Cause | None) -> None:
        expected = wait.expected
        data = {
            "waits_for": wait.step.value,
            "since": wait.since.isoformat(),
            "expected_s": round(expected.median_s, 1),
            "limit_s": round(expected.limit_s, 1),
            "boots": expected.boots,
            **cause_data(cause),
        }
        self._events.emit("boot.step_overdue", data, host=boot.host, mac=boot.mac, level=logging.WARNING)


def is_unseen_after_local_boot(boot: BootRecord, wait: Wait) -> bool:
    """Return whether a boot waits for the first that its installed system sends after it was led to its disk."""
    is_first = wait.step is Step.IGNITION or (wait.step is Step.READY and boot.step(Step.IGNITION) is None)
    return is_first and boot.step(Step.LOCAL_BOOT) is not None
