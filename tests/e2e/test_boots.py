"""Real firmware, the real daemon and real disks, as in a rack."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from e2e.disk_contents import checksums, write_data

from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import BIOS1, CP1, W1, LabHost
from netboot.lab.machines.follow import boot_to_the_end
from netboot.lab.machines.guest import Guest
from netboot.lab.machines.qemu import LabDisk
from netboot.model.install.event import Step
from netboot.model.install.ignition_way import IgnitionWay
from netboot.operate.arming import ArmRequest
from netboot.operate.one_time_boots import RescueRequest
from netboot.operate.registration.host_changes import HostValues, RemovalRequest

pytestmark = pytest.mark.e2e

INSTALLER = "netboot-lab: installer stage 1"
INSTALLER_INIT = "netboot-lab: installer stage 2"
PULLING = "netboot-lab: pulling ock"
FROM_DISK = "netboot-lab: booting from disk"
IGNITION = "netboot-lab: ignition done"
INSTALLER_INIT_ENDS = "netboot-lab: installer ends"
RESCUE = "netboot-lab: rescue mode: 1 disks, none of them mounted"
READY = "netboot-lab: ready"
NO_LOADER = "UEFI Interactive Shell"  # what the firmware starts last: the disk has no loader
DATA = b"a customer's data" * 1000
BOOT_S = 180.0  # generous: a busy box is four times slower
INSTALL_S = 420.0


def without_disk(host: LabHost, name: str) -> LabHost:
    return replace(host, machine=replace(host.machine, name=name, disks=()), address=None)


def quiet(*_: object) -> None: ...


def partition(disk: Path) -> None:
    subprocess.run(["sfdisk", "--quiet", disk], input=b"label: gpt\n,512M\n,\n", check=True, timeout=30)


def signatures(disk: Path) -> str:
    return subprocess.run(["wipefs", disk], capture_output=True, text=True, check=True, timeout=30).stdout


async def installed(lab: Lab, guest: Guest) -> list[Step]:
    """Arm a host, switch it on, and return the steps that it went through to ready."""
    name = guest.machine.name
    async with lab.appliance.control() as daemon:
        await daemon.arm(ArmRequest([name], reason="test"))
        timelines = await boot_to_the_end(daemon, [guest], on_change=quiet, limit_s=INSTALL_S)
    return list(timelines[name].moments)


async def state_of(lab: Lab, name: str) -> tuple[str, bool]:
    async with lab.appliance.control() as daemon:
        install = await daemon.install(name)
    return install["state"], install["armed"]


async def test_three_kinds_of_firmware_boot_to_userspace():
    machines = (without_disk(CP1, "cp1"), without_disk(W1, "w1"), BIOS1)
    async with running_lab(machines, say=quiet) as lab, lab.appliance.control() as daemon:
        for name, guest in lab.guests.items():
            await daemon.arm(ArmRequest([name], reason="test"))
            await guest.power_on()

        for guest in lab.guests.values():
            assert await guest.console.wait_for(INSTALLER_INIT, timeout_s=BOOT_S) == INSTALLER_INIT


async def test_an_installed_host_boots_its_disk_for_ever_until_it_is_armed_again():
    async with running_lab([CP1], say=quiet) as lab:
        guest = lab.guest("cp1")
        first = await installed(lab, guest)
        assert first == [
            *(Step.OFFER, Step.LOADER, Step.SCRIPT, Step.KERNEL, Step.INITRD, Step.KICKSTART, Step.STAGE2),
            *(Step.CHECKS, Step.INSTALLING, Step.OSTREE, Step.POST, Step.INSTALLED),
            *(Step.LOCAL_BOOT, Step.IGNITION, Step.READY),
        ]

        for _ in range(3):
            await guest.power_off()
            console = await guest.power_on()
            assert await console.wait_for(READY, INSTALLER, timeout_s=BOOT_S) == READY
            assert FROM_DISK in console.text
        assert await state_of(lab, "cp1") == ("ready", False)

        await guest.power_off()
        assert await installed(lab, guest) == first


async def test_a_registered_host_that_is_not_armed_boots_its_disk_even_with_a_new_store():
    async with running_lab([W1], say=quiet) as lab:
        guest = lab.guest("w1")
        await installed(lab, guest)
        await guest.power_off()
        await lab.appliance.stop()
        for file in lab.appliance.paths.directory.glob("netboot.db*"):
            file.unlink()
        await lab.appliance.start()

        console = await guest.power_on()

        assert await console.wait_for(READY, INSTALLER, timeout_s=BOOT_S) == READY
        assert await state_of(lab, "w1") == ("registered", False)


async def test_a_disk_that_the_host_describes_is_installed_and_the_other_is_not_touched():
    """The bond of two cards is made by the installed system; firmware and installer use the first card alone."""
    machine = replace(CP1.machine, disks=(LabDisk("data", 1), LabDisk("system")), more_macs=("52:54:00:aa:bb:11",))
    host = replace(CP1, machine=machine, disk={"serial": "system"}, bond="active-backup")
    async with running_lab([host], say=quiet) as lab:
        guest = lab.guest("cp1")
        data, system = guest.disk_files
        data.parent.mkdir(parents=True, exist_ok=True)
        data.write_bytes(DATA)

        steps = await installed(lab, guest)

        assert steps[-1] is Step.READY
        assert "bond bond0 active-backup 1: lan0 lan1" in guest.console.text
        assert "network bond0 192.0.2.21/24" in guest.console.text
        await guest.power_off()
        assert data.read_bytes().rstrip(b"\0") == DATA
        assert system.stat().st_blocks > 100_000


async def test_a_machine_whose_check_fails_writes_nothing_and_waits_with_the_reason():
    host = replace(BIOS1, machine=replace(BIOS1.machine, disks=(LabDisk("root", 1),)))
    async with running_lab([host], say=quiet) as lab, lab.appliance.control() as daemon:
        guest = lab.guest("bios1")
        [disk] = guest.disk_files
        disk.parent.mkdir(parents=True, exist_ok=True)
        disk.write_bytes(DATA)
        await daemon.arm(ArmRequest(["bios1"], reason="test: OCK starts by UEFI only"))

        console = await guest.power_on()

        await console.wait_for("netboot: bios1 waits", timeout_s=BOOT_S)
        assert console.text.count(INSTALLER) == 1
        assert await state_of(lab, "bios1") == ("failed", True)
        await guest.power_off()
        assert disk.read_bytes().rstrip(b"\0") == DATA


@pytest.mark.proof
async def test_an_installed_host_boots_its_rescue_once_with_its_disk_untouched_and_then_its_disk():
    async with running_lab([CP1], say=quiet) as lab, lab.appliance.control() as daemon:
        guest = lab.guest("cp1")
        await installed(lab, guest)
        await guest.power_off()
        before = checksums(guest)
        await daemon.one_time_boots.rescue(RescueRequest(["cp1"]))

        console = await guest.power_on()

        assert await console.wait_for(RESCUE, INSTALLER_INIT_ENDS, READY, timeout_s=BOOT_S) == RESCUE
        assert "netboot: cp1 (52:54:00:aa:bb:01) boots the rescue mode of lab-installer, once" in console.text
        assert (await daemon.install("cp1"))["next_boot"] is None
        await guest.power_off()
        assert checksums(guest) == before
        assert await state_of(lab, "cp1") == ("ready", False)

        console = await guest.power_on()
        assert await console.wait_for(READY, INSTALLER, timeout_s=BOOT_S) == READY
        assert FROM_DISK in console.text


@pytest.mark.proof
async def test_the_disk_of_a_retired_host_is_wiped_once_and_the_other_is_not_touched():
    machine = replace(CP1.machine, name="old1", disks=(LabDisk("data", 1), LabDisk("system", 1)))
    host = replace(CP1, machine=machine, is_registered=False)
    async with running_lab([host], say=quiet) as lab, lab.appliance.control() as daemon:
        guest = lab.guest("old1")
        write_data(guest)
        partition(guest.disk_files[1])
        assert "gpt" in signatures(guest.disk_files[1])
        before = checksums(guest)
        values = {"role": "worker", "mac": [machine.mac], "disk": {"serial": "system"}}
        await daemon.host_changes.add(HostValues("old1", values))
        await daemon.host_changes.retire(RemovalRequest("old1", wipe="old1"))

        console = await guest.power_on()

        await console.wait_for("netboot: this machine is not registered", timeout_s=BOOT_S)
        assert console.text.count("netboot: this machine was old1 (52:54:00:aa:bb:01): its disk is wiped, once") == 1
        [found] = await daemon.machines()
        wipe = found["inspection"]["wipe"]
        assert (wipe["host"], wipe["state"]) == ("old1", "done")
        assert wipe["note"].startswith("vdb (/dev/vdb), 1 GB")
        await guest.power_off()
        data, system = checksums(guest)
        assert data == before[0]
        assert system != before[1]
        assert signatures(guest.disk_files[1]) == ""


@pytest.mark.proof
async def test_an_installer_killed_half_way_ends_well_in_its_next_attempt():
    async with running_lab([CP1], say=quiet) as lab, lab.appliance.control() as daemon:
        guest = lab.guest("cp1")
        await daemon.arm(ArmRequest(["cp1"], reason="test"))
        console = await guest.power_on()
        await console.wait_for(PULLING, timeout_s=BOOT_S)
        await guest.power_off()
        assert await state_of(lab, "cp1") == ("installing", True)

        timelines = await boot_to_the_end(daemon, [guest], on_change=quiet, limit_s=INSTALL_S)

        assert Step.READY in timelines["cp1"].moments
        assert await state_of(lab, "cp1") == ("ready", False)


@pytest.mark.proof
async def test_an_installer_that_always_fails_stops_after_its_attempts():
    host = replace(W1, machine=replace(W1.machine, disks=(LabDisk("root", 1),)))
    async with running_lab([host], say=quiet, attempts=2) as lab, lab.appliance.control() as daemon:
        await daemon.arm(ArmRequest(["w1"], reason="test: its disk is too small"))

        console = await lab.guest("w1").power_on()

        await console.wait_for(NO_LOADER, timeout_s=INSTALL_S)
        assert console.text.count(INSTALLER) == 2
        assert await state_of(lab, "w1") == ("failed", False)


@pytest.mark.proof
async def test_an_install_ends_well_though_the_daemon_is_killed_in_its_middle():
    async with running_lab([CP1], say=quiet) as lab:
        guest = lab.guest("cp1")
        async with lab.appliance.control() as daemon:
            await daemon.arm(ArmRequest(["cp1"], reason="test"))
        console = await guest.power_on()
        await console.wait_for(PULLING, timeout_s=BOOT_S)

        await lab.appliance.kill()
        await lab.appliance.start()

        await console.wait_for(READY, timeout_s=INSTALL_S)
        assert await state_of(lab, "cp1") == ("ready", False)


@pytest.mark.proof
async def test_an_embedded_ignition_is_applied_without_a_request_and_leaves_nothing_in_boot():
    async with running_lab([CP1], say=quiet, ignition=IgnitionWay.EMBED) as lab:
        guest = lab.guest("cp1")

        steps = await installed(lab, guest)

        assert steps[-3:] == [Step.INSTALLED, Step.LOCAL_BOOT, Step.READY]  # its unit is of the embedded overlay
        assert IGNITION in guest.console.text
        log = lab.appliance.log.read_text()
        assert (log.count("boot.ignition_embedded"), log.count("boot.ignition_served")) == (1, 0)
        await guest.console.wait_for(READY, timeout_s=BOOT_S)
        assert "netboot-lab: unit netboot-forget-ignition.service done" in guest.console.text
        entry = re.search(r"netboot-lab: boot entry: (.*?)\r?\n", guest.console.text)
        assert entry is not None
        assert re.fullmatch(r"/ostree/ock-\w+/initramfs-\S+\.img, no Ignition", entry[1])

        await guest.power_off()
        console = await guest.power_on()

        assert await console.wait_for(READY, INSTALLER, timeout_s=BOOT_S) == READY
        assert FROM_DISK in console.text
        assert IGNITION not in console.text
        assert await state_of(lab, "cp1") == ("ready", False)
