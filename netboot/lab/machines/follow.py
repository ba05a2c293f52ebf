"""Follows machines from power-on to the end of their boot by the daemon's events, and names the step that stalls."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from netboot.client import ControlClient
from netboot.control_socket import NoDaemonError
from netboot.errors import LabError
from netboot.lab.machines.guest import Guest
from netboot.lab.machines.timeline import BootTimeline, ReachedStep
from netboot.model.install.event import Step

STALL_S: Final = 120.0  # without any event of a machine; 15 s in a good boot, 50 s seen on a busy computer
_TICK_S: Final = 0.5

OnChange = Callable[[Mapping[str, BootTimeline], ReachedStep | None], None]


async def boot_to_the_end(
    daemon: ControlClient, guests: Iterable[Guest], *, on_change: OnChange, limit_s: float = 600.0
) -> dict[str, BootTimeline]:
    """Power guests on together and follow each until it is ready.

    Calls `on_change` with all timelines at each new moment, and with None while time passes. Raises LabError with the
    step that stalled and the console's tail, also when an attempt failed or a machine powered off.
    """
    boot = _Boot(tuple(guests), on_change)
    after = await daemon.last_event_id()
    for guest in boot.guests:
        boot.timelines[guest.machine.name] = BootTimeline(guest.machine.name, datetime.now(UTC))
        await guest.power_on()
    reader = asyncio.create_task(boot.read(daemon, after))
    try:
        async with asyncio.timeout(limit_s):
            await boot.watch(reader)
    except TimeoutError:
        raise LabError(boot.stalled(f"not ready within {limit_s:.0f} s")) from None
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    return boot.timelines


class _Boot:
    def __init__(self, guests: tuple[Guest, ...], on_change: OnChange) -> None:
        self.guests = guests
        self.timelines: dict[str, BootTimeline] = {}
        self._on_change = on_change
        self._heard = {guest.machine.name: time.monotonic() for guest in guests}

    async def read(self, daemon: ControlClient, after: int) -> None:
        with suppress(NoDaemonError):  # `watch` reports the state of every machine
            async for event in daemon.events(after=after):
                if (timeline := self.timelines.get(event["host"] or "")) is not None:
                    self._heard[timeline.host] = time.monotonic()
                    if (moment := timeline.take(event)) is not None:
                        self._on_change(self.timelines, moment)

    async def watch(self, reader: asyncio.Task[None]) -> None:
        """Check every machine twice a second until all are ready."""
        while not all(Step.READY in timeline.moments for timeline in self.timelines.values()):
            await asyncio.wait({reader}, timeout=_TICK_S)
            if reader.done():
                reader.result()  # raises the reader's error, if any
                raise LabError(self.stalled("the appliance's events ended"))
            for guest in self.guests:
                self._check(guest)
            self._on_change(self.timelines, None)

    def stalled(self, why: str) -> str:
        """Describe every machine that is not ready: its step, and the end of its console."""
        waiting = [guest for guest in self.guests if Step.READY not in self.timelines[guest.machine.name].moments]
        return "\n".join(_stalled(guest, self.timelines[guest.machine.name], why) for guest in waiting) or why

    def _check(self, guest: Guest) -> None:
        name = guest.machine.name
        timeline = self.timelines[name]
        if Step.READY in timeline.moments:
            return
        if (failed := timeline.moments.get(Step.FAILED)) is not None:
            raise LabError(_stalled(guest, timeline, f"the attempt failed: {failed.note}"))
        if not guest.is_on:
            raise LabError(_stalled(guest, timeline, "it went off"))
        if time.monotonic() - self._heard[name] > STALL_S:
            raise LabError(_stalled(guest, timeline, f"no event of it for {STALL_S:.0f} s"))


def _stalled(guest: Guest, timeline: BootTimeline, why: str) -> str:
    last = timeline.last or "power-on"
    where = f"{timeline.host} stalled at '{timeline.waits_for}', after '{last}'"
    return f"{where}: {why}; its console ends:\n{guest.console.tail()}"
