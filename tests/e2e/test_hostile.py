"""Two hostile machines on the LAN of a real install try every path to its documents, and get none; it succeeds."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from e2e.run_outputs import RunSecrets
from fixtures.hostile_machines import HostileMachine, alarms, assert_nothing_opened
from secrets_search import Finding, search

from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import CP1, W1
from netboot.lab.lan.namespaces import APPLIANCE, BRIDGE, DHCP_CARD, Lan, inside
from netboot.lab.machines.follow import boot_to_the_end
from netboot.model.install.event import Step
from netboot.operate.arming import ArmRequest

pytestmark = [pytest.mark.e2e, pytest.mark.proof]

INSTALL_S: Final = 840.0  # generous: a busy box is four times slower
UNREGISTERED: Final = ("52:54:00:66:66:66", "192.0.2.66")
COMPROMISED: Final = (W1.machine.mac, "192.0.2.67")  # registered, with a leased address
UNUSED: Final = "192.0.2.68"  # of no machine


class HostileLan(Lan):
    """A LAN with two more machines: one that is not registered, and one with the MAC of the registered w1."""

    def create(self) -> None:
        super().create()
        for name, (mac, address) in (("unknown", UNREGISTERED), ("hostile", COMPROMISED)):
            namespace = f"{self.prefix}-{name}"
            self.join(namespace, DHCP_CARD, bridge=BRIDGE)
            for words in (
                ("link", "set", DHCP_CARD, "down"),
                ("link", "set", DHCP_CARD, "address", mac),
                ("link", "set", DHCP_CARD, "up"),
                ("addr", "add", f"{address}/{APPLIANCE.network.prefixlen}", "dev", DHCP_CARD),
            ):
                subprocess.run(["ip", "-n", namespace, *words], check=True, timeout=10)


def hostile(lab: Lab, namespace: str, machine: tuple[str, str], stolen: list[str]) -> HostileMachine:
    mac, address = machine
    assert CP1.address is not None
    plan: dict[str, Any] = {
        "server": str(APPLIANCE.ip),
        "mac": mac,
        "address": address,
        "card": DHCP_CARD,
        "victims": [{"mac": CP1.machine.mac, "address": str(CP1.address.ip)}],
        "old_tokens": ["1f" * 16],
        "own_tokens": [],
        "stolen": stolen,
        "pause_s": 1.0,  # the machine that is installed needs the core too
        "sniffs": True,
    }
    words = inside(f"{lab.lan.prefix}-{namespace}")
    return HostileMachine(namespace, lab.work / f"hostile-{namespace}", words, plan)


async def leak(lab: Lab, machines: list[HostileMachine], secrets: RunSecrets) -> None:
    """Let the hostile machines know each token of the running boot as soon as it is drawn."""
    while True:
        await secrets.add_tokens()
        tokens = [secret.text for secret in secrets.found if secret.name.endswith("of installs")]
        for machine in machines:
            await asyncio.to_thread(machine.learn, tokens)
        await asyncio.sleep(1)


async def test_a_real_install_succeeds_beside_two_hostile_machines_which_get_no_document():
    async with (
        running_lab([CP1, W1], say=lambda *_: None, lan_type=HostileLan) as lab,
        lab.appliance.control() as daemon,
    ):
        machines = [
            hostile(lab, "unknown", UNREGISTERED, [UNUSED]),
            hostile(lab, "hostile", COMPROMISED, []),
        ]
        secrets = RunSecrets(lab)
        await daemon.arm(ArmRequest(["cp1"], reason="test"))
        for machine in machines:
            machine.directory.mkdir()
            machine.start()
        leaking = asyncio.create_task(leak(lab, machines, secrets))
        try:
            timelines = await boot_to_the_end(daemon, [lab.guest("cp1")], on_change=lambda *_: None, limit_s=INSTALL_S)
        finally:
            leaking.cancel()
            for machine in machines:
                await asyncio.to_thread(machine.end)

        events = await asyncio.to_thread(recorded, lab.appliance.paths.socket)
        assert Step.READY in timelines["cp1"].moments
        assert {"kickstart_token of installs", "ignition_token of installs"} <= secrets.kinds
        for machine in machines:
            assert_nothing_opened(machine, ["guessed", "old", "leaked"])
            assert search(machine.received, secrets.found) == list[Finding]()
            assert alarms(events, machine), machine.attempts
            assert machine.attempts["rounds"] > 5


def recorded(socket: Path) -> str:
    """Return the alarms, as the API sends them."""
    url = "http://netboot/api/v1/events?event=boot.alarm_raised&after=0&follow=0"
    command = ["curl", "-sS", "--max-time", "30", "--unix-socket", str(socket), url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
