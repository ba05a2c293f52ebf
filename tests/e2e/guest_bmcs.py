"""The BMCs of a lab's guests: sushy-tools' Redfish emulator, whose orders start and stop QEMU.

A guest is started by the one-time network boot alone: QEMU's UEFI has no other way to it than its blank disk, so the
order itself is what is verified. Two guests of this process work at a time, because this computer has two cores: a
machine that is switched on starts when another one waits for its join, or is off.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fixtures.redfish_emulator import PASSWORD, USER, EmulatedMachine, HeldReset, emulated_bmc

from netboot.bmc.credentials import BmcCredentials, write_credentials
from netboot.errors import LabError
from netboot.lab.lab import Lab
from netboot.lab.machines.guest import Guest
from netboot.model.bmc.bmc import Bmc

FIRST_PORT: Final = 8001  # of the BMCs, on the loopback interface of the lab
AT_WORK: Final = 2
WORK_S: Final = 900.0  # of a guest until it waits; one that hangs does not stop the others
LIFE_S: Final = 3600.0  # of a power cycle
NEVER: Final = "\0"  # which no console has: it is awaited until the machine is off
RESET_S: Final = 30.0
RESTS: Final = ("netboot-lab: ignition fetch", "netboot-lab: ready")  # it has nothing to do, or has done it all
STARTS: Final = frozenset({"On", "ForceOn", "ForceRestart", "GracefulRestart"})

_working = asyncio.Semaphore(AT_WORK)


@dataclass(slots=True)
class GuestBmc:
    """Starts and stops one guest; `held`: a reset that it answers late."""

    guest: Guest
    machine: EmulatedMachine
    loop: asyncio.AbstractEventLoop
    held: HeldReset | None = None
    _life: asyncio.Task[None] | None = field(default=None)

    def reset(self, kind: str) -> None:
        """Do what a type of reset does to QEMU; in a thread of the emulator."""
        if self.held is not None:
            self.held(kind)
        asyncio.run_coroutine_threadsafe(self._reset(kind), self.loop).result(RESET_S)

    async def press(self) -> None:
        """Switch the machine on, as a person does who lets it boot from the network."""
        assert self._life is None
        self._life = asyncio.create_task(self._live(), name=f"power of {self.guest.machine.name}")

    async def stop(self) -> None:
        """Switch the machine off at once, also one that waits for its turn."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
            self._life = None
        await self.guest.power_off()

    async def _reset(self, kind: str) -> None:
        if kind not in STARTS or "Restart" in kind:
            await self.stop()
        if kind in STARTS and self._life is None and self.machine.boot_device == "Pxe":
            await self.press()

    async def _live(self) -> None:
        """Run QEMU in its turn, until it ends by itself or this is cancelled."""
        try:
            async with _working:
                console = await self.guest.power_on()
                with suppress(LabError):
                    await console.wait_for(*RESTS, timeout_s=WORK_S)
            with suppress(LabError):
                await console.wait_for(NEVER, timeout_s=LIFE_S)
        finally:
            self._life, self.machine.power = None, "Off"


def url_of(place: int) -> str:
    """Return the URL of the BMC of a lab's machine, by its place among them."""
    return f"http://127.0.0.1:{FIRST_PORT + place}"


@asynccontextmanager
async def guest_bmcs(lab: Lab, *, without_bmc: Collection[str], directory: Path) -> AsyncIterator[dict[str, GuestBmc]]:
    """Serve a BMC for each guest of a lab, and write its credentials; those of `without_bmc` only have a button."""
    loop = asyncio.get_running_loop()
    found = {
        name: GuestBmc(guest, EmulatedMachine(str(guest.machine.uuid), guest.machine.macs), loop)
        for name, guest in lab.guests.items()
    }
    with ExitStack() as servers:
        for place, (name, bmc) in enumerate(found.items()):
            bmc.machine.on_reset = bmc.reset
            if name not in without_bmc:
                served = emulated_bmc(
                    bmc.machine, directory=directory, namespace=lab.lan.namespace, port=FIRST_PORT + place
                )
                url, file = servers.enter_context(served), lab.appliance.paths.directory / "bmc.d" / name
                write_credentials(file, BmcCredentials(USER, PASSWORD), Bmc(url))
                assert url == url_of(place)
        try:
            yield found
        finally:
            for bmc in found.values():
                await bmc.stop()
