"""One guest of the lab: its disk and firmware variables persist over power cycles."""

import asyncio
import shutil
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from netboot.errors import LabError
from netboot.lab.lan.namespaces import Lan, inside
from netboot.lab.machines.console import Console
from netboot.lab.machines.qemu import LabMachine, qemu_command


class Guest:
    """A machine on the lab's LAN. `directory` keeps its disks, its variables and a console log per power cycle."""

    def __init__(self, machine: LabMachine, lan: Lan, directory: Path) -> None:
        self.machine = machine
        self.console = Console(machine.name)
        self.powered_on_at = 0.0  # seconds on the monotonic clock
        self._lan = lan
        self._directory = directory
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._cycles = 0

    @property
    def is_on(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def power_on(self) -> Console:
        """Power it on and return the console of this power cycle; disks and variables are made the first time."""
        if self.is_on:
            raise LabError(f"{self.machine.name} is on already; power it off first")
        await asyncio.to_thread(self._prepare)
        self._cycles += 1
        self.console = Console(self.machine.name)
        self.powered_on_at = time.monotonic()
        command = qemu_command(
            self.machine,
            taps=self.taps,
            disks=self.disk_files,
            variables=self.variables_file,
            log=self._path(f"console-{self._cycles}.log"),
        )
        with self._path(f"qemu-{self._cycles}.log").open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *inside(self._lan.namespace, *command), stdin=DEVNULL, stdout=PIPE, stderr=errors
            )
        self._reader = asyncio.create_task(self._read(self._process, self.console))
        return self.console

    async def power_off(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader

    def _path(self, name: str) -> Path:
        return self._directory / name

    def _prepare(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        for tap in self.taps:
            self._lan.add_tap(tap)
        factory = self.machine.firmware.factory_variables
        if factory is not None and not self.variables_file.exists():
            shutil.copyfile(factory, self.variables_file)
        for disk, file in zip(self.machine.disks, self.disk_files, strict=True):
            with file.open("ab") as opened:
                opened.truncate(disk.size_gib << 30)  # sparse: unwritten blocks need no space

    @property
    def variables_file(self) -> Path:
        """The variables of its UEFI firmware, made at the first power-on."""
        return self._path("variables.fd")

    @property
    def disk_files(self) -> list[Path]:
        """The files of its disks, made at the first power-on."""
        return [self._path(f"disk-{disk.serial}.img") for disk in self.machine.disks]

    @property
    def taps(self) -> list[str]:
        """The names of its taps on the bridge, one for each card; made at the first power-on."""
        return ["tap" + mac.replace(":", "")[-8:] for mac in self.machine.macs]

    async def _read(self, process: Process, console: Console) -> None:
        assert process.stdout is not None
        while data := await process.stdout.read(65536):
            console.feed(data)
        await process.wait()
        if process.returncode:
            log = self._path(f"qemu-{self._cycles}.log").read_text(errors="replace").strip()
            console.feed(f"\nqemu ended with {process.returncode}: {log[-500:]}\n".encode() if log else b"")
        console.close()
