"""The loader of a host as tftpd-hpa sends it is compared with the file of the appliance."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from doctor.content.conftest import LOADERS, Appliance
from doctor.host.test_host_checks import facts
from fixtures.file_servers import tftpd_hpa
from fixtures.lan import Lan, a_lan
from netns import inside

from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.doctor.host.host_facts import OfferedLoader
from netboot.doctor.host.tftp_check import LOADER_TFTP, check_tftp
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.host.mac import Mac

SERVER = IPv4Address("192.0.2.10")
MAC = Mac.parse("52:54:00:12:34:56")


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lan, Path]]:
    """A LAN with tftpd-hpa, and the directory that it sends."""
    directory = tmp_path_factory.mktemp("tftp")
    with a_lan((f"{SERVER}/24", "192.0.2.50/24")) as lan, tftpd_hpa(lan.server, str(SERVER), directory):
        yield lan, directory


def offered(name: str | None, protocol: BootProtocol = BootProtocol.PXE) -> OfferedLoader:
    return OfferedLoader("a firmware", BootClient(MAC, Arch.X64_UEFI, protocol, Stage.FIRMWARE), name)


def judged(appliance: Appliance, lan: Lan, *names: str) -> tuple[list[DoctorFinding], str | None]:
    given = replace(facts(appliance), is_appliance=False)
    with inside(lan.client):
        return asyncio.run(check_tftp(given, [offered(name) for name in names]))


def test_the_same_bytes_are_no_finding_and_other_bytes_and_none_are_problems(
    appliance: Appliance, sent: tuple[Lan, Path]
):
    lan, directory = sent
    for name, content in (("snponly.efi", LOADERS["snponly.efi"]), ("undionly.kpxe", b"of another version")):
        (directory / name).write_bytes(content)

    found, reason = judged(appliance, lan, "undionly.kpxe", "snponly.efi", "ipxe.efi", "snponly.efi")

    assert reason is None
    assert [(each.check, each.level, each.evidence, each.cure) for each in found] == [
        (
            LOADER_TFTP,
            Level.PROBLEM,
            ("tftp://192.0.2.10:69/ipxe.efi",),
            "open UDP port 69 and the answers from other ports; netboot doctor --area box",
        ),
        (LOADER_TFTP, Level.PROBLEM, ("tftp://192.0.2.10:69/undionly.kpxe",), "netboot reload"),
    ]
    assert found[0].sentence.startswith("tftpy cannot read ipxe.efi from 192.0.2.10: ")
    assert found[1].sentence == f"undionly.kpxe has other bytes by TFTP than below {appliance.boot}"


def test_a_host_whose_firmware_loads_nothing_by_tftp_is_not_checked(appliance: Appliance):
    given = replace(facts(appliance), is_appliance=False)

    found = asyncio.run(check_tftp(given, [offered("snponly.efi", BootProtocol.HTTP), offered(None)]))

    assert found == ([], "no firmware of this host loads by TFTP")
