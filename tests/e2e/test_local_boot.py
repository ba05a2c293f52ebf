"""Machines that are led to their own disk by the methods that SeaBIOS with its iPXE ROM can show."""

import asyncio
import json
import os
from typing import Any, Final

import pytest

from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import LabHost
from netboot.lab.machines.guest import Guest
from netboot.lab.machines.qemu import Firmware, LabMachine
from netboot.model.host.firmware import LocalBootMethod
from netboot.model.host.host import Role

pytestmark = pytest.mark.e2e

BOOT_S: Final = 240.0  # generous: a busy box is four times slower
STARTED: Final = "netboot-lab: the disk started"
# Prints a text to the serial line, and stops: mov si, text; mov dx, 0x3f8; lodsb; or al, al; out dx, al; hlt
_CODE: Final = bytes.fromhex("31c0 8ed8 be157c baf803 ac 08c0 7403 ee ebf8 f4 ebfd")


def boot_sector() -> bytes:
    """Return the first sector of a disk that a BIOS starts."""
    return (_CODE + f"\r\n{STARTED}\r\n".encode() + b"\0").ljust(510, b"\0") + b"\x55\xaa"


def write_disk(guest: Guest) -> None:
    for disk, file in zip(guest.machine.disks, guest.disk_files, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(boot_sector())
        os.truncate(file, disk.size_gib << 30)


def a_bios(method: LocalBootMethod | None, number: int) -> LabHost:
    machine = LabMachine(f"bios{number}", f"52:54:00:aa:cc:{0x20 + number:02x}", Firmware.SEABIOS_IPXE, memory_mib=256)
    return LabHost(machine, Role.WORKER, more={"local_boot": method.value} if method else {})


def local_boots(lab: Lab, host: str) -> list[dict[str, Any]]:
    """Read how a machine was led to its disk, from the daemon's log."""
    entries = [json.loads(line) for line in lab.appliance.log.read_text().splitlines()]
    return [each for each in entries if each.get("host") == host and each.get("step") == "local-boot"]


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        pytest.param(
            [None, LocalBootMethod.EXIT, LocalBootMethod.NO_OFFER], ["sanboot", "exit", "no-offer"], id="seabios-ipxe"
        )
    ],
)
def test_a_bios_boots_its_disk_by_each_method(methods: list[LocalBootMethod | None], expected: list[str]):
    hosts = [a_bios(method, number) for number, method in enumerate(methods)]

    async def scenario() -> list[str]:
        async with running_lab(hosts, say=lambda *_: None) as lab:
            found = []
            for guest in lab.guests.values():
                await asyncio.to_thread(write_disk, guest)
                console = await guest.power_on()
                await console.wait_for(STARTED, timeout_s=BOOT_S)
                await guest.power_off()
                [led] = local_boots(lab, guest.machine.name)
                found.append(str(led["method"]))
            return found

    assert asyncio.run(scenario()) == expected
