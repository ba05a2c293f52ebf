"""Machines whose network is before their disk boot the disk by each method, on each firmware of the lab."""

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from e2e.foreign_programs import GRUB_X64, add_grub
from e2e.local_disks import SHIM_STARTED, STARTED, put_network_first, write_bios_disk, write_uefi_disk

from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import LabHost
from netboot.lab.machines.guest import Guest
from netboot.lab.machines.qemu import Firmware, LabDisk, LabMachine
from netboot.model.host.firmware import LocalBootMethod as M
from netboot.model.host.host import Role

pytestmark = pytest.mark.e2e

BOOT_S: Final = 240.0  # generous: a busy box is four times slower
AT_ONCE: Final = 2
FIGURES: Final = Path(__file__).resolve().parents[2] / "build/reliability/local-boot.jsonl"
SETUP: Final = "Boot Maintenance Manager"  # of EDK2's setup, which waits for a person
UNDIONLY: Final = "undionly.kpxe"


@dataclass(frozen=True, slots=True)
class LocalBoot:
    """A method, as the hosts file fixes it, and what then shows on the serial line."""

    firmware: Firmware
    method: M
    text: str = STARTED
    loader: str | None = None

    def host(self, number: int) -> LabHost:
        disks = (LabDisk("root", 1),)
        machine = LabMachine(f"m{number}", f"52:54:00:aa:cc:{0x20 + number:02x}", self.firmware, disks, memory_mib=256)
        replaces_rom = self.loader == UNDIONLY
        more = {"local_boot": self.method.value}
        return LabHost(machine, Role.WORKER, loader=self.loader, replaces_rom=replaces_rom, more=more)


BIOS, UEFI, HTTP = Firmware.SEABIOS_IPXE, Firmware.OVMF_PXE, Firmware.OVMF_HTTP


def methods_recorded(lab: Lab, host: str) -> list[str]:
    """Read by which methods a machine was led to its disk, from the daemon's log."""
    entries: list[dict[str, Any]] = [json.loads(line) for line in lab.appliance.log.read_text().splitlines()]
    return [each["method"] for each in entries if each.get("host") == host and each.get("step") == "local-boot"]


def record_time(boot: LocalBoot, seconds: float) -> None:
    """Add a line to the figures: from power-on to the text of the disk."""
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    line = {"firmware": boot.firmware, "loader": boot.loader, "method": boot.method, "seconds": round(seconds, 1)}
    with FIGURES.open("a") as figures:
        figures.write(json.dumps(line) + "\n")


async def boot(lab: Lab, guest: Guest, wanted: LocalBoot, slots: asyncio.Semaphore) -> tuple[str, list[str]]:
    """Boot a machine whose first boot entry is the network; return the text of its disk, and the methods recorded."""
    async with slots:
        if wanted.firmware is BIOS:
            await asyncio.to_thread(write_bios_disk, guest)
        else:
            await asyncio.to_thread(write_uefi_disk, guest)
            await (await guest.power_on()).wait_for(STARTED, timeout_s=BOOT_S)  # a new one starts its disk first
            await guest.power_off()
            await asyncio.to_thread(put_network_first, guest.variables_file, wanted.firmware)
        console = await guest.power_on()
        text = await console.wait_for(STARTED, SHIM_STARTED, SETUP, timeout_s=BOOT_S)
        record_time(wanted, time.monotonic() - guest.powered_on_at)
        await guest.power_off()
        return text, methods_recorded(lab, guest.machine.name)


@pytest.mark.parametrize(
    "boots",
    [
        pytest.param(
            [
                LocalBoot(BIOS, M.NO_OFFER),
                LocalBoot(BIOS, M.SANBOOT),
                LocalBoot(BIOS, M.EXIT),
                LocalBoot(BIOS, M.NO_FILE),
            ],
            id="seabios-ipxe",
        ),
        pytest.param(
            [
                LocalBoot(UEFI, M.EXIT),
                LocalBoot(UEFI, M.SANBOOT),
                LocalBoot(UEFI, M.GRUB, SHIM_STARTED, GRUB_X64),
            ],
            id="ovmf-pxe",
        ),
        pytest.param(
            [
                LocalBoot(UEFI, M.NO_OFFER),
                LocalBoot(UEFI, M.NO_FILE),
                LocalBoot(UEFI, M.EXIT, SETUP, GRUB_X64),  # upstream's GRUB exits without an error
                LocalBoot(HTTP, M.HTTP_404),
                LocalBoot(HTTP, M.EXIT),
                LocalBoot(HTTP, M.SANBOOT),
                LocalBoot(HTTP, M.GRUB, SHIM_STARTED, GRUB_X64),
                LocalBoot(BIOS, M.SANBOOT, STARTED, UNDIONLY),
                LocalBoot(BIOS, M.EXIT, STARTED, UNDIONLY),
            ],
            id="others",
            marks=pytest.mark.proof,
        ),
    ],
)
async def test_a_machine_boots_its_disk_by_the_method_that_the_hosts_file_fixes(boots: list[LocalBoot]):
    async with running_lab([each.host(number) for number, each in enumerate(boots)], say=lambda *_: None) as lab:
        await asyncio.to_thread(add_grub, lab.appliance.paths.loaders)
        async with lab.appliance.control() as daemon:
            await daemon.reload()
        slots = asyncio.Semaphore(AT_ONCE)

        found = await asyncio.gather(
            *(boot(lab, guest, each, slots) for guest, each in zip(lab.guests.values(), boots, strict=True))
        )

        assert found == [(each.text, [each.method]) for each in boots]
