"""Observes how long the steps of hosts' boots take: one entry of memory for each machine that boots."""

from collections import OrderedDict
from typing import Final

from netboot.model.boot.boot_fold import after_event
from netboot.model.boot.boot_record import BootRecord
from netboot.model.install.event import Event
from netboot.telemetry.metrics import Metrics

MOST_BOOTS: Final = 10_000  # the boot whose last step is the oldest is forgotten first


class StepObserver:
    """A sink of the event bus. Unregistered machines are not observed: any machine can send their requests."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._boots: OrderedDict[str, BootRecord] = OrderedDict()  # by host: its cards may boot in turn

    def event_happened(self, event: Event, _level: int) -> None:
        if event.host is None:
            return
        folded = after_event(self._boots.pop(event.host, None), event)
        boot = folded.boot
        if boot is None:
            return
        self._boots[event.host] = boot
        if len(self._boots) > MOST_BOOTS:
            self._boots.popitem(last=False)
        for each in folded.measured:
            if each.took_s is not None:
                self._metrics.observe(
                    "boot_step_duration_seconds", each.took_s, step=each.step.value, loader=boot.loader.value
                )
