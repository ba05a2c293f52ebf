"""Machines of the rack whose installer is played, after a boot up to the kernel by scapy and curl."""

import asyncio
import re
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, TypeVar

import pytest
from fixtures.files import write_files
from fixtures.rack import Machine, Rack, running
from netns import inside

from netboot.model.boot.boot_client import Arch
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.probe.installer.first_boot import FirstBoot, first_boot
from netboot.probe.installer.installed_system import InstalledSystem
from netboot.probe.installer.installer_run import install
from netboot.probe.loaded_file import LoadedFile
from netboot.probe.machine import Behaviour
from netboot.probe.machine_timeline import MachineTimeline
from netboot.probe.scripts.script_end import BootsKernel

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
T = TypeVar("T")


@dataclass(frozen=True)
class Firmware:
    arch: int = Arch.X64_UEFI


@dataclass
class PlayedMachine:
    """A machine of the rack, with what an installer needs of a simulated machine."""

    of_rack: Machine
    profile: Firmware = Firmware()
    behaviour: Behaviour = field(default_factory=Behaviour)
    timeline: MachineTimeline = field(default_factory=lambda: MachineTimeline(time.monotonic))

    @property
    def mac(self) -> Mac:
        return Mac.parse(self.of_rack.mac)

    @property
    def address(self) -> IPv4Address:
        return IPv4Address(self.of_rack.address)

    def kernel(self) -> BootsKernel:
        """Request the script and read its kernel line."""
        line = re.search(r"^kernel \S+ (.*) \|\| goto failed$", self.of_rack.script(), re.MULTILINE)
        assert line is not None
        return BootsKernel(LoadedFile("vmlinuz", "http://192.0.2.10/vmlinuz", 0, ""), arguments=line[1])

    def installs(
        self, kernel: BootsKernel, *, until: Step = Step.INSTALLED, spends: bool = True, **options: Any
    ) -> InstalledSystem:
        return self.run(install(self, kernel, until=until, spends=spends, **options))

    def starts(
        self, installed: InstalledSystem, *, until: Step = Step.READY, spends: bool = True, **options: Any
    ) -> FirstBoot | None:
        return self.run(first_boot(self, installed, until=until, spends=spends, **options))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        with inside(self.of_rack.rack.client_namespace):
            return asyncio.run(work)

    @property
    def texts(self) -> list[str]:
        return [f"{event.step}: {event.text}" for event in self.timeline.events]


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with running(write_files(tmp_path_factory.mktemp("box"))) as rack:
        yield rack


@pytest.fixture
def cp1(rack: Rack) -> PlayedMachine:
    """The host cp1, armed, whose firmware has done DHCP."""
    return armed(rack)


def armed(rack: Rack) -> PlayedMachine:
    """Arm cp1, whatever an earlier install has left, and boot its firmware."""
    machine = PlayedMachine(rack.machine(*CP1))
    rack.run("install", "cancel", "cp1")
    rack.netboot("install", "arm", "cp1")
    machine.of_rack.boots()
    return machine
