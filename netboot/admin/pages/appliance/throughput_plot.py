"""Computes the plot of throughput: stacked areas by protocol over the last hour, axes with units. Pure, no HTML."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from netboot.model.words import shown_size
from netboot.telemetry.throughput import KEPT_FOR, ThroughputSample, Traffic

WIDTH: Final = 960
HEIGHT: Final = 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 12, 12, 30
_LINES: Final = 4  # above zero
_LOWEST_TOP: Final = 1_000  # bytes per second: the height of a plot without traffic
_TICK: Final = timedelta(minutes=10)
LABELS: Final = {Traffic.TFTP: "TFTP", Traffic.HTTP: "HTTP: scripts, documents, boot files", Traffic.CONTENT: "content"}


@dataclass(frozen=True, slots=True)
class PlotArea:
    """The area of one protocol; `points` are those of an SVG polygon, empty without samples."""

    traffic: Traffic
    label: str
    series: str
    points: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A line or mark of an axis, at a coordinate."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class ProtocolSummary:
    """What one protocol sent; the same as the plot, in numbers. `peak_at` is None if nothing was sent."""

    label: str
    series: str
    sent_bytes: int
    now: str
    peak: str
    peak_at: datetime | None


@dataclass(frozen=True, slots=True)
class ThroughputPlot:
    """The plot with the coordinates of its parts, and the same in words."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    areas: Sequence[PlotArea]
    rates: Sequence[Tick]
    times: Sequence[Tick]
    summaries: Sequence[ProtocolSummary]
    text: str


def throughput_plot(samples: Sequence[ThroughputSample], now: datetime) -> ThroughputPlot:
    """Return the plot of the samples in the hour before `now`."""
    top = _round_up(max((sum(map(sample.rate, Traffic)) for sample in samples), default=0.0))
    summaries = [_summary(samples, traffic) for traffic in Traffic]
    lines = [Tick(_y(top * line / _LINES, top), shown_rate(top * line / _LINES)) for line in range(_LINES + 1)]
    return ThroughputPlot(
        WIDTH,
        HEIGHT,
        _LEFT,
        WIDTH - _RIGHT,
        _TOP,
        HEIGHT - _BOTTOM,
        _areas(samples, now, top),
        lines,
        _times(now),
        summaries,
        _text(summaries),
    )


def shown_rate(bytes_per_s: float) -> str:
    return f"{shown_size(round(bytes_per_s))}/s"


def _areas(samples: Sequence[ThroughputSample], now: datetime, top: float) -> list[PlotArea]:
    """Return the areas from the lowest to the highest; each begins where the one below it ends."""
    areas, floor = [], [0.0] * len(samples)
    for number, traffic in enumerate(Traffic, 1):
        ceiling = [below + sample.rate(traffic) for below, sample in zip(floor, samples, strict=True)]
        edge, base = _edge(samples, ceiling, now, top), _edge(samples, floor, now, top)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*edge, *reversed(base)])
        areas.append(PlotArea(traffic, LABELS[traffic], f"series-{number}", points))
        floor = ceiling
    return areas


def _edge(
    samples: Sequence[ThroughputSample], rates: Sequence[float], now: datetime, top: float
) -> list[tuple[float, float]]:
    """Return a line of steps: a sample has one rate for all of its time."""
    return [
        (_x(at, now), _y(rate, top))
        for sample, rate in zip(samples, rates, strict=True)
        for at in (sample.at - timedelta(seconds=sample.seconds), sample.at)
    ]


def _summary(samples: Sequence[ThroughputSample], traffic: Traffic) -> ProtocolSummary:
    peak = max(samples, key=lambda sample: sample.rate(traffic), default=None)
    rate = peak.rate(traffic) if peak is not None else 0.0
    return ProtocolSummary(
        LABELS[traffic],
        f"series-{list(Traffic).index(traffic) + 1}",
        sum(sample.sent[traffic] for sample in samples),
        shown_rate(samples[-1].rate(traffic) if samples else 0),
        shown_rate(rate),
        peak.at if peak is not None and rate else None,
    )


def _text(summaries: Sequence[ProtocolSummary]) -> str:
    sent = ", ".join(f"{each.label.partition(':')[0]} {shown_size(each.sent_bytes)}" for each in summaries)
    return f"Sent to machines in the last hour: {sent}."


def _times(now: datetime) -> list[Tick]:
    """Mark each ten minutes of the clock."""
    first = now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0)
    marks = [first - _TICK * back for back in range(KEPT_FOR // _TICK + 1)]
    return [Tick(_x(at, now), f"{at:%H:%M}") for at in reversed(marks) if _LEFT + 15 <= _x(at, now) <= WIDTH - 15]


def _x(at: datetime, now: datetime) -> float:
    share = 1 - (now - at) / KEPT_FOR
    return _LEFT + min(max(share, 0.0), 1.0) * (WIDTH - _LEFT - _RIGHT)


def _y(rate: float, top: float) -> float:
    return HEIGHT - _BOTTOM - rate / top * (HEIGHT - _TOP - _BOTTOM)


def _round_up(rate: float) -> float:
    """Return the next rate that four lines divide well: 1, 2, 4 or 8 times a power of ten."""
    rate = max(rate, _LOWEST_TOP)
    power = 10.0 ** math.floor(math.log10(rate))
    return next(factor * power for factor in (1, 2, 4, 8, 10) if rate <= factor * power)
