"""Whole installs of unusual hosts: an inspected machine."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from dataclasses import replace
from typing import Any

import pytest
from e2e.disk_contents import checksums, write_data

from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import CP1, POOL, POOL_ADDRESSES
from netboot.lab.machines.qemu import CARD_NAME, DISK_PATH
from netboot.operate.arming import ArmRequest

pytestmark = [pytest.mark.e2e, pytest.mark.proof]

BOOT_S = 240.0  # generous: a busy box is four times slower
INSTALL_S = 420.0
READY = "netboot-lab: ready"
NOT_REGISTERED = "netboot: this machine is not registered"


def quiet(*_: object) -> None: ...


async def netboot(lab: Lab, *words: str) -> Any:
    """Run a command with --json beside the daemon; return what it printed."""
    command = (sys.executable, "-m", "netboot", *words, "--config", str(lab.appliance.paths.settings), "--json")
    done = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    printed, errors = await done.communicate()
    assert done.returncode == 0, errors.decode()
    return json.loads(printed)


async def test_an_unregistered_machine_is_inspected_then_approved_and_installed():
    machine = replace(CP1.machine, name="new")
    async with (
        running_lab([replace(CP1, machine=machine, is_registered=False)], say=quiet) as lab,
        lab.appliance.control() as daemon,
    ):
        guest = lab.guest("new")
        await asyncio.to_thread(write_data, guest)
        before = await asyncio.to_thread(checksums, guest)

        console = await guest.power_on()
        await console.wait_for(NOT_REGISTERED, timeout_s=BOOT_S)
        assert "is inspected with" in console.text

        [found] = await netboot(lab, "host", "list", "--discovered")
        hardware = found["inspection"]["hardware"]
        assert [(disk["name"], disk["size_bytes"], disk["by_path"][0]) for disk in hardware["disks"]] == [
            ("vda", machine.disks[0].size_gib << 30, DISK_PATH)
        ]
        assert [(card["name"], card["mac"], card["has_link"]) for card in hardware["cards"]] == [
            (CARD_NAME, machine.mac, True)
        ]

        options = ("--role", "worker", "--name", "rack-{n}", "--pool", POOL, "--disk", DISK_PATH)
        approved = await netboot(lab, "host", "approve", machine.mac, *options)
        assert [each["host"] for each in approved["hosts"]] == ["rack-1"]
        assert await asyncio.to_thread(checksums, guest) == before
        await daemon.arm(ArmRequest(["rack-1"], reason="test"))

        await console.wait_for(READY, timeout_s=INSTALL_S)  # without another power-on
        assert f"netboot-lab: keyfile {CARD_NAME} {POOL_ADDRESSES[0]}/24" in console.text
        install = await daemon.install("rack-1")
        assert (install["state"], install["armed"]) == ("ready", False)
