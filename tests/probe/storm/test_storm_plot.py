"""The plot of a storm: well-formed SVG, whose marks and curves are at the measured values."""

import re
from xml.etree import ElementTree

import pytest
from probe.storm.storms import a_boot

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.storm.storm_figures import StormBoot, figures_of
from netboot.probe.storm.storm_machines import storm_machines
from netboot.probe.storm.storm_plot import storm_plot

SVG = "{http://www.w3.org/2000/svg}"


def plotted(boots: list[StormBoot], total_s: float, title: str = "storm") -> ElementTree.Element:
    return ElementTree.fromstring(storm_plot(boots, figures_of(boots, total_s=total_s), title=title))


def texts(svg: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in svg.iter(f"{SVG}text")]


def test_the_plot_has_each_step_with_its_percentiles_and_both_axes():
    boots = [a_boot(each, {Step.OFFER: 0.01, Step.READY: 0.01 + each.number}) for each in storm_machines(100, None)]

    found = texts(plotted(boots, 100.0, "100 machines < 101 & more"))

    assert found[0] == "100 machines < 101 & more"
    assert found[1].startswith("100 of 100 machines booted in 100.0 s; 0 failed; a boot: p50 50.01 s, p99 99.01 s")
    assert "p50 10 ms, p99 10 ms" in found
    assert "p50 50.00 s, p99 99.00 s" in found
    assert {"offer", "ready", "0.001", "100", "machines", "seconds since the first machine was powered on"} <= {*found}
    assert "ready (100)" in found


def test_marks_are_where_their_values_are_on_a_logarithmic_axis():
    boots = [a_boot(each, {Step.OFFER: 0.1}) for each in storm_machines(3, None)]

    svg = plotted(boots, 1.0)

    ticks = {
        each.text: float(each.get("x", "")) for each in svg.iter(f"{SVG}text") if each.get("class") == "tick middle"
    }
    [p99] = [float(each.get("cx", "")) for each in svg.iter(f"{SVG}circle")]
    assert p99 == ticks["0.1"]


def test_a_curve_ends_at_the_number_of_its_machines():
    one, two = storm_machines(2, None)
    boots = [
        a_boot(one, {Step.OFFER: 1.0}),
        a_boot(two, {}, began_s=2.0, failure=BootFailedError(Step.OFFER, "no offer", cure="start the server")),
    ]

    svg = plotted(boots, 2.0)

    curves = [each.get("d", "") for each in svg.iter(f"{SVG}path")]
    assert {"powered on (2)", "offer (1)", "failed (1)"} <= {*texts(svg)}
    tops = [float(re.findall(r"V([0-9.]+)", each)[-1]) for each in curves]
    assert tops[0] < tops[1] == tops[2]  # two machines are higher than one


@pytest.mark.parametrize("total_s", [0.0, 0.4, 12.0, 3600.0])
def test_a_storm_in_which_nothing_was_reached_is_a_plot(total_s: float):
    [machine] = storm_machines(1, None)
    failed = a_boot(machine, {}, failure=BootFailedError(Step.OFFER, "no offer", cure="start the server"))

    assert "0 of 1 machines booted" in texts(plotted([failed], total_s))[1]
