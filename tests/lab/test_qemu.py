"""The command lines that make each kind of machine."""

from pathlib import Path
from typing import Any

import pytest

from netboot.lab.machines.qemu import Firmware, LabDisk, LabMachine, qemu_command

MAC = "52:54:00:aa:bb:01"


def command(firmware: Firmware, **machine: Any) -> tuple[str, ...]:
    return qemu_command(
        LabMachine("cp1", MAC, firmware, **machine),
        taps=["tap1", "tap2"],
        disks=[Path("/d.img"), Path("/e.img")],
        variables=Path("/v.fd"),
        log=Path("/c.log"),
    )


def test_uefi_pxe_has_no_rom_and_no_boot_index():
    assert command(Firmware.OVMF_PXE) == (
        "qemu-system-x86_64",
        *("-name", "cp1", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-accel", "tcg,thread=multi,tb-size=128", "-m", "2048", "-smp", "1"),
        *("-uuid", "0ae1432f-a204-5727-a4c1-01ed1ec597cf"),
        *("-smbios", "type=1,serial=LAB-CP1,uuid=0ae1432f-a204-5727-a4c1-01ed1ec597cf"),
        *("-chardev", "stdio,id=console,signal=off,logfile=/c.log", "-serial", "chardev:console"),
        *("-netdev", "tap,id=n0,ifname=tap1,script=no,downscript=no"),
        *("-machine", "q35,graphics=off"),
        *("-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"),
        *("-drive", "if=pflash,format=raw,file=/v.fd"),
        *("-device", f"virtio-net-pci,netdev=n0,mac={MAC},addr=0x2,romfile="),
        *("-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"),
        *("-drive", "if=none,id=d0,file=/d.img,format=raw,cache=unsafe"),
        *("-device", "virtio-blk-pci,drive=d0,serial=root,addr=0x3"),
        *("-device", "virtio-rng-pci,addr=0x4"),
    )


def test_further_cards_and_disks_follow_and_the_first_card_boots():
    words = command(Firmware.OVMF_PXE, disks=(LabDisk("root"), LabDisk("data", 1)), more_macs=("52:54:00:aa:bb:11",))

    assert words[words.index("virtio-blk-pci,drive=d0,serial=root,addr=0x3") + 1 :] == (
        *("-drive", "if=none,id=d1,file=/e.img,format=raw,cache=unsafe"),
        *("-device", "virtio-blk-pci,drive=d1,serial=data,addr=0x8"),
        *("-device", "virtio-rng-pci,addr=0x4"),
        *("-netdev", "tap,id=n1,ifname=tap2,script=no,downscript=no"),
        *("-device", "virtio-net-pci,netdev=n1,mac=52:54:00:aa:bb:11,addr=0xc,romfile="),
    )


def test_a_disk_with_two_paths_is_two_scsi_disks_with_one_world_wide_name():
    words = command(Firmware.OVMF_PXE, disks=(LabDisk("root", 1, paths=2),))

    assert [word for word in words if "d0p" in word or word.startswith("virtio-scsi")] == [
        "virtio-scsi-pci,id=s0,addr=0x3",
        "if=none,id=d0p0,file=/d.img,format=raw,cache=unsafe,file.locking=off",
        "scsi-hd,drive=d0p0,bus=s0.0,lun=0,serial=root,wwn=0x5000c500a1b2c300,share-rw=on",
        "if=none,id=d0p1,file=/d.img,format=raw,cache=unsafe,file.locking=off",
        "scsi-hd,drive=d0p1,bus=s0.0,lun=1,serial=root,wwn=0x5000c500a1b2c300,share-rw=on",
    ]


def test_a_machine_has_this_computers_clock_or_a_time_of_its_own():
    words = command(Firmware.OVMF_PXE, clock="2021-03-04T05:06:07")

    assert words[-2:] == ("-rtc", "base=2021-03-04T05:06:07")
    assert "-rtc" not in command(Firmware.OVMF_PXE)


def test_uefi_http_boot_has_pxe_switched_off():
    words = command(Firmware.OVMF_HTTP)

    assert "name=opt/org.tianocore/IPv4PXESupport,string=n" in words
    assert "name=opt/org.tianocore/IPv6PXESupport,string=n" in words


def test_bios_boots_from_its_cards_own_rom():
    words = command(Firmware.SEABIOS_IPXE, disks=())

    assert f"virtio-net-pci,netdev=n0,mac={MAC},addr=0x2,bootindex=1" in words
    assert not any("pflash" in word or "virtio-blk" in word for word in words)


@pytest.mark.parametrize("firmware", Firmware)
def test_a_machine_keeps_its_uuid(firmware):
    assert LabMachine("a", MAC, firmware).uuid == LabMachine("b", MAC, firmware).uuid


def test_secure_boot_protects_its_variables():
    words = command(Firmware.OVMF_SECURE)

    assert ("q35,smm=on,graphics=off" in words, "driver=cfi.pflash01,property=secure,value=on" in words) == (True, True)
    assert any(word.endswith("OVMF_CODE_4M.ms.fd") for word in words)


def test_arm64_is_another_qemu():
    assert command(Firmware.ARM64_PXE)[0] == "qemu-system-aarch64"


def test_a_bios_has_no_variables_and_every_uefi_has():
    without = [firmware for firmware in Firmware if firmware.factory_variables is None]

    assert without == [Firmware.SEABIOS_IPXE]
