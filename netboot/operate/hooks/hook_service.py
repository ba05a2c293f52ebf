"""Delivers what waits for the hooks: a few attempts of each hook at a time, failed ones again and again for days.

No boot waits for it: it reads the table that the event log fills. A receiver that hangs delays its own attempts only.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import structlog

from netboot.errors import StoreError
from netboot.events.event_bus import EventBus
from netboot.model.clock import Clock
from netboot.model.hook import Hook
from netboot.operate.hooks.attempt import Accepted, Failed, Outcome
from netboot.operate.hooks.delivery_queue import Delivery, DeliveryQueue, SettledAttempt
from netboot.operate.hooks.hook_message import HookMessage
from netboot.operate.hooks.hook_outbox import HookOutbox
from netboot.operate.hooks.receivers import Receivers
from netboot.telemetry.logs import LineLimit
from netboot.telemetry.metrics import Metrics

AT_ONCE: Final = 4  # attempts of one hook
MOST_WAITING: Final = 10_000  # deliveries of one hook
KEPT_WAITING: Final = 9_900  # once it has more: so the events about lost deliveries are few
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 600.0
GIVEN_UP_AFTER: Final = timedelta(days=3)
STOP_S: Final = 2.0  # that attempts have at a stop
_CLAIM_S: Final = 15.0  # that a claim lasts longer than its attempt: the outcome is stored meanwhile
_RETRY_S: Final = 1.0  # after the store did not answer
_IDLE_S: Final = 60.0

log = structlog.get_logger()


class HookService:
    """The attempts that run now. `outbox` has the hooks in force."""

    def __init__(
        self, outbox: HookOutbox, queue: DeliveryQueue, *, events: EventBus, metrics: Metrics, clock: Clock
    ) -> None:
        self._outbox, self._queue = outbox, queue
        self._events, self._metrics, self._clock = events, metrics, clock
        self._running: dict[asyncio.Task[None], str] = {}  # with the name of the hook
        self._ended: list[tuple[Delivery, Outcome]] = []  # whose outcomes are not stored yet
        self._failing: set[str] = set()
        self._waiting: dict[str, int] = {}  # deliveries of each hook, when it was looked at last
        self._compared: Sequence[Hook] | None = None  # the hooks with which what waits was compared
        self._store_faults = LineLimit(clock.monotonic)

    @property
    def waiting_count(self) -> int:
        """How many deliveries wait in the store, for all hooks."""
        return sum(self._waiting.values())

    def use(self, hooks: Sequence[Hook]) -> None:
        """Deliver to these hooks from now on; what waits for others is removed."""
        self._outbox.hooks = tuple(hooks)
        self._outbox.grown.set()

    async def run(self) -> None:
        """Deliver until cancelled; then attempts have `STOP_S` to end."""
        async with Receivers(now=self._clock.now) as receivers:
            try:
                while True:
                    self._outbox.grown.clear()
                    wait_s = await self._begin_due(receivers)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait_s):
                            await self._outbox.grown.wait()
            finally:
                await self._end_attempts()

    async def _begin_due(self, receivers: Receivers) -> float:
        """Begin the attempts that are due; return the seconds until the next one is."""
        hooks = self._outbox.hooks
        try:
            await self._settle_ended()
            if hooks is not self._compared:
                receivers.forget_authorities()
                await self._remove_others(hooks)
                self._compared, self._waiting = hooks, {}
            waits = [await self._begin_due_of(hook, receivers) for hook in hooks]
        except StoreError as error:
            if self._store_faults.note(str(error)):
                log.warning("hooks.delayed", reason=str(error))
            return _RETRY_S
        return min(waits, default=_IDLE_S)

    async def _begin_due_of(self, hook: Hook, receivers: Receivers) -> float:
        free = AT_ONCE - Counter(self._running.values())[hook.name]
        now = self._clock.now()
        due = await self._queue.due(hook.name, now, limit=free)
        self._waiting[hook.name] = due.waiting
        if due.waiting > MOST_WAITING:
            removed = await self._queue.trim(hook.name, kept=KEPT_WAITING)
            self._report_lost(hook.name, removed, f"{MOST_WAITING} events wait at most; the oldest are removed")
        if due.deliveries:
            until = now + timedelta(seconds=hook.timeout_s + _CLAIM_S)
            for delivery in await self._queue.claim(due.deliveries, until=until):
                self._begin(hook, delivery, receivers)
        if free == 0 or due.next_at is None:
            return _IDLE_S  # the end of an attempt sets `grown`
        return min(max((due.next_at - now).total_seconds(), 0.0), _IDLE_S)

    def _begin(self, hook: Hook, delivery: Delivery, receivers: Receivers) -> None:
        task = asyncio.create_task(self._attempt(hook, delivery, receivers))
        self._running[task] = hook.name
        task.add_done_callback(self._end)

    def _end(self, task: "asyncio.Task[None]") -> None:
        del self._running[task]
        self._outbox.grown.set()

    async def _attempt(self, hook: Hook, delivery: Delivery, receivers: Receivers) -> None:
        self._ended.append((delivery, await self._outcome(hook, delivery, receivers)))

    async def _outcome(self, hook: Hook, delivery: Delivery, receivers: Receivers) -> Outcome:
        try:
            return await receivers.deliver(hook, HookMessage(delivery.body))
        except Exception:  # a fault of one attempt must end neither the others nor the daemon
            log.exception("hooks.attempt_failed", hook=hook.name)
            return Failed("a fault of netboot's own, see the log")

    async def _settle_ended(self) -> None:
        """Store the outcomes of attempts, together; if the store fails, they are stored later."""
        if not self._ended:
            return
        now, ended = self._clock.now(), list(self._ended)
        settled = [self._settled(delivery, outcome, now) for delivery, outcome in ended]
        await self._queue.settle(settled, at=now)
        del self._ended[: len(ended)]
        for each in settled:
            self._report(each)

    def _settled(self, delivery: Delivery, outcome: Outcome, now: datetime) -> SettledAttempt:
        match outcome:
            case Accepted():
                return SettledAttempt(delivery)
            case Failed(reason):
                is_last = now - delivery.at > GIVEN_UP_AFTER
                next_at = None if is_last else now + timedelta(seconds=self._wait_s(delivery, outcome))
                return SettledAttempt(delivery, reason, next_at)

    def _report(self, settled: SettledAttempt) -> None:
        delivery, hook = settled.delivery, settled.delivery.hook
        outcome = "delivered" if settled.reason is None else "given-up" if settled.next_at is None else "failed"
        self._metrics.count("hook_deliveries", hook=hook, outcome=outcome)
        failure = {"event_id": delivery.event_id, "attempts": delivery.attempts, "reason": settled.reason}
        if outcome == "given-up":
            self._events.emit("hooks.delivery_given_up", {"hook": hook, **failure}, level=logging.ERROR)
        elif outcome == "failed" and hook not in self._failing:
            self._failing.add(hook)
            self._events.emit("hooks.delivery_failed", {"hook": hook, **failure}, level=logging.WARNING)
        elif outcome == "delivered" and hook in self._failing:
            self._failing.discard(hook)
            self._events.emit("hooks.delivery_resumed", {"hook": hook})

    def _wait_s(self, delivery: Delivery, failed: Failed) -> float:
        """Return the time until the next attempt: doubled each time, and up to a quarter longer at random."""
        doubled_s = FIRST_WAIT_S * 2.0 ** min(delivery.attempts - 1, 10)
        at_random = 1 + int.from_bytes(self._clock.random_bytes(1), "big") / 1024
        return min(max(doubled_s * at_random, failed.retry_after_s), LONGEST_WAIT_S)

    async def _remove_others(self, hooks: Sequence[Hook]) -> None:
        """Remove what waits for hooks that are no longer declared."""
        removed = await self._queue.keep_only([hook.name for hook in hooks])
        for hook, number in removed.items():
            self._report_lost(hook, number, "the hook is no longer declared")

    def _report_lost(self, hook: str, number: int, reason: str) -> None:
        self._events.emit(
            "hooks.deliveries_lost", {"hook": hook, "deliveries": number, "reason": reason}, level=logging.ERROR
        )

    async def _end_attempts(self) -> None:
        if running := list(self._running):
            await asyncio.wait(running, timeout=STOP_S)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        with suppress(StoreError):  # their events are delivered again after the next start
            await self._settle_ended()
