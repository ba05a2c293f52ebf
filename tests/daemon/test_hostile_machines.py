"""During an install, two hostile machines try every path to its documents and get none; it succeeds, with alarms."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest
from fixtures.hostile_machines import HostileMachine, alarms, assert_nothing_opened, running_beside
from fixtures.planted_secrets import write_appliance
from fixtures.rack import Machine, Rack, a_rack, token_in
from secrets_search import Finding, Secret, search, secrets_of_store

pytestmark = pytest.mark.integration

CP1: Final = ("52:54:00:aa:bb:01", "192.0.2.50")
W1: Final = ("52:54:00:12:34:56", "192.0.2.51")
UNREGISTERED: Final = ("52:54:00:66:66:66", "192.0.2.60")
GROUPS: Final = ("guessed", "old", "leaked")


@pytest.fixture
def planted(tmp_path: Path) -> list[Secret]:
    """Write an appliance, and return the secrets in its files."""
    (tmp_path / "appliance").mkdir()
    return write_appliance(tmp_path / "appliance")


@pytest.fixture
def rack(tmp_path: Path, planted: list[Secret]) -> Iterator[Rack]:
    with a_rack(tmp_path / "appliance") as rack:
        rack.start()
        yield rack


def install(rack: Rack, machine: Machine, host: str) -> list[str]:
    """Install a host; return the tokens of its boot."""
    rack.netboot("install", "arm", host, "--force")
    machine.boots()
    return finish(machine, machine.script())


def finish(machine: Machine, script: str) -> list[str]:
    kickstart_token = token_in(script, "ks")
    kickstart = machine.get(f"/ks/{kickstart_token}").body
    report, ignition = token_in(kickstart, "report"), token_in(kickstart, "ign")
    assert machine.report(report, "started") == 200
    assert machine.report(report, "done") == 200
    overlay = unquote(machine.get(f"/ign/{ignition}/overlay").body)
    assert machine.get(f"/ign/{ignition}").status == 200
    assert machine.get(f"/ign/{ignition}/role").status == 200
    assert machine.report(report, "ready") == 200
    return [kickstart_token, ignition, report, token_in(overlay, "node")]


def hostile(
    rack: Rack, name: str, machine: tuple[str, str], old_tokens: list[str], own_tokens: list[str]
) -> HostileMachine:
    mac, address = machine
    rack.add_client_address(address)
    plan = {
        "server": "192.0.2.10",
        "mac": mac,
        "address": address,
        "card": "c0",
        "victims": [{"mac": CP1[0], "address": CP1[1]}],
        "old_tokens": old_tokens,
        "own_tokens": own_tokens,
        "stolen": ["192.0.2.77"],  # of nobody
        "pause_s": 0.1,
        "sniffs": False,  # they share cp1's card
    }
    command = ("ip", "netns", "exec", rack.client_namespace)
    return HostileMachine(name, rack.directory.parent / name, command, plan)


def test_an_install_succeeds_beside_two_hostile_machines_which_get_no_document(rack: Rack, planted: list[Secret]):
    database = rack.directory / "netboot.db"
    cp1, w1 = rack.machine(*CP1), rack.machine(*W1)
    own = install(rack, w1, "w1")  # the compromised machine was installed, and keeps what it received
    earlier = install(rack, cp1, "cp1")
    machines = [
        hostile(rack, "unknown", UNREGISTERED, earlier, []),
        hostile(rack, "compromised", W1, earlier, own),
    ]
    rack.netboot("install", "arm", "cp1", "--force")
    cp1.boots()
    with running_beside(machines):
        script = cp1.script()
        secrets = secrets_of_store(database)
        tokens = [secret.text for secret in secrets if secret.text not in own]
        for machine in machines:
            machine.learn(tokens)
            machine.wait_for_rounds(1)
        finish(cp1, script)
        for machine in machines:
            machine.wait_for_rounds(1)

    events = rack.api_text("/api/v1/events?event=boot.alarm_raised&after=0&follow=0").decode()
    refused = rack.api_text("/api/v1/events?event=boot.request_refused&after=0&follow=0").decode()
    assert rack.install("cp1")["state"] == "ready"
    for machine in machines:
        assert_nothing_opened(machine, GROUPS)
        assert search(machine.received, [*secrets, *planted]) == list[Finding]()
        assert alarms(events, machine), events
        assert machine.plan["address"] in refused
