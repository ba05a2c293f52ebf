"""What an operator requests of hooks: their state, and a test event."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from netboot.errors import UnknownHookError
from netboot.model.hook import Hook, WebTarget
from netboot.operate.hooks.attempt import Accepted
from netboot.operate.hooks.delivery_queue import DeliveryQueue, HookResult
from netboot.operate.hooks.hook_message import message_of_test
from netboot.operate.hooks.hook_outbox import HookOutbox

TESTS_AT_ONCE: Final = 4


class HookState(StrEnum):
    UNUSED = "unused"  # no attempt was made yet
    DELIVERING = "delivering"
    FAILING = "failing"  # the last attempt failed


@dataclass(frozen=True, slots=True)
class HookStatus:
    """A hook, without the parts of its URL or command that may be secret, and how its deliveries proceed."""

    name: str
    state: HookState
    target: str
    events: Sequence[str]
    signed: bool
    waiting: int
    oldest_at: datetime | None
    delivered_at: datetime | None
    failed_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class HookTest:
    """The outcome of one attempt with a test event; `answer` is what the receiver returned, or why it failed."""

    name: str
    target: str
    ok: bool
    answer: str
    seconds: float


class HookUses:
    """The use cases of hooks, on those in force."""

    def __init__(self, outbox: HookOutbox, queue: DeliveryQueue, *, now: Callable[[], datetime]) -> None:
        self._outbox, self._queue, self._now = outbox, queue, now
        self._tests = asyncio.Semaphore(TESTS_AT_ONCE)

    async def all(self) -> list[HookStatus]:
        """List the hooks in the order of `netboot.yaml`; raise StoreError."""
        results = await self._queue.results()
        return [_status(hook, results.get(hook.name) or HookResult()) for hook in self._outbox.hooks]

    async def test(self, name: str) -> HookTest:
        """Deliver a test event to a hook now, once; raise UnknownHookError."""
        from netboot.operate.hooks.receivers import Receivers  # its HTTP library is slow to load

        hook = next((hook for hook in self._outbox.hooks if hook.name == name), None)
        if hook is None:
            known = ", ".join(hook.name for hook in self._outbox.hooks) or "none"
            raise UnknownHookError(f"no hook is called {name}; those in force: {known}")
        message = message_of_test(hook.name, self._now(), self._outbox.appliance)
        async with self._tests, Receivers(now=self._now) as receivers:
            began_s = time.monotonic()
            outcome = await receivers.deliver(hook, message)
        ok = isinstance(outcome, Accepted)
        answer = outcome.answer if isinstance(outcome, Accepted) else outcome.reason
        return HookTest(hook.name, str(hook.target), ok, answer, round(time.monotonic() - began_s, 3))


def _status(hook: Hook, result: HookResult) -> HookStatus:
    if result.is_failing:
        state = HookState.FAILING
    else:
        state = HookState.UNUSED if result.delivered_at is None else HookState.DELIVERING
    return HookStatus(
        hook.name,
        state,
        str(hook.target),
        hook.events,
        isinstance(hook.target, WebTarget) and hook.target.secret_file is not None,
        result.waiting,
        result.oldest_at,
        result.delivered_at,
        result.failed_at,
        result.error,
    )
