"""Observes how long the steps of hosts' boots take: one entry of memory for each machine that boots."""

from collections import OrderedDict
from typing import Final

from netboot.model.boot.step_durations import StepTimes, after_event
from netboot.model.install.event import Event
from netboot.telemetry.metrics import Metrics

MOST_BOOTS: Final = 10_000  # the boot whose last step is the oldest is forgotten first


class StepObserver:
    """A sink of the event bus. Unregistered machines are not observed: any machine can send their requests."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._boots: OrderedDict[str, StepTimes] = OrderedDict()  # by host: its cards may boot in turn

    def event_happened(self, event: Event, _level: int) -> None:
        if event.step is None or event.host is None:
            return
        boot, durations = after_event(self._boots.pop(event.host, None), event)
        if boot is not None:
            self._boots[event.host] = boot
            if len(self._boots) > MOST_BOOTS:
                self._boots.popitem(last=False)
        for each in durations:
            self._metrics.observe(
                "boot_step_duration_seconds", each.seconds, step=each.step.value, loader=each.loader.value
            )
