"""Disks that show on the serial line that a machine booted them, and a boot order with the network before the disk."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from netboot.lab.machines.guest import Guest
from netboot.lab.machines.qemu import Firmware
from netboot.lab.media.roots import run

STARTED: Final = "netboot-lab: the disk started"
SHIM_STARTED: Final = "netboot-lab: the loader of the installed system started"

# Prints a text to the serial line, and stops: mov si, text; mov dx, 0x3f8; lodsb; or al, al; out dx, al; hlt
_BOOT_CODE: Final = bytes.fromhex("31c0 8ed8 be157c baf803 ac 08c0 7403 ee ebf8 f4 ebfd")
_MIB: Final = 1 << 20
_ESP_MIB: Final = 40  # the least for a FAT32 with clusters of one sector
# EDK2, MdeModulePkg/Include/Guid/VariableFormat.h: AUTHENTICATED_VARIABLE_HEADER, after the headers of volume and store
_FIRST_VARIABLE: Final = 0x48 + 28
_HEADER: Final = struct.Struct("<HBxI8x16x4xII16x")
_IN_USE: Final = (0x55AA, 0x3F)


def write_bios_disk(guest: Guest) -> None:
    """Give a guest a disk whose first sector a BIOS starts."""
    twice = f"\r\n{STARTED}\r\n".encode() * 2  # what SeaBIOS printed last may still be in the first
    sector = (_BOOT_CODE + twice + b"\0").ljust(510, b"\0") + b"\x55\xaa"
    _disk_of(guest).write_bytes(sector)


def write_uefi_disk(guest: Guest) -> None:
    """Give a guest a disk with two loaders: of its firmware's boot entry, and of an installed Oracle Linux."""
    disk = _disk_of(guest)
    with disk.open("wb") as opened:
        opened.truncate(guest.machine.disks[0].size_gib << 30)
    run("sfdisk", "--quiet", disk, stdin=f"label: gpt\nstart=1MiB, size={_ESP_MIB}MiB, type=uefi\n".encode())
    run("mkfs.vfat", "-F32", "-s1", f"--offset={_MIB // 512}", disk, str(_ESP_MIB * 1024))
    esp = f"{disk}@@{_MIB}"
    run("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT", "::/EFI/redhat")
    for path, text in (("BOOT/BOOTX64.EFI", STARTED), ("redhat/shimx64.efi", SHIM_STARTED)):
        run("mcopy", "-i", esp, _program(disk, text), f"::/EFI/{path}")


def _program(disk: Path, text: str) -> Path:
    """Make an EFI program that prints a text, and stops at its prompt: a GRUB without files."""
    config, image = disk.with_name("text.cfg"), disk.with_name("text.efi")
    config.write_text(f"echo\necho {text}\n")
    run("grub-mkimage", "--format=x86_64-efi", "--prefix=", f"--config={config}", f"--output={image}", "echo")
    return image


def _disk_of(guest: Guest) -> Path:
    [disk] = guest.disk_files
    disk.parent.mkdir(parents=True, exist_ok=True)
    return disk


class _Variable(NamedTuple):
    name: str
    place: int  # of its data
    data: bytes


def put_network_first(variables: Path, firmware: Firmware) -> None:
    """Write the boot order of a UEFI firmware that has booted once: its network entry, its disk, the others."""
    image = bytearray(variables.read_bytes())
    found = {each.name: each for each in _variables(image)}
    order = found["BootOrder"]
    entries = [entry for (entry,) in struct.iter_unpack("<H", order.data)]
    described = {entry: _description(found[f"Boot{entry:04X}"].data) for entry in entries}
    network = "UEFI HTTPv4" if firmware is Firmware.OVMF_HTTP else "UEFI PXEv4"
    first = [next(entry for entry in entries if described[entry].startswith(kind)) for kind in (network, "UEFI Misc")]
    wanted = [*first, *(entry for entry in entries if entry not in first)]
    struct.pack_into(f"<{len(wanted)}H", image, order.place, *wanted)
    variables.write_bytes(image)


def _variables(image: bytearray) -> Iterator[_Variable]:
    place = _FIRST_VARIABLE
    while place + _HEADER.size < len(image):
        start, state, _, name_bytes, data_bytes = _HEADER.unpack_from(image, place)
        if start != _IN_USE[0]:
            return
        data = place + _HEADER.size + name_bytes
        if state == _IN_USE[1]:
            name = image[place + _HEADER.size : data].decode("utf-16-le").rstrip("\0")
            yield _Variable(name, data, bytes(image[data : data + data_bytes]))
        place = -(-(data + data_bytes) // 4) * 4


def _description(load_option: bytes) -> str:
    """Return the description of an EFI_LOAD_OPTION, which follows its attributes and the length of its path."""
    return load_option[6:].decode("utf-16-le", errors="replace").partition("\0")[0]
