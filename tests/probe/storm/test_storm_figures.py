"""The figures of a storm: percentiles that were measured, failures by sentence, fairness."""

import pytest
from probe.storm.storms import a_boot

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.machine_timeline import ClientEvent
from netboot.probe.storm.storm_figures import FailureGroup, Percentiles, StormBoot, figures_of, percentiles
from netboot.probe.storm.storm_machines import StormMachine, storm_machines


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param([2.0], Percentiles(1, 2.0, 2.0, 2.0, 2.0), id="one-value-is-every-percentile"),
        pytest.param([3.0, 1.0], Percentiles(2, 1.0, 3.0, 3.0, 3.0), id="the-median-of-two-was-measured"),
        pytest.param(
            [float(each) for each in range(1000, 0, -1)], Percentiles(1000, 500, 900, 990, 1000), id="a-thousand-values"
        ),
    ],
)
def test_percentiles_are_values_that_were_measured(seconds: list[float], expected: Percentiles):
    assert percentiles(seconds) == expected


def test_a_step_takes_from_the_end_of_the_step_before():
    [machine] = storm_machines(1, None)
    boot = a_boot(machine, {Step.OFFER: 0.5, Step.LOADER: 2.0, Step.SCRIPT: 2.25})

    assert boot.step_times_s() == {Step.OFFER: 0.5, Step.LOADER: 1.5, Step.SCRIPT: 0.25}


def test_an_offer_that_is_requested_again_after_the_install_is_not_its_offer():
    [machine] = storm_machines(1, None)
    steps = ((0.5, Step.OFFER), (1.0, Step.OFFER), (2.0, Step.LOADER), (2.5, Step.OFFER), (3.0, Step.INSTALLED))
    events = tuple(ClientEvent(at_s, step, "") for at_s, step in (*steps, (4.0, Step.OFFER), (5.0, Step.LOCAL_BOOT)))
    boot = StormBoot(machine, 0.0, 5.0, events, None)

    assert boot.reached_s() == {Step.OFFER: 1.0, Step.LOADER: 2.0, Step.INSTALLED: 3.0, Step.LOCAL_BOOT: 5.0}


def test_fairness_is_the_slowest_whole_boot_by_the_fastest():
    one, two, three = storm_machines(3, None)
    boots = [
        a_boot(one, {Step.OFFER: 1.0, Step.READY: 4.0}),
        a_boot(two, {Step.OFFER: 1.0, Step.READY: 6.0}),
        a_boot(three, {Step.OFFER: 0.1}, failure=BootFailedError(Step.LOADER, "no answer", cure="open UDP 69")),
    ]

    figures = figures_of(boots, total_s=7.0)

    assert figures.fairness == 1.5
    assert (figures.machines, figures.ended, figures.total_s) == (3, 2, 7.0)
    assert figures.whole_boots == Percentiles(2, 4.0, 6.0, 6.0, 6.0)
    assert figures.steps == {
        Step.OFFER: Percentiles(3, 1.0, 1.0, 1.0, 1.0),
        Step.READY: Percentiles(2, 3.0, 5.0, 5.0, 5.0),
    }


def test_a_storm_without_a_whole_boot_has_no_fairness():
    [machine] = storm_machines(1, None)
    failed = a_boot(machine, {}, failure=BootFailedError(Step.OFFER, "no offer came", cure="start the server"))

    figures = figures_of([failed], total_s=60.0)

    assert (figures.fairness, figures.whole_boots, figures.steps) == (None, None, {})


def test_failures_are_grouped_by_their_sentence_without_what_only_one_machine_has():
    machines = storm_machines(8, None)

    def unavailable(machine: StormMachine) -> BootFailedError:
        url = f"http://192.0.2.10:8080/boot/{machine.mac.hyphenated}.ipxe"
        return BootFailedError(Step.SCRIPT, f"GET {url} ends with 503", cure=f"look at {machine.name}")

    boots = [a_boot(each, {}, failure=unavailable(each)) for each in machines[:7]]
    boots.append(a_boot(machines[7], {}, failure=BootFailedError(Step.OFFER, "no offer came", cure="start it")))

    assert figures_of(boots, total_s=1.0).failures == [
        FailureGroup(
            Step.SCRIPT,
            "GET http://…/boot/….ipxe ends with 503",
            "look at …",
            7,
            ["storm-0001", "storm-0002", "storm-0003", "storm-0004", "storm-0005"],
        ),
        FailureGroup(Step.OFFER, "no offer came", "start it", 1, ["storm-0008"]),
    ]
