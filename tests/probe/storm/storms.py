"""Boots of a storm as it would have recorded them."""

from collections.abc import Mapping

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.machine_timeline import ClientEvent
from netboot.probe.storm.storm_figures import StormBoot
from netboot.probe.storm.storm_machines import StormMachine


def a_boot(
    machine: StormMachine,
    reached_s: Mapping[Step, float],
    *,
    began_s: float = 0.0,
    failure: BootFailedError | None = None,
) -> StormBoot:
    """Return the boot of a machine that was done with each step at this time after its power-on."""
    events = tuple(ClientEvent(at_s, step, step.value) for step, at_s in reached_s.items())
    return StormBoot(machine, began_s, max(reached_s.values(), default=0.0), events, failure)
