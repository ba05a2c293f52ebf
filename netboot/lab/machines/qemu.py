"""The lab's machine types, as QEMU command lines. Pure: paths in, arguments out.

Emulated without KVM: /dev/kvm may exist and hang the guest. Cards and disks have fixed PCI addresses, so that
`/dev/disk/by-path/pci-0000:00:03.0` and `enp0s2` mean the same on every guest.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, count
from pathlib import Path
from typing import Final, assert_never

DISK_PATH: Final = "/dev/disk/by-path/pci-0000:00:03.0"
CARD_NAME: Final = "enp0s2"
_FIRST_DISK: Final = 0x3  # PCI slots; 0x4 is the random number generator
_FURTHER_DISKS: Final = 0x7
_FURTHER_CARDS: Final = 0xB
_WWN: Final = 0x5000C500A1B2C300  # of the first disk


class Firmware(StrEnum):
    OVMF_PXE = "ovmf-pxe"  # UEFI's own PXE client: the card has no ROM, so no iPXE runs before
    OVMF_HTTP = "ovmf-http"  # UEFI HTTP boot
    OVMF_SECURE = "ovmf-secure"  # UEFI's PXE client with Secure Boot on: runs only signed files
    SEABIOS_IPXE = "seabios-ipxe"  # BIOS with QEMU's iPXE ROM
    ARM64_PXE = "arm64-pxe"  # UEFI's PXE client on arm64

    @property
    def factory_variables(self) -> Path | None:
        """Its variables as delivered; None for a BIOS, which has none."""
        return _UEFI_FILES[self][1] if self in _UEFI_FILES else None


_OVMF: Final = (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd"))
_UEFI_FILES: Final = {  # code and variables; with Microsoft's keys in the variables, Secure Boot is on
    Firmware.OVMF_PXE: _OVMF,
    Firmware.OVMF_HTTP: _OVMF,
    Firmware.OVMF_SECURE: (Path("/usr/share/OVMF/OVMF_CODE_4M.ms.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.ms.fd")),
    Firmware.ARM64_PXE: (Path("/usr/share/AAVMF/AAVMF_CODE.fd"), Path("/usr/share/AAVMF/AAVMF_VARS.fd")),
}


@dataclass(frozen=True, slots=True)
class LabDisk:
    """An empty disk, sparse on the host."""

    serial: str
    size_gib: int = 20
    paths: int = 1  # more than one: as many SCSI disks with the same world-wide name


@dataclass(frozen=True, slots=True)
class LabMachine:
    """One guest as delivered: its cards, its firmware, its empty disks. It boots by the first card."""

    name: str
    mac: str
    firmware: Firmware = Firmware.OVMF_PXE
    disks: tuple[LabDisk, ...] = (LabDisk("root"),)
    memory_mib: int = 2048  # the least with which a host is installed; QEMU takes what the guest uses
    more_macs: tuple[str, ...] = ()  # of further cards
    clock: str | None = None  # its date and time at power-on, in UTC; None: this computer's

    @property
    def serial(self) -> str:
        return f"LAB-{self.name.upper()}"

    @property
    def macs(self) -> tuple[str, ...]:
        return (self.mac, *self.more_macs)

    @property
    def uuid(self) -> uuid.UUID:
        """The board's UUID (option 97), the same at each power-on."""
        return uuid.uuid5(uuid.NAMESPACE_OID, self.mac)


