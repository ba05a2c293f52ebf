"""Plays the boot of one machine against a live server, and describes how it ended."""

from collections.abc import Awaitable
from dataclasses import dataclass

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.machine import SimulatedMachine
from netboot.probe.machine_boot import (
    ALL_PERMITTED,
    NO_SCRIPT,
    EndedError,
    MachineBoot,
    Permissions,
    Plan,
    SimulationEnd,
)
from netboot.probe.machine_timeline import MachineTimeline
from netboot.probe.rehearsal import rehearse


@dataclass(frozen=True, slots=True)
class BootOutcome:
    """A whole simulation. `ended_at` is the last step that the machine did, or the one that failed."""

    timeline: MachineTimeline
    failure: BootFailedError | None
    ended_at: Step
    end: SimulationEnd
    sentence: str = ""

    @property
    def unfinished(self) -> Step | None:
        """Return the step that failed, or in which the machine was switched off; None: the last step has its end."""
        return self.ended_at if self.end in {SimulationEnd.FAILED, SimulationEnd.SWITCHED_OFF} else None


async def simulate_boot(
    machine: SimulatedMachine,
    *,
    until: Step = Step.READY,
    spends: bool,
    plan: Plan | None = None,
    permissions: Permissions = NO_SCRIPT,
) -> BootOutcome:
    """Play a machine up to a step. With `plan`, nothing is sent as this machine: its documents are the plan's.

    `spends` permits every script and every URL with a token; without it, a script needs the permission.
    """
    if plan is not None and not spends:
        return await _outcome(machine, rehearse(machine, plan, until=until))
    boot = MachineBoot(machine, until, spends, ALL_PERMITTED if spends else permissions)
    return await _outcome(machine, boot.play())


async def _outcome(machine: SimulatedMachine, boot: Awaitable[None]) -> BootOutcome:
    """Wait for the end of a boot, and describe it."""
    timeline = machine.timeline
    try:
        await boot
    except EndedError as error:
        last = timeline.events[-1].step if timeline.events else Step.OFFER
        if error.end is SimulationEnd.SWITCHED_OFF:
            last = machine.behaviour.aborts_at or last
        return BootOutcome(timeline, None, last, error.end, error.sentence)
    except BootFailedError as error:
        if error.step is machine.behaviour.aborts_at:
            return BootOutcome(timeline, None, error.step, SimulationEnd.SWITCHED_OFF, error.sentence)
        return BootOutcome(timeline, error, error.step, SimulationEnd.FAILED, error.sentence)
    raise AssertionError("a boot ends with an EndedError")
