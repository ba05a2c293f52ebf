"""`netboot simulate --hosts` against a real daemon; tests/probe/storm has whole installs."""

import json
from collections.abc import Iterator

import pytest
from fixtures.simulations import Simulations, simulations

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulations]:
    with simulations(tmp_path_factory.mktemp("storm")) as running:
        yield running


def test_each_machine_is_played_to_its_loader_with_the_use_of_the_daemon_and_a_plot(lan: Simulations):
    plot = lan.rack.directory / "storm.svg"
    result = lan.run("--hosts", "3", "--within", "0", "--until", "loader", "--plot", str(plot), "--json")
    found = json.loads(result.stdout)

    assert (result.exit_code, found["steps"]["loader"]["count"]) == (0, 3)
    assert found["server"] is not None
    assert plot.read_text().startswith("<svg ")
    assert "3 of 3" in result.stderr


def test_a_storm_of_registered_machines_is_refused_without_spend_and_no_plot_is_written_into_no_directory(
    lan: Simulations,
):
    hosts = lan.rack.directory / "hosts.yaml"
    text = hosts.read_text()
    hosts.write_text(text + "  storm-0001: {role: worker, mac: '02:6e:62:f0:00:01'}\n")
    lan.rack.netboot("reload")
    try:
        refused = lan.run("--hosts", "2")
    finally:
        hosts.write_text(text)
        lan.rack.netboot("reload")
    unwritten = lan.run("--hosts", "1", "--until", "offer", "--plot", "/none/storm.svg")

    assert str(refused.exception) == (
        "1 machine of the storm is a host (storm-0001), and what they send changes their installs; "
        "add --spend, or remove the hosts file"
    )
    assert str(unwritten.exception) == (
        "cannot write the plot /none/storm.svg: No such file or directory; choose another file"
    )
