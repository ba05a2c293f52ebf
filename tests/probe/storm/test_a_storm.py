"""`netboot simulate --hosts`: twenty machines at once against a real daemon, each from its offer to `ready`."""

import json
import os
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Interface
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fixtures.files import OPEN_SETTINGS, write_boot_files, write_files
from fixtures.rack import Rack, running

from netboot.probe.storm.storm_machines import hosts_file, storm_machines

pytestmark = pytest.mark.integration

MACHINES, FIRST_ADDRESS = 20, "192.0.2.120/24"
HOSTS = """\
cluster: {name: rackone}
defaults: {boot_media: ol8u10-x86_64, release: ock-1.31-amd64, disk: /dev/vda}
roles:
  worker: {ignition: {join: ign/worker-join.ign}}
"""


@pytest.fixture
def storm_rack(tmp_path: Path) -> Iterator[Rack]:
    directory = tmp_path / "appliance"
    directory.mkdir()
    machines = storm_machines(MACHINES, IPv4Interface(FIRST_ADDRESS))
    write_files(directory, settings=OPEN_SETTINGS, hosts=HOSTS + hosts_file(machines))
    write_boot_files(directory / "boot")
    with running(directory) as rack:
        rack.netboot("install", "arm", *(each.name for each in machines), "--reason", "storm")
        yield rack


def storm(rack: Rack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Play a storm in the clients' namespace."""
    inside = ["ip", "netns", "exec", rack.client_namespace]
    options = ["simulate", "--hosts", str(MACHINES), "--interface", "c0", "--address", FIRST_ADDRESS, "--haste", "8"]
    command = [*inside, *rack.command()[4:], "--config", str(rack.config), *options, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, env={**os.environ})


def test_a_storm_of_armed_machines_is_installed_and_measured(storm_rack: Rack, tmp_path: Path):
    done = storm(storm_rack, "--spend", "--json", "--plot", str(tmp_path / "storm.svg"))

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["ok"], found["machines"], found["ended"], found["failures"]) == (True, MACHINES, MACHINES, [])
    for step in ("offer", "loader", "script", "kernel", "initrd", "kickstart", "installed", "ignition", "ready"):
        assert found["steps"][step]["count"] == MACHINES
    assert found["whole_boots"]["p50_s"] <= found["whole_boots"]["p99_s"] <= found["total_s"]
    assert found["fairness"] >= 1
    assert found["server"]["cpu_s"] > 0
    assert 10 << 20 < found["server"]["peak_bytes"] < 1 << 30
    assert f"{MACHINES} of {MACHINES} powered on, {MACHINES} ended, 0 failed" in done.stderr
    assert [storm_rack.install(f"storm-{number:04}")["state"] for number in (1, MACHINES)] == ["ready", "ready"]
    svg = ElementTree.parse(tmp_path / "storm.svg").getroot()
    assert f"ready ({MACHINES})" in [each.text for each in svg.iter("{http://www.w3.org/2000/svg}text")]

    again = storm(storm_rack, "--spend")  # now their machines boot their own disks

    assert again.returncode == 1, again.stdout + again.stderr
    assert f"{MACHINES} × " in again.stdout
    assert "storm-0001, storm-0002, storm-0003, storm-0004, storm-0005, …" in again.stdout
    assert "cure: register and arm the machines (--print-hosts prints their hosts file)" in again.stdout


def test_without_spend_no_registered_machine_sends_and_no_other_one_requests_its_script(storm_rack: Rack):
    refused = storm(storm_rack)

    assert refused.returncode == 1
    assert "20 machines of the storm are hosts (storm-0001, storm-0002," in refused.stderr
    assert storm_rack.install("storm-0001")["state"] == "registered"
    (storm_rack.directory / "hosts.yaml").write_text(HOSTS + "hosts: {}\n")
    storm_rack.netboot("reload")

    done = storm(storm_rack, "--until", "loader")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "note: without --spend no machine requests its script" in done.stdout
    assert storm_rack.lines("boot.script_served") == []
