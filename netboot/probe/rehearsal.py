"""Rehearses the boot of a registered host: its documents are the server's plan, and nothing is sent as its machine.

No DHCP, no script, no URL with a token. Loader, kernel, initrd, stage 2 and the release are read as this firmware and
its installer read them, from an address that is not the host's.
"""

import re
from ipaddress import IPv4Address
from typing import Final, NoReturn

from netboot.model import urls
from netboot.model.boot.boot_client import Arch, BootProtocol
from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.boot_offer import BootOffer, PacketBootFile
from netboot.probe.firmwares.dhcp_client import DhcpRules
from netboot.probe.firmwares.firmware_profile import LoaderProgram
from netboot.probe.installer.first_boot import first_boot
from netboot.probe.installer.installer_run import install
from netboot.probe.loading.load_loader import load_loader
from netboot.probe.loading.second_stage import load_grub
from netboot.probe.loading.url_reader import GRUB_READING, IPXE_READING, UrlReader
from netboot.probe.machine import HeldAddress, SimulatedMachine
from netboot.probe.machine_boot import (
    NO_SCRIPT,
    EndedError,
    MachineBoot,
    Plan,
    ScriptReader,
    SimulationEnd,
    end_at,
    kernel_of,
)
from netboot.probe.scripts.grub_script import run_grub_script
from netboot.probe.scripts.ipxe_script import run_ipxe_script
from netboot.probe.scripts.script_end import BootsKernel

_OFFERS: Final = {  # the names that a plan has for firmware
    (Arch.X86_BIOS, BootProtocol.PXE): "BIOS, PXE",
    (Arch.X64_UEFI, BootProtocol.PXE): "UEFI x64, PXE",
    (Arch.X64_UEFI_HTTP, BootProtocol.HTTP): "UEFI x64, HTTP boot",
    (Arch.ARM64_UEFI, BootProtocol.PXE): "UEFI arm64, PXE",
    (Arch.ARM64_UEFI_HTTP, BootProtocol.HTTP): "UEFI arm64, HTTP boot",
}
_BASE_URL: Final = re.compile(r"(http://([0-9.]+):[0-9]+)/ks/")
_CHECK: Final = "netboot check, and netboot plan HOST"


async def rehearse(machine: SimulatedMachine, plan: Plan, *, until: Step) -> NoReturn:
    """Rehearse up to a step; the end is an EndedError or a BootFailedError."""
    if machine.fixed_address is not None:
        await machine.hold(HeldAddress(machine.fixed_address))
    boot = MachineBoot(machine, until, spends=False, permissions=NO_SCRIPT)
    kernel = await _Rehearsal(boot, plan).kernel()
    end_at(Step.INITRD, until)
    kickstart = _document(plan["kickstart"], Step.KICKSTART)
    installed = await install(machine, kernel, until=until, spends=False, kickstart=kickstart)
    if installed.release is not None:
        end_at(Step.LOCAL_BOOT, until)
        ignition = plan["ignition"]
        merged = _document(f"# {ignition['error']}" if "error" in ignition else ignition["merged"], Step.IGNITION)
        await first_boot(machine, installed, until=until, spends=False, planned_ignition=merged)
    end_at(installed.ended_at, until)
    raise EndedError(SimulationEnd.REHEARSED, "all that is served without a token is right; --spend plays the rest")


class _Rehearsal:
    """The part of a rehearsal before the installer."""

    def __init__(self, boot: MachineBoot, plan: Plan) -> None:
        self._boot, self._machine, self._plan = boot, boot.machine, plan
        found = _BASE_URL.search(_document(plan["script"], Step.SCRIPT))
        if found is None:
            raise BootFailedError(Step.SCRIPT, "the planned script names no Kickstart of this server", cure=_CHECK)
        self._base_url, self._server = found[1], IPv4Address(found[2])

    async def kernel(self) -> BootsKernel:
        """Load what the firmware is offered, and run the planned script of its loader."""
        profile = self._machine.profile
        await self._machine.lan.reach(self._server)
        is_grub = profile.loader_program in (LoaderProgram.SHIM_GRUB, LoaderProgram.GRUB_HTTP)
        if profile.client(profile.stages[0]).rules is not DhcpRules.IPXE:
            offer = self._offer()
            end_at(Step.PXE_REQUEST, self._boot.until)
            await load_loader(self._machine, offer)
            if is_grub:
                await load_grub(self._machine, offer)
            end_at(Step.LOADER, self._boot.until)
        if profile.loader_program is LoaderProgram.NONE:
            raise EndedError(SimulationEnd.LEFT, "it runs its loader, which is not played further")
        text = _document(self._plan["grub" if is_grub else "script"], Step.SCRIPT)
        self._machine.timeline.add(Step.SCRIPT, "as the server plans it; it is not requested", size_bytes=len(text))
        end_at(Step.SCRIPT, self._boot.until)
        async with UrlReader(self._machine, GRUB_READING if is_grub else IPXE_READING) as files:
            reader = ScriptReader(self._boot, files)
            if is_grub:
                url = urls.machine_file(self._base_url, self._machine.mac, "grub.cfg")
                end = await run_grub_script(self._machine, text, url=url, fetch=reader.fetch)
            else:
                url = urls.ipxe_script(self._base_url, self._machine.mac)
                end = await run_ipxe_script(self._machine, text, url=url, fetch=reader.fetch)
            return kernel_of(end, reader.failed)

    def _offer(self) -> BootOffer:
        """Return the planned offer of this firmware."""
        profile = self._machine.profile
        names = (text for kind, text in _OFFERS.items() if kind == (profile.arch, profile.protocol))
        name = next(names, None)
        if name is None or name not in self._plan["offers"]:
            raise EndedError(SimulationEnd.LEFT, f"the server's plan has no offer for {profile.name}; use --spend")
        kind, _, file = self._plan["offers"][name].partition(" ")
        self._machine.timeline.add(Step.OFFER, f"as the server plans it for {name}: {kind} {file}")
        if kind != "loader":
            raise BootFailedError(Step.OFFER, f"{name} is offered no loader: {kind} {file}", cure=_CHECK)
        is_url = profile.protocol is BootProtocol.HTTP
        target = urls.boot_file(self._base_url, file) if is_url else file
        packets = PacketBootFile(self._server, target, "the server's plan")
        return BootOffer(self._server, target, is_url, None, 67, {}, 0.0, packets=packets)


def _document(text: str, step: Step) -> str:
    """Return a planned document; raise BootFailedError with the reason if it could not be rendered."""
    if text.startswith("# ") and "\n" not in text.strip():
        raise BootFailedError(step, f"the server cannot render it: {text[2:].strip()}", cure=_CHECK)
    return text
