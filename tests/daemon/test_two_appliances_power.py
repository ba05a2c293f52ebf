"""Two appliances on one PostgreSQL: what one was requested and did not send, the other sends when the first is lost."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.appliances import Box, two_boxes
from fixtures.daemon import wait_until
from fixtures.redfish_emulator import PASSWORD, USER, EmulatedMachine, MachineDriver, emulated_bmc
from postgresql import Server

from netboot.bmc.credentials import BmcCredentials, write_credentials
from netboot.model.bmc.bmc import Bmc

pytestmark = pytest.mark.integration

POWER = "/api/v1/hosts/w1/power"


@pytest.fixture
def machine() -> EmulatedMachine:
    return EmulatedMachine("6d1f0cd5-2c75-4b05-8a0f-1f5b8c1d0a01", power="On")


@pytest.fixture
def boxes(tmp_path: Path, postgresql_server: Server, machine: EmulatedMachine) -> Iterator[tuple[Box, Box]]:
    """Two appliances with the files and the credentials of w1."""
    with (
        emulated_bmc(machine, directory=tmp_path) as url,
        two_boxes(tmp_path, postgresql_server.new_database()) as made,
    ):
        for box in made:
            box.write_hosts(f'hosts: {{w1: {{role: worker, mac: 52:54:00:aa:bb:01, bmc: "{url}"}}}}\n')
            write_credentials(box.directory / "bmc.d" / "w1", BmcCredentials(USER, PASSWORD), Bmc(url))
            box.start()
        yield made


def test_an_action_of_an_appliance_that_is_lost_is_sent_once_by_the_other_one(
    boxes: tuple[Box, Box], machine: EmulatedMachine, monkeypatch: pytest.MonkeyPatch
):
    has_come, may_go_on, read = threading.Event(), threading.Event(), MachineDriver.get_power_state

    def held(driver: MachineDriver, identity: str) -> str:
        has_come.set()
        assert may_go_on.wait(30)
        return read(driver, identity)

    monkeypatch.setattr(MachineDriver, "get_power_state", held)
    first, second = boxes
    intent = first.api(POWER, "-d", '{"action": "cycle"}')
    assert has_come.wait(30)
    busy = second.api(POWER, "-d", '{"action": "off"}')
    assert (busy["status"], busy["code"]) == (409, "power-refused")
    first.kill()
    may_go_on.set()

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = second.api(f"/api/v1/power/intents/{intent['id']}?wait_s=5")
        return found if found["ended_at"] is not None else None

    found = wait_until(ended, timeout_s=45.0)
    assert (found["state"], found["actor"], machine.resets) == ("done", "uid 0", ["ForceRestart"]), found
