"""Reads `http://` and `tftp://` URLs as one loader of a machine reads them."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final, Self
from urllib.parse import urlsplit

from netboot.model.install.event import Step
from netboot.model.words import printable_line
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.http import agents
from netboot.probe.http.agents import HttpAgent
from netboot.probe.http.http_client import HttpClient
from netboot.probe.loaded_file import LoadedFile
from netboot.probe.machine import SimulatedMachine
from netboot.probe.tftp import tftp_rules
from netboot.probe.tftp.tftp_client import TFTP_PORT, TftpClient
from netboot.probe.tftp.tftp_rules import TftpRules


@dataclass(frozen=True, slots=True)
class LoaderReading:
    """The rules by which one program reads."""

    http: HttpAgent
    tftp: TftpRules
    probe: TftpRules | None = None  # before each file by TFTP


EDK2_READING: Final = LoaderReading(agents.EDK2, tftp_rules.EDK2, tftp_rules.EDK2_PROBE)
ROM_READING: Final = LoaderReading(agents.EDK2, tftp_rules.BIOS_ROM, tftp_rules.BIOS_ROM_PROBE)
U_BOOT_READING: Final = LoaderReading(agents.EDK2, tftp_rules.U_BOOT)
IPXE_READING: Final = LoaderReading(agents.IPXE, tftp_rules.IPXE)
SHIM_READING: Final = LoaderReading(agents.SHIM, tftp_rules.SHIM)
GRUB_READING: Final = LoaderReading(agents.GRUB, tftp_rules.GRUB)


def tftp_client(machine: SimulatedMachine, server: IPv4Address, port: int = TFTP_PORT) -> TftpClient:
    """Return the TFTP client of a machine, on the link of its interface."""
    return TftpClient(machine, server, port, machine.lan.link.transit_s)


@dataclass(slots=True)
class UrlReader:
    """One program of a machine, with its HTTP connection; use it in `async with`."""

    machine: SimulatedMachine
    reading: LoaderReading
    http: HttpClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = HttpClient(self.machine, self.reading.http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.http.close()

    async def fetch(self, url: str, step: Step) -> LoadedFile:
        """Read a file; a file by TFTP is in the timeline already."""
        place = urlsplit(url)
        match place.scheme:
            case "http":
                return (await self.http.get(url, step=step)).file
            case "tftp":
                name = place.path if self.reading is GRUB_READING else place.path.lstrip("/")
                return await self._fetch_by_tftp(place.hostname or "", name, step, place.port)
            case _:
                shown = printable_line(url, longest=64)
                raise BootFailedError(step, f"{self.reading.http.name} cannot read {shown}", cure="use http or tftp")

    async def _fetch_by_tftp(self, host: str, name: str, step: Step, port: int | None) -> LoadedFile:
        try:
            server = IPv4Address(host)
        except ValueError:
            shown = printable_line(host)
            sentence = f"{self.reading.tftp.client} has no address of the TFTP server {shown!r}"
            raise BootFailedError(step, sentence, cure="name the server by its address") from None
        client = tftp_client(self.machine, server, port or TFTP_PORT)
        return await client.read(name, self.reading.tftp, step=step, probe=self.reading.probe)
