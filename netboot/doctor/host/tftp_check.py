"""Reads the loader of a host by TFTP with tftpy, an implementation that is not ours."""

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Final

from netboot.boot.firmware.requested_names import find_loader
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.doctor.host.host_facts import HostFacts, OfferedLoader
from netboot.model import urls
from netboot.model.boot.boot_client import BootProtocol
from netboot.probe.tftp.tftpy_reader import ForeignReadError, read_by_tftpy

LOADER_TFTP: Final = "host.loader_tftp"
_TIMEOUT_S: Final = 10.0
# The daemon binds its TFTP socket to the boot interface (SO_BINDTODEVICE), so that it answers machines from there
# only; what this computer sends to its own address goes through lo, and that socket never receives it.
_FROM_HERE: Final = (
    "the appliance cannot reach its own TFTP port, which receives from the boot interface only: run "
    "netboot simulate --until loader from another computer of the LAN"
)


async def check_tftp(facts: HostFacts, offered: Sequence[OfferedLoader]) -> tuple[list[DoctorFinding], str | None]:
    """Read the loader of each firmware that uses TFTP; return why that was not possible, else None."""
    names = sorted({each.loader for each in offered if each.loader and each.client.protocol is BootProtocol.PXE})
    if not names:
        return [], "no firmware of this host loads by TFTP"
    if facts.is_appliance:
        return [], _FROM_HERE
    found = [finding for name in names if (finding := await _judged(facts, name)) is not None]
    return found, None


async def _judged(facts: HostFacts, name: str) -> DoctorFinding | None:
    server = IPv4Address(urls.address_of(facts.base_url))
    evidence = (f"tftp://{server}:{facts.tftp_port}/{name}",)
    try:
        received = await read_by_tftpy(server, name, timeout_s=_TIMEOUT_S, port=facts.tftp_port)
    except ForeignReadError as error:
        cure = "open UDP port 69 and the answers from other ports; netboot doctor --area box"
        return DoctorFinding(LOADER_TFTP, Level.PROBLEM, str(error), evidence, cure)
    file = find_loader(facts.content.registry.boot_files, name)
    if file is not None and received != file.path.read_bytes():
        sentence = f"{name} has other bytes by TFTP than below {file.path.parent}"
        return DoctorFinding(LOADER_TFTP, Level.PROBLEM, sentence, evidence, "netboot reload")
    return None
