"""The boot of one machine that sends everything itself: DHCP, loader, script, installer, and the installed system.

A script can spend a boot of an arming, and every URL with a token belongs to one boot. So a script is requested only if
the `Permissions` of the simulation have it at that moment, and no URL with a token is requested without `spends`.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from netboot.model.boot.loader_names import LoaderKind, loader_kind
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.model.urls import LOCAL_DISK_NAME, is_of_one_boot
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.boot_offer import BootOffer
from netboot.probe.dhcp.boot_request import request_boot
from netboot.probe.firmwares.dhcp_client import DhcpRules
from netboot.probe.firmwares.firmware_profile import DhcpStage, LoaderProgram
from netboot.probe.installer.first_boot import first_boot
from netboot.probe.installer.installed_system import InstalledSystem
from netboot.probe.installer.installer_run import install
from netboot.probe.loaded_file import FileMissingError, LoadedFile
from netboot.probe.loading.load_loader import load_loader
from netboot.probe.loading.second_stage import (
    load_autoexec,
    load_grub,
    load_grub_configuration,
    request_module_lists,
)
from netboot.probe.loading.url_reader import GRUB_READING, IPXE_READING, UrlReader
from netboot.probe.machine import SimulatedMachine
from netboot.probe.machine_timeline import MachineTimeline
from netboot.probe.scope.simulated_identity import identity_of
from netboot.probe.scripts.grub_script import run_grub_script
from netboot.probe.scripts.ipxe_script import run_ipxe_script
from netboot.probe.scripts.script_end import BootsKernel, BootsLocally, Chains, Restarts, ScriptEnd, Waits

MOST_SCRIPTS: Final = 8  # of one boot that chain each other
MOST_LOADERS: Final = 4  # of one boot
_SCRIPT_MARK: Final = "#!ipxe"
_CONSOLE: Final = "console: "  # how the timeline has what a script prints
# The MAC of `/boot/MAC.ipxe`, `/boot/MAC/grub.cfg`, `grub.cfg-01-MAC`
_SCRIPT_NAMES: Final = re.compile(r"(?:/boot/|/grub\.cfg-(?:01-|20-)?)([^/]+?)(?:\.ipxe)?(?=/|$)", re.IGNORECASE)
_ORDER: Final = {step: number for number, step in enumerate(Step)}

Plan = Mapping[str, Any]
"""What the server would give a host, as `GET /api/v1/hosts/HOST/plan` has it."""


class SimulationEnd(StrEnum):
    """How a simulation ended."""

    READY = "ready"
    LOCAL_DISK = "local-disk"  # the machine boots its own disk
    WAITS = "waits"  # its script waits for an operator
    REHEARSED = "rehearsed"  # all that can be had without being this machine is right
    REACHED = "reached"  # the last step that was to be played
    BEFORE_SCRIPT = "before-script"  # the script was not requested: it could have spent an arming
    BEFORE_TOKEN = "before-token"  # noqa: S105 - a URL with a token was not requested
    SWITCHED_OFF = "switched-off"  # by --behave
    LEFT = "left"  # the machine runs or does something in which nothing of ours follows
    FAILED = "failed"


async def _refuse_script() -> str:
    return "its script can spend an arming, and nothing permits that"


async def _permit_script() -> None:
    return None


async def _permit_address(_: IPv4Address) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a simulation without `spends` may request; each returns why it may not, and None if it may."""

    script: Callable[[], Awaitable[str | None]] = _refuse_script  # called directly before each script
    address: Callable[[IPv4Address], Awaitable[str | None]] = _permit_address  # of the machine, before the first file


NO_SCRIPT: Final = Permissions()
ALL_PERMITTED: Final = Permissions(_permit_script)


class EndedError(Exception):
    """A boot ends here as it must."""

    def __init__(self, end: SimulationEnd, sentence: str) -> None:
        super().__init__(sentence)
        self.end, self.sentence = end, sentence


def end_at(step: Step, until: Step) -> None:
    """End the boot if `step` is the last that is to be played, or comes after it."""
    if _ORDER[until] <= _ORDER[step]:
        raise EndedError(SimulationEnd.REACHED, f"{until} was to be the last step")


def kernel_of(end: ScriptEnd, failed_read: BootFailedError | None, *, console: str = "") -> BootsKernel:
    """Return the kernel that a script boots; raise EndedError or BootFailedError for every other end.

    `console` is the first line that the script printed.
    """
    match end:
        case BootsKernel():
            return end
        case BootsLocally(way):
            raise EndedError(SimulationEnd.LOCAL_DISK, f"its script leads it to its own disk: {way}")
        case Restarts(way):
            raise EndedError(SimulationEnd.LEFT, f"its script ends with {way}")
        case Waits(sentence=sentence) if failed_read is None:
            raise EndedError(SimulationEnd.WAITS, f"its script waits, and is requested again: {console or sentence}")
        case Waits() | Chains() if failed_read is not None:
            raise failed_read
        case Waits() | Chains():
            raise EndedError(SimulationEnd.LEFT, "its scripts chain each other without an end")


