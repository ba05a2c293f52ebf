"""Writes a storm as an SVG: how long each step took, and how many machines were done with it over time. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from netboot.model.install.event import Step
from netboot.probe.storm.storm_figures import StormBoot, StormFigures, nearest_rank, times_of_steps

WIDTH: Final = 960
_LEFT, _RIGHT, _ROW, _TOP = 110, 200, 24, 84
_CURVES_HEIGHT: Final = 260
_SHORTEST_S: Final = 0.001  # the left end of the logarithmic axis
_TICKS: Final = 5  # of a linear axis, at most
_COLOURS: Final = (
    *("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#ee9966", "#cc6677", "#882255", "#aa4499"),
    *("#4477aa", "#777777", "#225555", "#66aa00", "#994400", "#000000"),
)
_FAILED: Final = "#cc0000"
_STYLE: Final = (
    "text{font:12px sans-serif;fill:#222}.title{font:bold 16px sans-serif}.head{font:bold 13px sans-serif}"
    ".tick{fill:#555}.grid{stroke:#ddd}.axis{stroke:#555}.end{text-anchor:end}.middle{text-anchor:middle}"
    ".curve{fill:none;stroke-width:2}"
)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Maps values to coordinates."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        low, high, value = (map(math.log10, (self.low, self.high, max(value, self.low)))
                            if self.is_log else (self.low, self.high, value))  # fmt: skip
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)


def storm_plot(boots: Sequence[StormBoot], figures: StormFigures, *, title: str) -> str:
    """Return the SVG of a storm with its title."""
    times = {step: sorted(found) for step, found in times_of_steps(boots).items()}
    curves_top = _TOP + _ROW * len(times) + 100
    height = curves_top + _CURVES_HEIGHT + 56
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img"><title>{escape(title)}</title><style>{_STYLE}</style>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _text(16, 28, title, "title"),
        _text(16, 48, _summary(figures)),
        *_distributions(times),
        *_curves(boots, figures, curves_top),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _summary(figures: StormFigures) -> str:
    failed = figures.machines - figures.ended
    words = [f"{figures.ended} of {figures.machines} machines booted in {figures.total_s:.1f} s", f"{failed} failed"]
    if figures.whole_boots is not None and figures.fairness is not None:
        whole = figures.whole_boots
        words.append(
            f"a boot: p50 {whole.p50_s:.2f} s, p99 {whole.p99_s:.2f} s; slowest ÷ fastest {figures.fairness:.2f}"
        )
    return "; ".join(words)


def _distributions(times: Mapping[Step, Sequence[float]]) -> Iterator[str]:
    """Draw one row for each step: a line over all values, a box from p10 to p90, and a mark at p50."""
    yield _text(16, _TOP, "Seconds of each step, from the end of the step before (logarithmic)", "head")
    top, bottom = _TOP + 12, _TOP + 12 + _ROW * len(times)
    worst = max((found[-1] for found in times.values()), default=1.0)
    highest = 10.0 ** math.ceil(math.log10(max(worst, 10 * _SHORTEST_S)))
    axis = _Axis(_SHORTEST_S, highest, _LEFT, WIDTH - _RIGHT, is_log=True)
    for power in range(-3, round(math.log10(highest)) + 1):
        x = axis.at(10.0**power)
        yield f'<line class="grid" x1="{x}" y1="{top}" x2="{x}" y2="{bottom}"/>'
        yield _text(x, bottom + 16, f"{10.0**power:g}", "tick middle")
    for row, (step, found) in enumerate(times.items()):
        y = top + _ROW * row + _ROW / 2
        low, high, p10, p50, p90, p99 = (axis.at(nearest_rank(found, each)) for each in (0, 100, 10, 50, 90, 99))
        yield _text(_LEFT - 8, y + 4, step.value, "end")
        yield f'<line class="axis" x1="{low}" y1="{y}" x2="{high}" y2="{y}"/>'
        width = max(round(p90 - p10, 1), 1)
        yield f'<rect x="{p10}" y="{y - 7}" width="{width}" height="14" fill="#bbccee" stroke="#4477aa"/>'
        yield f'<line x1="{p50}" y1="{y - 9}" x2="{p50}" y2="{y + 9}" stroke="#222" stroke-width="3"/>'
        words = f"p50 {_seconds(nearest_rank(found, 50))}, p99 {_seconds(nearest_rank(found, 99))}"
        yield f'<circle cx="{p99}" cy="{y}" r="3" fill="#ee6677"/>'
        yield _text(WIDTH - _RIGHT + 12, y + 4, words)
    yield _text(WIDTH - _RIGHT, bottom + 34, "seconds; line: all, box: p10 to p90, bar: p50, dot: p99", "tick end")


def _curves(boots: Sequence[StormBoot], figures: StormFigures, top: float) -> Iterator[str]:
    """Draw for each step how many machines were done with it at each time of the storm."""
    bottom = top + _CURVES_HEIGHT
    x_axis = _Axis(0, max(figures.total_s, _SHORTEST_S), _LEFT, WIDTH - _RIGHT)
    y_axis = _Axis(0, max(figures.machines, 1), bottom, top)
    yield _text(16, top - 14, "Machines that were done with a step, over the time of the storm", "head")
    yield from _grid(x_axis, y_axis)
    yield _text(
        (_LEFT + WIDTH - _RIGHT) / 2, bottom + 38, "seconds since the first machine was powered on", "tick middle"
    )
    turn = f'transform="rotate(-90 24 {(top + bottom) / 2})"'
    yield f'<text x="24" y="{(top + bottom) / 2}" class="tick middle" {turn}>machines</text>'
    for row, (label, colour, ends) in enumerate(_done_at(boots, figures)):
        yield f'<path class="curve" stroke="{colour}" d="{_steps_path(ends, x_axis, y_axis)}"/>'
        y = top + 12 + row * 18
        yield f'<rect x="{WIDTH - _RIGHT + 12}" y="{y - 9}" width="12" height="10" fill="{colour}"/>'
        yield _text(WIDTH - _RIGHT + 30, y, f"{label} ({len(ends)})")


def _done_at(boots: Sequence[StormBoot], figures: StormFigures) -> Iterator[tuple[str, str, Sequence[float]]]:
    """Give a label, a colour and the sorted times of each curve."""
    yield "powered on", "#bbbbbb", sorted(each.began_s for each in boots)
    for number, step in enumerate(figures.steps):
        ends = (each.began_s + at_s for each in boots if (at_s := each.reached_s().get(step)) is not None)
        yield step.value, _COLOURS[number % len(_COLOURS)], sorted(ends)
    if failed := sorted(each.began_s + each.took_s for each in boots if each.failure is not None):
        yield "failed", _FAILED, failed


def _steps_path(ends: Sequence[float], x_axis: _Axis, y_axis: _Axis) -> str:
    """Return the path of a curve that rises by one machine at each time."""
    path = [f"M{x_axis.at(ends[0])} {y_axis.at(0)}"] if ends else []
    for number, at_s in enumerate(ends, start=1):
        path.append(f"H{x_axis.at(at_s)}V{y_axis.at(number)}")
    return "".join(path)


def _grid(x_axis: _Axis, y_axis: _Axis) -> Iterator[str]:
    for value in _ticks(x_axis.high):
        x = x_axis.at(value)
        yield f'<line class="grid" x1="{x}" y1="{y_axis.end}" x2="{x}" y2="{y_axis.start}"/>'
        yield _text(x, y_axis.start + 18, f"{value:g}", "tick middle")
    for value in _ticks(y_axis.high):
        y = y_axis.at(value)
        yield f'<line class="grid" x1="{x_axis.start}" y1="{y}" x2="{x_axis.end}" y2="{y}"/>'
        yield _text(x_axis.start - 8, y + 4, f"{value:g}", "tick end")


def _ticks(high: float) -> Sequence[float]:
    """Return round values from 0 to `high`."""
    step = _round_up(high / _TICKS)
    return [number * step for number in range(int(high / step + 1e-9) + 1)]


def _round_up(value: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= value * (1 - 1e-9))


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{shown}>{escape(words)}</text>'
