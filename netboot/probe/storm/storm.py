"""Runs a storm: each machine in a task of its own, powered on within a time; every boot ends within a limit."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.machine_timeline import MachineTimeline
from netboot.probe.storm.storm_figures import StormBoot
from netboot.probe.storm.storm_machines import StormMachine

LONGEST_BOOT_S: Final = 1800.0  # a machine that waits for a slot of a slow server longer has failed

BootMachine = Callable[[StormMachine, MachineTimeline], Awaitable[BootFailedError | None]]
"""Boots a machine and adds its events to the timeline; returns why it failed."""


@dataclass(frozen=True, slots=True)
class StormProgress:
    """How many machines are switched on and have ended, and how many of those failed."""

    elapsed_s: float
    on: int
    ended: int
    failed: int


@dataclass(slots=True)
class Storm:
    """One storm. `within_s` is the time in which the machines are powered on, one after another."""

    machines: Sequence[StormMachine]
    boot: BootMachine
    within_s: float = 1.0
    longest_boot_s: float = LONGEST_BOOT_S
    on: int = 0
    ended: int = 0
    failed: int = 0
    _began_s: float = 0.0

    async def run(self) -> Sequence[StormBoot]:
        """Boot all machines; return them in their order."""
        self._began_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._boot(machine)) for machine in self.machines]
        return [task.result() for task in tasks]

    @property
    def progress(self) -> StormProgress:
        """Return how far the storm is."""
        return StormProgress(self.elapsed_s, self.on, self.ended, self.failed)

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the first machine was powered on."""
        return time.monotonic() - self._began_s

    async def _boot(self, machine: StormMachine) -> StormBoot:
        await asyncio.sleep((machine.number - 1) * self.within_s / len(self.machines))
        self.on += 1
        began_s, timeline = self.elapsed_s, MachineTimeline(time.monotonic)
        try:
            async with asyncio.timeout(self.longest_boot_s):
                failure = await self.boot(machine, timeline)
        except TimeoutError:
            failure = _unfinished(timeline, self.longest_boot_s)
        self.ended += 1
        self.failed += failure is not None
        return StormBoot(machine, began_s, timeline.now_s, tuple(timeline.events), failure)


def _unfinished(timeline: MachineTimeline, longest_s: float) -> BootFailedError:
    step = timeline.events[-1].step if timeline.events else Step.OFFER
    return BootFailedError(
        step,
        f"the boot did not end within {longest_s:g} s; its last step was {step}",
        cure="read the server's log at that time; play fewer machines to see whether the server is too slow",
    )