@dataclass(slots=True)
class MachineBoot:
    """One boot of a machine, which sends everything itself."""

    machine: SimulatedMachine
    until: Step
    spends: bool
    permissions: Permissions

    async def play(self) -> None:
        """Play until the end, which is an EndedError or a BootFailedError."""
        kernel = await self._boot_by_network()
        end_at(Step.INITRD, self.until)
        if not self.spends:
            raise EndedError(SimulationEnd.BEFORE_TOKEN, "the Kickstart has a token; --spend requests it")
        installed = await install(self.machine, kernel, until=self.until, spends=True)
        end_at(installed.ended_at, self.until)
        if Step.INSTALLED not in {event.step for event in self.machine.timeline.events}:
            raise EndedError(SimulationEnd.LEFT, f"what it boots ends at {installed.ended_at} and installs nothing")
        await self._boot_installed(installed)

    async def _boot_by_network(self) -> BootsKernel:
        """Play firmware and loaders until a kernel is started; every other end is raised."""
        profile, stage = self.machine.profile, self.machine.profile.stages[0]
        for _ in range(MOST_LOADERS):
            offer = await self._offer(stage)
            if profile.client(stage).rules is DhcpRules.IPXE and _is_script(offer):
                return await self._run_scripts(offer.file)
            await self._load(offer, stage)
            stage = DhcpStage.LOADER if profile.loader is not None else stage
            match profile.loader_program:
                case LoaderProgram.IPXE:
                    end_at(Step.LOADER, self.until)
                case LoaderProgram.IPXE_AUTOEXEC:
                    end_at(Step.LOADER, self.until)
                    if (file := await load_autoexec(self.machine, offer)) is not None:
                        await self._offer(stage)  # the script's command `dhcp`
                        return await self._run_scripts(file.url, file)
                case LoaderProgram.SHIM_GRUB | LoaderProgram.GRUB_HTTP:
                    await load_grub(self.machine, offer)
                    end_at(Step.LOADER, self.until)
                    return await self._run_grub(offer)
                case LoaderProgram.NONE:
                    raise EndedError(SimulationEnd.LEFT, f"it runs {offer.file}, which is not played further")
        raise BootFailedError(
            Step.LOADER,
            f"the machine is offered a loader {MOST_LOADERS} times and never a script: it loads itself for ever",
            cure="look at what the server learned of this machine: netboot host show; report it with a capture",
        )

    async def _offer(self, stage: DhcpStage) -> BootOffer:
        """Do DHCP; end the boot if the offer leads to the disk, or if files must not be read from this address."""
        offer = await request_boot(self.machine, stage)
        if offer.local_boot:
            self.machine.timeline.add(Step.LOCAL_BOOT, offer.local_boot)
            raise EndedError(SimulationEnd.LOCAL_DISK, f"the offer leads it to its own disk: {offer.local_boot}")
        end_at(Step.PXE_REQUEST, self.until)
        if self.machine.address is not None and (reason := await self.permissions.address(self.machine.address)):
            raise EndedError(SimulationEnd.BEFORE_SCRIPT, reason)
        return offer

    async def _load(self, offer: BootOffer, stage: DhcpStage) -> None:
        """Load the offered file. UEFI HTTP boot is led to the disk by a file that is never served."""
        if offer.is_url:
            await self.permit(offer.file)
        try:
            await load_loader(self.machine, offer, stage=stage)
        except FileMissingError as error:
            if not offer.is_url or not urlsplit(offer.file).path.endswith(f"/{LOCAL_DISK_NAME}"):
                raise
            self.machine.timeline.add(Step.LOCAL_BOOT, "the offered file is missing: the next boot entry is its disk")
            raise EndedError(SimulationEnd.LOCAL_DISK, error.sentence) from None

    async def _run_scripts(self, url: str, file: LoadedFile | None = None) -> BootsKernel:
        """Run iPXE's script and those that it chains; `file` is the first one if it was read already."""
        async with UrlReader(self.machine, IPXE_READING) as files:
            reader = ScriptReader(self, files)
            file = file or await reader.fetch(url, Step.SCRIPT)
            for _ in range(MOST_SCRIPTS):
                if not file.text.startswith(_SCRIPT_MARK):
                    raise EndedError(SimulationEnd.LEFT, f"its script starts {file.name}, which is not played further")
                end = await run_ipxe_script(self.machine, file.text, url=url, fetch=reader.fetch)
                if not isinstance(end, Chains):
                    console = _first_printed(self.machine.timeline)
                    self._add_local_boot(end)
                    return kernel_of(end, reader.failed, console=console)
                url, file = end.url, end.file
        raise EndedError(SimulationEnd.LEFT, f"{MOST_SCRIPTS} scripts chain each other without a kernel")

    async def _run_grub(self, offer: BootOffer) -> BootsKernel:
        """Run the configuration that GRUB finds."""
        async with UrlReader(self.machine, GRUB_READING) as files:
            reader = ScriptReader(self, files)
            await request_module_lists(self.machine, offer)
            file = await load_grub_configuration(self.machine, offer, reader.fetch)
            end = await run_grub_script(self.machine, file.text, url=file.url, fetch=reader.fetch)
            self._add_local_boot(end)
            return kernel_of(end, reader.failed)

    def _add_local_boot(self, end: ScriptEnd) -> None:
        if isinstance(end, BootsLocally):
            self.machine.timeline.add(Step.LOCAL_BOOT, f"its script leads it to its own disk: {end.way}")

    async def permit(self, url: str) -> None:
        """End the boot before a request that could change an install, unless it is permitted now."""
        try:
            path = unquote(urlsplit(url).path)
        except ValueError:
            return  # no URL, which no client requests
        if self.spends or not is_of_one_boot(path):
            return
        if not is_script(path):
            raise EndedError(SimulationEnd.BEFORE_TOKEN, "the next URL has a token; --spend requests it")
        if others := machines_named(path) - self._own_addresses:
            text = f"the script is not requested: it is that of another machine, {min(others)}; --spend requests it"
            raise EndedError(SimulationEnd.BEFORE_SCRIPT, text)
        if reason := await self.permissions.script():
            raise EndedError(SimulationEnd.BEFORE_SCRIPT, f"the script is not requested: {reason}; --spend requests it")

    @property
    def _own_addresses(self) -> frozenset[Mac | None]:
        """The addresses by which a server names the script of this machine: its MAC, or what stands for it."""
        machine = self.machine
        return frozenset({machine.mac, Mac.from_bytes(machine.frame_mac), identity_of(machine.profile, machine.uuid)})

    async def _boot_installed(self, installed: InstalledSystem) -> None:
        """Restart the machine: it must be led to its disk, on which the installed system boots."""
        self.machine.timeline.add(Step.INSTALLED, "the machine restarts")
        try:
            await self._boot_by_network()
        except EndedError as error:
            if error.end is not SimulationEnd.LOCAL_DISK:
                raise
        else:
            raise BootFailedError(
                Step.LOCAL_BOOT,
                "after its install the machine is led into the installer again, which would wipe its disk once more",
                cure="cancel the arming (netboot install cancel HOST), and report this with a capture",
            )
        end_at(Step.LOCAL_BOOT, self.until)
        booted = await first_boot(self.machine, installed, until=self.until, spends=True)
        if booted is not None:
            if booted.ended_at is Step.READY:
                raise EndedError(SimulationEnd.READY, "the installed system reported ready, and was acknowledged")
            end_at(booted.ended_at, self.until)
            notes = "; ".join(booted.notes) or "its first boot sent no report"
            raise EndedError(SimulationEnd.LEFT, f"the installed system does not report ready: {notes}")
        raise EndedError(SimulationEnd.LEFT, "the installed system has no Ignition to request")


