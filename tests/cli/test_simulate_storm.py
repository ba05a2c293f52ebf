"""The options of `netboot simulate --hosts`, and what it prints of a storm."""

import json

import pytest
from click.testing import CliRunner

from netboot.cli.main import cli
from netboot.cli.views.simulation.storm_view import StormReport, storm_json, storm_lines
from netboot.model.install.event import Step
from netboot.probe.firmwares.profiles import profile_named
from netboot.probe.storm.storm_figures import FailureGroup, Percentiles, StormFigures


def test_the_hosts_file_of_the_machines_is_printed():
    done = CliRunner().invoke(cli, ["simulate", "--hosts", "2", "--print-hosts", "--address", "192.0.2.5/24"])

    assert (done.exit_code, done.stdout.splitlines()[1:]) == (
        0,
        [
            "hosts:",
            "  storm-0001: {role: worker, mac: '02:6e:62:f0:00:01', network: {address: 192.0.2.5/24}}",
            "  storm-0002: {role: worker, mac: '02:6e:62:f0:00:02', network: {address: 192.0.2.6/24}}",
        ],
    )


def test_the_machines_are_printed_as_json():
    done = CliRunner().invoke(cli, ["simulate", "--hosts", "1", "--print-hosts", "--json"])

    assert json.loads(done.stdout) == [{"name": "storm-0001", "mac": "02:6e:62:f0:00:01", "address": None}]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(
            ["--plot", "storm.svg"], "--plot and --print-hosts belong to --hosts N", id="a-plot-of-one-machine"
        ),
        pytest.param(["--print-hosts"], "--plot and --print-hosts belong to --hosts N", id="hosts-of-one-machine"),
        pytest.param(["--hosts", "2", "--mac", "02:6e:62:00:00:01"], "leave --mac out", id="one-mac-for-many"),
        pytest.param(["--hosts", "2001"], "2001 is not in the range", id="too-many"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(options: list[str], expected: str):
    done = CliRunner().invoke(cli, ["simulate", *options])

    assert done.exit_code == 2
    assert expected in done.stderr


def test_a_storm_whose_server_is_elsewhere_is_shown_without_its_use():
    times = Percentiles(3, 0.25, 1.5, 2.0, 2.0)
    failures = [FailureGroup(Step.LOADER, "no answer", "open UDP 69", 1, ["storm-0003"])]
    figures = StormFigures(3, 2, 12.34, {Step.OFFER: times}, times, 1.25, failures)
    report = StormReport(profile_named("edk2-pxe"), "eth1", Step.READY, "", figures, None)

    assert [*storm_lines(report)] == [
        "3 machines with edk2-pxe on eth1, to ready: 2 booted in 12.3 s, 1 failed",
        "step          machines       p50       p90       p99     worst",
        "offer                3    250 ms    1.50 s    2.00 s    2.00 s",
        "whole boot           3    250 ms    1.50 s    2.00 s    2.00 s",
        "slowest ÷ fastest whole boot: 1.25",
        "server: CPU and memory are not known here; run the command where its daemon runs, with --config",
        "1 × loader: no answer",
        "    storm-0003",
        "    cure: open UDP 69",
    ]
    assert storm_json(report)["server"] is None
    assert storm_json(report)["steps"] == {
        "offer": {"count": 3, "p50_s": 0.25, "p90_s": 1.5, "p99_s": 2.0, "worst_s": 2.0}
    }
