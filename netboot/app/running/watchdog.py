"""Verifies that the event loop runs and each listener answers, and feeds systemd's watchdog as long as they do.

systemd ends and restarts a daemon that does not feed it for `WatchdogSec=` (sd_watchdog_enabled(3)). The store has no
part in it: `/readyz` reports that, and a restart would not cure it. Nor has a listener that never answered here, as
behind a firewall on the loopback interface: it is a problem in the status.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog

from netboot.app.running.process import notify_systemd
from netboot.app.running.round_trip import Endpoint, is_answered
from netboot.telemetry.health import HealthPart, PartState

EVERY_S: Final = 15.0  # without systemd's watchdog; with it a quarter of its time
ANSWER_S: Final = 10.0  # on a computer that is busy
START_S: Final = 10.0  # in which each listener answers before the daemon is ready
RETRY_S: Final = 0.1
_NEVER: Final = "has not answered this appliance itself; permit all packets on the interface lo, or see the log"
_NO_MORE: Final = "does not answer any more; systemctl restart netboot"

log = structlog.get_logger()


class Watchdog:
    """`endpoints` lists what listens now, `unread` the UDP ports whose datagrams wait and are not read."""

    def __init__(
        self,
        endpoints: Callable[[], Sequence[Endpoint]],
        unread: Callable[[], Iterable[str]],
        *,
        on_problems: Callable[[], None],
    ) -> None:
        self._endpoints, self._unread, self._on_problems = endpoints, unread, on_problems
        self._answered: set[Endpoint] = set()  # those that have answered since they were opened
        self._is_lost = False  # something that answered is unanswered now: a restart is the cure
        self.problems: list[str] = []

    def parts(self) -> list[HealthPart]:
        """Give the state of what listens."""
        return [HealthPart.of("listener", *self.problems, at_worst=PartState.DEGRADED)]

    async def verify(self) -> None:
        """Wait until every listener has answered, `START_S` at most."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + START_S
        while (unanswered := await self._unanswered(ANSWER_S)) and loop.time() < until_s:  # noqa: ASYNC110 - nothing sets an event
            await asyncio.sleep(RETRY_S)
        self._note(unanswered)

    async def run(self) -> None:
        """Verify every few seconds, and feed the watchdog if all answers that did before."""
        limit_s = watchdog_s(os.environ, os.getpid())
        every_s = EVERY_S if limit_s is None else limit_s / 4
        while True:
            if limit_s is not None and not self._is_lost:
                notify_systemd("WATCHDOG=1")
            await asyncio.gather(self._check(min(ANSWER_S, every_s)), asyncio.sleep(every_s))

    async def _check(self, within_s: float) -> None:
        self._note(await self._unanswered(within_s))

    async def _unanswered(self, within_s: float) -> list[str]:
        """Return a problem for each listener that does not answer in time."""
        wanted = self._endpoints()
        answers = await asyncio.gather(*(is_answered(each, within_s=within_s) for each in wanted))
        is_open = set(self._endpoints())  # an address may have gone meanwhile
        self._answered.update(each for each, is_alive in zip(wanted, answers, strict=True) if is_alive)
        self._answered &= is_open
        unanswered = [each for each, is_alive in zip(wanted, answers, strict=True) if not is_alive and each in is_open]
        unread = [f"{port} is not read any more; systemctl restart netboot" for port in self._unread()]
        self._is_lost = bool(unread) or any(each in self._answered for each in unanswered)
        return [f"{each} {_NO_MORE if each in self._answered else _NEVER}" for each in unanswered] + unread

    def _note(self, problems: list[str]) -> None:
        if problems == self.problems:
            return
        self.problems = problems
        if problems:
            log.error("listener.unanswered", reasons=problems, is_restarted=self._is_lost)
        else:
            log.info("listener.answers")
        self._on_problems()


def watchdog_s(environment: Mapping[str, str], pid: int) -> float | None:
    """Return the time of systemd's watchdog; None: it has none for this process."""
    written = environment.get("WATCHDOG_USEC", "")
    if not written.isdecimal() or int(written) == 0 or environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(written) / 1_000_000
