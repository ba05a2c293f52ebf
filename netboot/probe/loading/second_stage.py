"""What shim, GRUB and iPXE request beside the loader that the firmware loaded.

shim: netboot.c, httpboot.c; GRUB: grub-core/normal/main.c, net/net.c; iPXE: efi_autoexec.c; docs/wire.md.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from netboot.model.boot.boot_client import CPU_OF_ARCH, Cpu
from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.boot_offer import BootOffer
from netboot.probe.loaded_file import FileMissingError, LoadedFile, absolute_url
from netboot.probe.loading.loader_check import check_loader
from netboot.probe.loading.url_reader import GRUB_READING, IPXE_READING, SHIM_READING, UrlReader
from netboot.probe.machine import SimulatedMachine
from netboot.probe.scripts.script_end import Fetch

_EFI_SUFFIX: Final = {Cpu.X64: "x64", Cpu.ARM64: "aa64", Cpu.IA32: "ia32", Cpu.RISCV64: "riscv64"}
_OPTIONAL: Final = ("revocations_sku.efi", "revocations_sbat.efi", "shim_certificate_0.efi")
_LISTS: Final = ("command.lst", "fs.lst", "crypto.lst", "terminal.lst")  # of modules; a GRUB in one file has none
_PLATFORMS: Final = {Cpu.X64: "x86_64-efi", Cpu.ARM64: "arm64-efi", Cpu.IA32: "i386-efi", Cpu.RISCV64: "riscv64-efi"}
_LONGEST_DEVICE_PATH: Final = 128  # of the URI that GRUB reads


def directory_url(offer: BootOffer) -> str:
    """Return the URL of the directory in which shim looks for its files, with `/` at its end.

    By HTTP, the URI up to its last `/`, without its query. By TFTP, server and directory of the packet that shim reads.
    """
    if offer.is_url:
        return absolute_url(offer.file.partition("?")[0], ".")
    if offer.packets is not None:
        server, file = offer.packets.server, offer.packets.file
    else:
        server, file = offer.server, offer.file
    directory = file.replace("\\", "/").rpartition("/")[0].lstrip("/")
    return f"tftp://{server}/{directory}{'/' if directory else ''}"


async def load_grub(machine: SimulatedMachine, offer: BootOffer) -> LoadedFile:
    """Load GRUB as shim does: first what is optional, then grubx64.efi beside shim itself."""
    directory = directory_url(offer)
    name = f"grub{_EFI_SUFFIX.get(CPU_OF_ARCH.get(machine.profile.arch, Cpu.X64), 'x64')}.efi"
    async with UrlReader(machine, SHIM_READING) as reader:
        for optional in _OPTIONAL:
            try:
                await reader.fetch(directory + optional, Step.LOADER)
            except FileMissingError:
                machine.timeline.add(Step.LOADER, f"shim goes on without {optional}, which is optional")
        began_s = machine.timeline.now_s
        file = await reader.fetch(directory + name, Step.LOADER)
    if offer.is_url:
        text = f"shim read {name} by HTTP from {urlsplit(directory).netloc}"
        machine.timeline.add(Step.LOADER, text, size_bytes=file.size_bytes, since_s=began_s)
    check_loader(machine.profile, file, program="shim")
    return file


def grub_configurations(machine: SimulatedMachine, offer: BootOffer) -> Iterator[str]:
    """Name the URLs at which GRUB looks for its configuration, in its order; by HTTP only `grub.cfg`."""
    directory = directory_url(offer)
    if not offer.is_url:
        yield f"{directory}grub.cfg-{machine.uuid}"
        yield f"{directory}grub.cfg-01-{machine.mac.hyphenated}"
        address = f"{int(machine.address or 0):08X}"
        yield from (f"{directory}grub.cfg-{address[:digits]}" for digits in range(8, 0, -1))
    yield f"{directory}grub.cfg"


async def request_module_lists(machine: SimulatedMachine, offer: BootOffer) -> None:
    """Request what GRUB requests before its configuration (captured: edk2-pxe-shim, edk2-http-grub)."""
    platform = _PLATFORMS[CPU_OF_ARCH.get(machine.profile.arch, Cpu.X64)]
    async with UrlReader(machine, GRUB_READING) as reader:
        for name in _LISTS:
            with suppress(FileMissingError):
                await reader.fetch(f"{directory_url(offer)}{platform}/{name}", Step.SCRIPT)


async def load_grub_configuration(machine: SimulatedMachine, offer: BootOffer, fetch: Fetch) -> LoadedFile:
    """Read the first configuration that exists; its `url` is where it came from. Without one GRUB shows its prompt."""
    if offer.is_url and len(offer.file) > _LONGEST_DEVICE_PATH:
        raise BootFailedError(
            Step.SCRIPT,
            f"GRUB cannot read its own URL from the device path: it has {len(offer.file)} characters",
            cure=f"offer a URL of at most {_LONGEST_DEVICE_PATH} characters",
        )
    requested: list[str] = []
    for url in grub_configurations(machine, offer):
        requested.append(url)
        try:
            return await fetch(url, Step.SCRIPT)
        except FileMissingError:
            continue
    raise BootFailedError(
        Step.SCRIPT,
        "GRUB finds no configuration and shows its prompt 'grub>'",
        cure="serve grub.cfg beside the loader: netboot does so for its own shim and GRUB",
        evidence=tuple(f"missing: {url}" for url in requested),
    )


async def load_autoexec(machine: SimulatedMachine, offer: BootOffer) -> LoadedFile | None:
    """Read autoexec.ipxe as an iPXE for EFI does: beside its own file, then in `/`; None without one."""
    directory = directory_url(offer)
    async with UrlReader(machine, IPXE_READING) as reader:
        for url in dict.fromkeys((f"{directory}autoexec.ipxe", absolute_url(directory, "/autoexec.ipxe"))):
            try:
                file = await reader.fetch(url, Step.SCRIPT)
            except FileMissingError:
                continue
            return file if file.size_bytes else None
    return None