def qemu_command(
    machine: LabMachine, *, taps: Sequence[str], disks: Sequence[Path], variables: Path, log: Path
) -> tuple[str, ...]:
    """Return QEMU's command line; the serial line goes to standard output and to `log`."""
    return (
        "qemu-system-aarch64" if machine.firmware is Firmware.ARM64_PXE else "qemu-system-x86_64",
        *("-name", machine.name, "-nodefaults", "-no-user-config", "-display", "none"),
        *("-accel", "tcg,thread=multi,tb-size=128"),  # a larger buffer costs seconds after the guest's reboot
        *("-m", str(machine.memory_mib), "-smp", "1"),
        *("-uuid", str(machine.uuid), "-smbios", f"type=1,serial={machine.serial},uuid={machine.uuid}"),
        *("-chardev", f"stdio,id=console,signal=off,logfile={log}", "-serial", "chardev:console"),
        *_tap(0, taps[0]),
        *_firmware(machine, variables),
        *chain.from_iterable(map(_drive, count(), machine.disks, disks)),
        *("-device", "virtio-rng-pci,addr=0x4"),
        *(("-rtc", f"base={machine.clock}") if machine.clock else ()),
        *chain.from_iterable(map(_further_card, count(1), machine.more_macs, taps[1:])),
    )


def _tap(number: int, tap: str) -> tuple[str, str]:
    return ("-netdev", f"tap,id=n{number},ifname={tap},script=no,downscript=no")


def _further_card(number: int, mac: str, tap: str) -> tuple[str, ...]:
    device = f"virtio-net-pci,netdev=n{number},mac={mac},addr={_FURTHER_CARDS + number:#x},romfile="
    return (*_tap(number, tap), "-device", device)


def _drive(number: int, disk: LabDisk, file: Path) -> tuple[str, ...]:
    slot = _FIRST_DISK if number == 0 else _FURTHER_DISKS + number
    if disk.paths > 1:
        adapter = ("-device", f"virtio-scsi-pci,id=s{number},addr={slot:#x}")
        return (*adapter, *chain.from_iterable(_scsi_path(number, path, disk, file) for path in range(disk.paths)))
    return (
        *("-drive", f"if=none,id=d{number},file={file},format=raw,cache=unsafe"),
        *("-device", f"virtio-blk-pci,drive=d{number},serial={disk.serial},addr={slot:#x}"),
    )


def _scsi_path(number: int, path: int, disk: LabDisk, file: Path) -> tuple[str, ...]:
    name = f"d{number}p{path}"
    device = f"scsi-hd,drive={name},bus=s{number}.0,lun={path},serial={disk.serial},wwn={_WWN + number:#x},share-rw=on"
    return (
        *("-drive", f"if=none,id={name},file={file},format=raw,cache=unsafe,file.locking=off"),
        *("-device", device),
    )


def _firmware(machine: LabMachine, variables: Path) -> tuple[str, ...]:
    card = f"virtio-net-pci,netdev=n0,mac={machine.mac},addr=0x2"
    if machine.firmware is Firmware.SEABIOS_IPXE:
        return ("-machine", "pc,graphics=off", "-device", f"{card},bootindex=1")
    uefi = (
        *("-drive", f"if=pflash,format=raw,readonly=on,file={_UEFI_FILES[machine.firmware][0]}"),
        *("-drive", f"if=pflash,format=raw,file={variables}"),
        # No bootindex: it overrides BootOrder and puts every network entry before the disk (190 s of requests).
        *("-device", f"{card},romfile="),
    )
    match machine.firmware:
        case Firmware.OVMF_PXE:
            return ("-machine", "q35,graphics=off", *uefi, *_off("IPv6PXESupport"))
        case Firmware.OVMF_SECURE:
            protected = ("-global", "driver=cfi.pflash01,property=secure,value=on")
            return ("-machine", "q35,smm=on,graphics=off", *protected, *uefi)
        case Firmware.OVMF_HTTP:
            return ("-machine", "q35,graphics=off", *uefi, *_off("IPv4PXESupport"), *_off("IPv6PXESupport"))
        case Firmware.ARM64_PXE:
            return ("-machine", "virt", "-cpu", "cortex-a57", *uefi)
        case _:
            assert_never(machine.firmware)


def _off(feature: str) -> tuple[str, str]:
    return ("-fw_cfg", f"name=opt/org.tianocore/{feature},string=n")
