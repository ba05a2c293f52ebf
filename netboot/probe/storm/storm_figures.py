"""Computes what a storm shows: percentiles of each step, failures by sentence, and fairness. Pure."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.machine_timeline import ClientEvent
from netboot.probe.storm.storm_machines import StormMachine

_ORDER: Final = {step: number for number, step in enumerate(Step)}
_MACHINES_NAMED: Final = 5  # of one sentence
_OWN_WORDS: Final = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}|storm-[0-9]{4}|[0-9a-f]{32}|(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?::[0-9]+)?"
)


@dataclass(frozen=True, slots=True)
class StormBoot:
    """How one machine booted. `began_s` counts from the storm's begin, the times of events from its power-on."""

    machine: StormMachine
    began_s: float
    took_s: float
    events: Sequence[ClientEvent]
    failure: BootFailedError | None

    def reached_s(self) -> Mapping[Step, float]:
        """Return when the machine was done with each step, in the order in which it was.

        What it repeats after a later step does not count, as the offers of iPXE and of the installed system.
        """
        reached: dict[Step, float] = {}
        furthest = 0
        for event in self.events:
            if _ORDER[event.step] >= furthest:
                furthest = _ORDER[event.step]
                reached[event.step] = event.at_s
        return reached

    def step_times_s(self) -> Mapping[Step, float]:
        """Return how long each step took: from the end of the one before it."""
        before_s, times = 0.0, {}
        for step, at_s in self.reached_s().items():
            times[step], before_s = at_s - before_s, at_s
        return times


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The distribution of some seconds."""

    count: int
    p50_s: float
    p90_s: float
    p99_s: float
    worst_s: float


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Machines whose boot ended at the same step with the same sentence, apart from their own names and addresses."""

    step: Step
    sentence: str
    cure: str
    count: int
    machines: Sequence[str]  # the first of them


@dataclass(frozen=True, slots=True)
class StormFigures:
    """What a storm measured. `fairness` is the slowest whole boot by the fastest; None without a whole boot."""

    machines: int
    ended: int
    total_s: float
    steps: Mapping[Step, Percentiles]
    whole_boots: Percentiles | None
    fairness: float | None
    failures: Sequence[FailureGroup]


def figures_of(boots: Sequence[StormBoot], *, total_s: float) -> StormFigures:
    """Compute the figures of a storm; steps are in the order of a boot."""
    whole = [boot.took_s for boot in boots if boot.failure is None]
    return StormFigures(
        machines=len(boots),
        ended=len(whole),
        total_s=total_s,
        steps={step: percentiles(found) for step, found in times_of_steps(boots).items()},
        whole_boots=percentiles(whole) if whole else None,
        fairness=max(whole) / min(whole) if whole and min(whole) > 0 else None,
        failures=grouped_failures(boots),
    )


def times_of_steps(boots: Sequence[StormBoot]) -> Mapping[Step, Sequence[float]]:
    """Return how long each step took the machines that did it; steps are in the order of a boot."""
    times: dict[Step, list[float]] = defaultdict(list)
    for boot in boots:
        for step, took_s in boot.step_times_s().items():
            times[step].append(took_s)
    return {step: times[step] for step in Step if step in times}


def percentiles(seconds: Sequence[float]) -> Percentiles:
    """Return the percentiles of at least one value."""
    found = sorted(seconds)
    p50_s, p90_s, p99_s = (nearest_rank(found, percent) for percent in (50, 90, 99))
    return Percentiles(len(found), p50_s, p90_s, p99_s, found[-1])


def nearest_rank(ordered: Sequence[float], percent: int) -> float:
    """Return a percentile of sorted values by nearest rank: a value that was measured."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def grouped_failures(boots: Sequence[StormBoot]) -> Sequence[FailureGroup]:
    """Group failures by step and sentence, the most frequent first."""
    groups: dict[tuple[Step, str], list[StormBoot]] = defaultdict(list)
    for boot in boots:
        if boot.failure is not None:
            groups[boot.failure.step, _OWN_WORDS.sub("…", boot.failure.sentence)].append(boot)
    found = [
        FailureGroup(
            step, sentence, _OWN_WORDS.sub("…", str(group[0].failure and group[0].failure.cure)), len(group),
            [each.machine.name for each in group[:_MACHINES_NAMED]],
        )
        for (step, sentence), group in groups.items()
    ]  # fmt: skip
    return sorted(found, key=lambda each: -each.count)
