"""Every firmware of the lab on every kind of LAN, from power-on to userspace: the installer's first output."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from bad_wire import BadWire
from e2e.foreign_programs import GRUB_ARM64, GRUB_X64, SHIM_X64, add_arm64_grub, add_grub, add_shim
from lab_lans import BadWireLan, LeasingLan, RelayedLan, TwoServersLan

from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import LabHost
from netboot.lab.machines.qemu import Firmware, LabMachine
from netboot.model.host.firmware import ReplyVariant
from netboot.model.host.host import Role
from netboot.operate.arming import ArmRequest

pytestmark = pytest.mark.e2e

INSTALLER = "netboot-lab: installer stage 1"
BOOT_S = 240.0  # generous: a busy box is four times slower


def quiet(*_: object) -> None: ...


def a_host(name: str, number: int, firmware: Firmware, *, loader: str | None = None) -> LabHost:
    return LabHost(LabMachine(name, f"52:54:00:aa:cc:{number:02x}", firmware, disks=()), Role.WORKER, loader=loader)


PXE = a_host("pxe", 1, Firmware.OVMF_PXE)
HTTP = a_host("http", 2, Firmware.OVMF_HTTP)
REQUESTS_4011 = replace(a_host("asks4011", 9, Firmware.OVMF_PXE), reply=ReplyVariant.WITHOUT_43)
BIOS = a_host("bios", 3, Firmware.SEABIOS_IPXE)
UNDIONLY = "undionly.kpxe"
UNDI = replace(a_host("undi", 4, Firmware.SEABIOS_IPXE, loader=UNDIONLY), replaces_rom=True)
GRUB = a_host("grub", 5, Firmware.OVMF_HTTP, loader=GRUB_X64)
ARM64 = a_host("arm64", 6, Firmware.ARM64_PXE, loader=GRUB_ARM64)
SIGNED = a_host("signed", 7, Firmware.OVMF_SECURE, loader=SHIM_X64)
UNSIGNED = a_host("unsigned", 8, Firmware.OVMF_SECURE)


async def add_loaders(lab: Lab, add: Callable[[Path], None]) -> None:
    """Put loaders into the appliance's own directory, and have it read that directory."""
    await asyncio.to_thread(add, lab.appliance.paths.loaders)
    async with lab.appliance.control() as daemon:
        await daemon.reload()


async def boot(lab: Lab, *, to: str = INSTALLER, **others: str) -> None:
    """Arm every machine, power all on, and end each when its console shows its expected text; `others` by its name."""
    async with lab.appliance.control() as daemon:
        for name in lab.guests:
            await daemon.arm(ArmRequest([name], reason="test"))
    for guest in lab.guests.values():
        await guest.power_on()
    for name, guest in lab.guests.items():
        await guest.console.wait_for(others.get(name, to), timeout_s=BOOT_S)
        await guest.power_off()  # one without a disk would boot again


def loaded(lab: Lab, name: str) -> list[str]:
    """List what one machine was offered and loaded, in the order of the daemon's log, without direct repetitions."""
    said: list[str] = []
    for line in lab.appliance.log.read_text().splitlines():
        entry = json.loads(line)
        if entry.get("host") == name and entry["event"] in ("boot.offered", "boot.loader_sent"):
            word = str(entry.get("boot_file") or entry.get("name") or entry["kind"])
            said += [word] if said[-1:] != [word] else []
    return said


def listeners(lab: Lab, name: str) -> set[int]:
    """The ports on which one machine's firmware was answered."""
    entries = [json.loads(line) for line in lab.appliance.log.read_text().splitlines()]
    offers = (each for each in entries if each["event"] == "dhcp.offered" and each["host"] == name)
    return {offer["port"] for offer in offers if offer["stage"] == "firmware"}


def leased(hosts: Iterable[LabHost]) -> list[LabHost]:
    """Give each an address, which the appliance leases where nobody else does."""
    return [replace(host, address=IPv4Interface(f"192.0.2.{31 + n}/24")) for n, host in enumerate(hosts)]


async def test_an_old_ipxe_in_a_rom_is_replaced_by_undionly_and_grub_boots_by_uefi_http():
    async with running_lab([UNDI, GRUB], say=quiet) as lab:
        await add_loaders(lab, add_grub)
        await boot(lab)

        assert loaded(lab, "undi") == [UNDIONLY, "script"]
        assert loaded(lab, "grub") == [GRUB_X64]
        assert "Welcome to GRUB" in lab.guest("grub").console.text


@pytest.mark.proof
async def test_the_appliance_is_the_lans_only_dhcp_server():
    async with running_lab(leased([PXE, BIOS]), say=quiet, lan_type=LeasingLan) as lab:
        await boot(lab)

        assert "Station IP address is 192.0.2.31" in lab.guest("pxe").console.text
        assert "192.0.2.32/255.255.255.0" in lab.guest("bios").console.text


@pytest.mark.proof
async def test_machines_behind_a_relay_boot_from_the_appliance_on_the_other_side():
    async with running_lab([PXE, BIOS], say=quiet, lan_type=RelayedLan) as lab:
        await boot(lab)

        for guest in lab.guests.values():
            assert " 198.51.100.1" in guest.console.text  # its address, and the router's


@pytest.mark.proof
async def test_two_dhcp_servers_on_one_lan_prevent_no_boot_also_by_port_4011():
    async with running_lab([PXE, REQUESTS_4011], say=quiet, lan_type=TwoServersLan) as lab:
        await boot(lab)

        assert listeners(lab, "pxe") == {67}
        assert listeners(lab, "asks4011") == {67, 4011}


@pytest.mark.proof
async def test_machines_boot_over_a_wire_that_loses_2_percent_and_takes_50_ms():
    async with running_lab([HTTP, BIOS], say=quiet, lan_type=BadWireLan) as lab:
        assert isinstance(lab.lan, BadWireLan)
        with BadWire(lab.lan) as wire:
            await boot(lab)

        assert wire.to_guests.lost > 100  # of more than ten thousand frames


@pytest.mark.proof
async def test_arm64_firmware_comes_to_the_words_of_its_grub():
    # Debian's GRUB looks for its configuration at the server that gave the lease, so that server is the appliance.
    async with running_lab(leased([ARM64]), say=quiet, lan_type=LeasingLan) as lab:
        await add_loaders(lab, add_arm64_grub)
        await boot(lab, to="netboot: arm64 (52:54:00:aa:cc:06) boots the installer of lab-installer")


async def test_with_secure_boot_shim_and_grub_come_to_their_configuration_and_nothing_unsigned_runs():
    # Debian's signed GRUB has no HTTP: it reads its configuration by TFTP, and can fetch no kernel.
    async with running_lab(leased([SIGNED, UNSIGNED]), say=quiet, lan_type=LeasingLan) as lab:
        await add_loaders(lab, add_shim)
        await boot(lab, signed="netboot: signed (52:54:00:aa:cc:07) boots the installer", unsigned="Access Denied")

        assert loaded(lab, "signed") == [SHIM_X64]