def _first_printed(timeline: MachineTimeline) -> str:
    """Return the first line that the last script printed; empty if it printed none."""
    printed = ""
    for event in reversed(timeline.events):
        if not event.text.startswith(_CONSOLE):
            break
        printed = event.text.removeprefix(_CONSOLE)
    return printed


def is_script(path: str) -> bool:
    """Return whether a path is a machine's script; the others that change an install have a token."""
    name = path.rpartition("/")[2].lower()
    return name.endswith(".ipxe") or name.startswith("grub.cfg")


def machines_named(path: str) -> frozenset[Mac]:
    """Return the machines that a script's path names, in any spelling."""
    found: set[Mac] = set()
    for name in _SCRIPT_NAMES.findall(path):
        with suppress(ValueError):
            found.add(Mac.parse(name))
    return frozenset(found)


def _is_script(offer: BootOffer) -> bool:
    """Return whether iPXE runs what it is offered as a script: by HTTP all that is no loader by its name."""
    return offer.is_url and loader_kind(urlsplit(offer.file).path) is LoaderKind.OTHER


@dataclass(slots=True)
class ScriptReader:
    """Reads what a script names; notes each file, and the last read that failed."""

    boot: MachineBoot
    files: UrlReader
    failed: BootFailedError | None = None

    async def fetch(self, url: str, step: Step) -> LoadedFile:
        """Read one file, if it may be requested; end the boot after it if it is the last step."""
        await self.boot.permit(url)
        timeline = self.boot.machine.timeline
        began_s = timeline.now_s
        try:
            file = await self.files.fetch(url, step)
        except BootFailedError as error:
            self.failed = error
            if step is self.boot.machine.behaviour.aborts_at:
                raise EndedError(SimulationEnd.SWITCHED_OFF, error.sentence) from None
            raise
        self.failed = None
        if not url.startswith("tftp:"):  # which is in the timeline already
            text = f"{self.files.reading.http.name} read {file.name} by HTTP, sha256 {file.sha256[:12]}"
            timeline.add(step, text, size_bytes=file.size_bytes, since_s=began_s)
        end_at(step, self.boot.until)
        return file
