"""Each firmware loads what a live daemon offers it, on a good and on a bad line."""

import asyncio
import hashlib
from collections.abc import Iterator

import pytest
from fixtures.rack import Rack
from fixtures.servers import dnsmasq, running_server
from fixtures.simulated import on_lan, simulated

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.boot_request import request_boot
from netboot.probe.lan.impairment import NO_IMPAIRMENT, Impairment
from netboot.probe.lan.lan_interface import LanInterface
from netboot.probe.loaded_file import LoadedFile
from netboot.probe.loading.load_loader import load_loader
from netboot.probe.loading.second_stage import load_autoexec, load_grub_configuration
from netboot.probe.loading.url_reader import GRUB_READING, UrlReader
from netboot.probe.machine import SimulatedMachine

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def lease_server(shared_rack: Rack) -> Iterator[None]:
    """Lease addresses beside the daemon, also if these tests run alone."""
    with running_server(shared_rack.server_namespace, *dnsmasq(shared_rack.directory, "--bind-interfaces")):
        yield


def load(
    rack: Rack, firmware: str, mac: str, impairment: Impairment = NO_IMPAIRMENT, **behaviour: object
) -> LoadedFile:
    async def scenario(lan: LanInterface) -> LoadedFile:
        machine = simulated(lan, firmware, mac=mac, **behaviour)  # type: ignore[arg-type]
        try:
            return await load_loader(machine, await request_boot(machine, machine.profile.stages[0]))
        finally:
            await machine.power_off()

    return on_lan(rack.lan, scenario, impairment=impairment)


def digest(rack: Rack, name: str) -> str:
    return hashlib.sha256((rack.directory / "boot" / name).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("firmware", "name", "scheme"),
    [
        ("bios", "undionly.kpxe", "tftp"),
        ("edk2-pxe", "snponly.efi", "tftp"),
        ("edk2-http", "snponly.efi", "http"),
        ("u-boot", "snponly-arm64.efi", "tftp"),
        ("arm64-edk2-pxe", "snponly-arm64.efi", "tftp"),
    ],
)
def test_a_firmware_loads_its_file_whole(leasing_rack: Rack, firmware: str, name: str, scheme: str) -> None:
    file = load(leasing_rack, firmware, "52:54:00:70:01:05")

    assert (file.name, file.sha256) == (name, digest(leasing_rack, name))
    assert file.url.startswith(f"{scheme}://192.0.2.10")
    assert file.size_bytes == (leasing_rack.directory / "boot" / name).stat().st_size


@pytest.mark.parametrize(
    ("impairment", "behaviour"),
    [
        (NO_IMPAIRMENT, {"duplicates": True}),
        (NO_IMPAIRMENT, {"reorders": True}),
        (NO_IMPAIRMENT, {"retries": 2}),
        (NO_IMPAIRMENT, {"bytes_per_s": 400_000.0}),
        (Impairment(delay_s=0.01), {}),
        (Impairment(loss=0.05), {}),
    ],
    ids=["duplicates", "reorders", "retries", "slow", "delay", "loss"],
)
def test_a_file_arrives_whole_on_a_bad_line(
    leasing_rack: Rack, impairment: Impairment, behaviour: dict[str, object]
) -> None:
    file = load(leasing_rack, "edk2-pxe", "52:54:00:70:01:06", impairment, **behaviour)

    assert file.sha256 == digest(leasing_rack, "snponly.efi")


@pytest.mark.parametrize("firmware", ["edk2-pxe", "edk2-http"])
def test_a_machine_that_is_switched_off_ends_within_its_loader(leasing_rack: Rack, firmware: str) -> None:
    with pytest.raises(BootFailedError, match="switched off after") as failed:
        load(leasing_rack, firmware, "52:54:00:70:01:07", aborts_at=Step.LOADER)

    assert failed.value.step is Step.LOADER


def test_a_shim_profile_refuses_a_loader_that_is_not_signed(leasing_rack: Rack) -> None:
    with pytest.raises(BootFailedError, match="not signed, and Secure Boot is on"):
        load(leasing_rack, "shim-grub", "52:54:00:70:01:08")


def test_scripts_beside_the_loader(leasing_rack: Rack) -> None:
    async def scenario(lan: LanInterface) -> tuple[LoadedFile | None, LoadedFile]:
        machine = simulated(lan, "ipxe-loader-autoexec", mac="52:54:00:70:01:09")
        try:
            offer = await request_boot(machine, machine.profile.stages[0])
            autoexec = await load_autoexec(machine, offer)
            async with UrlReader(machine, GRUB_READING) as reader:
                return autoexec, await load_grub_configuration(machine, offer, reader.fetch)
        finally:
            await machine.power_off()

    autoexec, configuration = on_lan(leasing_rack.lan, scenario)

    assert autoexec is not None
    assert autoexec.text.startswith("#!ipxe")
    assert configuration.url.startswith("tftp://192.0.2.10/grub.cfg")
    assert "configfile" in configuration.text


def test_forty_machines_load_at_once(leasing_rack: Rack) -> None:
    async def scenario(lan: LanInterface) -> list[LoadedFile]:
        machines = [
            simulated(lan, ("edk2-pxe", "bios")[number % 2], mac=f"52:54:00:70:02:{number:02x}") for number in range(40)
        ]

        async def one(machine: SimulatedMachine) -> LoadedFile:
            return await load_loader(machine, await request_boot(machine, machine.profile.stages[0]))

        try:
            return await asyncio.gather(*map(one, machines))
        finally:
            for machine in machines:
                await machine.power_off()

    files = on_lan(leasing_rack.lan, scenario)

    assert {file.sha256 for file in files} == {digest(leasing_rack, name) for name in ("snponly.efi", "undionly.kpxe")}
