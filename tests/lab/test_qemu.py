"""The command lines that make each kind of machine."""

from pathlib import Path

import pytest

from netboot.lab.machines.qemu import Firmware, LabMachine, qemu_command

MAC = "52:54:00:aa:bb:01"


def command(firmware: Firmware, *, disk_gib: int | None = 20) -> tuple[str, ...]:
    machine = LabMachine("cp1", MAC, firmware, disk_gib=disk_gib)
    return qemu_command(machine, tap="tap1", disk=Path("/d.img"), variables=Path("/v.fd"), log=Path("/c.log"))


def test_uefi_pxe_has_no_rom_and_no_boot_index():
    assert command(Firmware.OVMF_PXE) == (
        "qemu-system-x86_64",
        *("-name", "cp1", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-accel", "tcg,thread=multi,tb-size=128", "-m", "512", "-smp", "1"),
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


def test_uefi_http_boot_has_pxe_switched_off():
    words = command(Firmware.OVMF_HTTP)

    assert "name=opt/org.tianocore/IPv4PXESupport,string=n" in words
    assert "name=opt/org.tianocore/IPv6PXESupport,string=n" in words


def test_bios_boots_from_its_cards_own_rom():
    words = command(Firmware.SEABIOS_IPXE, disk_gib=None)

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
