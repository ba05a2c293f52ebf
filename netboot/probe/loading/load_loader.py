"""Loads the file that a machine is offered, by its firmware's requests, and judges whether it would run."""

from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from netboot.model.boot.boot_client import Arch
from netboot.model.install.event import Step
from netboot.model.words import printable_line
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.boot_offer import BootOffer
from netboot.probe.firmwares.dhcp_client import DhcpRules
from netboot.probe.firmwares.firmware_profile import DhcpStage, FirmwareProfile
from netboot.probe.http import agents
from netboot.probe.http.http_client import HttpAnswer, HttpClient
from netboot.probe.loaded_file import LoadedFile
from netboot.probe.loading.loader_check import check_loader
from netboot.probe.loading.url_reader import (
    EDK2_READING,
    IPXE_READING,
    ROM_READING,
    U_BOOT_READING,
    LoaderReading,
    UrlReader,
    tftp_client,
)
from netboot.probe.machine import SimulatedMachine

_EFI_TYPES: Final = frozenset({"application/efi", "application/vnd.efi-iso", "application/vnd.efi-img"})
_EFI_SUFFIXES: Final = frozenset({".efi", ".iso", ".img"})
_U_BOOT: Final = frozenset({Arch.UBOOT_ARM32, Arch.UBOOT_ARM64})


async def load_loader(machine: SimulatedMachine, offer: BootOffer, *, stage: DhcpStage | None = None) -> LoadedFile:
    """Load the boot file of an offer; `stage` is the program that was offered it, without it the first of the chain.

    Raise BootFailedError where the firmware cannot read the file, or would not run it.
    """
    reading = reading_of(machine.profile, stage or machine.profile.stages[0])
    if offer.is_url and reading is EDK2_READING:
        file = await _load_by_http_boot(machine, offer.file)
    elif offer.is_url:
        async with UrlReader(machine, reading) as reader:
            file = await reader.fetch(offer.file, Step.LOADER)
    else:
        client = tftp_client(machine, offer.server)
        file = await client.read(offer.file, reading.tftp, step=Step.LOADER, probe=reading.probe)
    check_loader(machine.profile, file, program=reading.tftp.client)
    return file


def reading_of(profile: FirmwareProfile, stage: DhcpStage) -> LoaderReading:
    """Return the rules by which the program of a stage reads its boot file."""
    if profile.client(stage).rules is DhcpRules.IPXE:
        return IPXE_READING
    if profile.arch == Arch.X86_BIOS:
        return ROM_READING
    return U_BOOT_READING if profile.arch in _U_BOOT else EDK2_READING


async def _load_by_http_boot(machine: SimulatedMachine, url: str) -> LoadedFile:
    """Read by UEFI HTTP boot: HEAD, then GET on the same connection, and the type that the firmware accepts."""
    began_s = machine.timeline.now_s
    async with HttpClient(machine, agents.EDK2) as client:
        head = await client.head(url, step=Step.LOADER, any_status=True)
        answer = await client.get(url, step=Step.LOADER)
    size = head.headers.get("content-length")
    if head.status == 200 and size != str(answer.size_bytes):
        raise _refused(f"HEAD has Content-Length {printable_line(size or 'none')}, GET {answer.size_bytes}", url)
    _check_type(answer, url)
    file = answer.file
    text = f"EDK2 read {printable_line(file.name)} by HTTP from {urlsplit(url).netloc}"
    machine.timeline.add(Step.LOADER, text, size_bytes=file.size_bytes, since_s=began_s)
    return file


def _check_type(answer: HttpAnswer, url: str) -> None:
    """Refuse a file that is an EFI image neither by its Content-Type nor by its suffix."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _EFI_TYPES and PurePosixPath(urlsplit(url).path).suffix.lower() not in _EFI_SUFFIXES:
        raise _refused(f"its Content-Type is {printable_line(kind) or 'missing'}, and its name has no suffix .efi", url)


def _refused(reason: str, url: str) -> BootFailedError:
    sentence = f"EDK2 prints 'Error: Could not retrieve NBP file size from HTTP server.': {reason}"
    return BootFailedError(Step.LOADER, sentence, cure="correct what the HTTP server sends", evidence=(f"GET {url}",))
