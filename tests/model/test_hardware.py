"""The report of an inspection: what is read of it, that it is bounded, and that it survives JSON."""

import json

import pytest

from netboot.model.host.hardware import (
    MOST_DISKS,
    Hardware,
    InspectedCard,
    InspectedDisk,
    as_columns,
    from_columns,
    hardware_in,
)
from netboot.model.host.mac import Mac

REPORT = """\
firmware uefi
secure_boot 1
setup_mode 0
memory_kib 65536000
cpu Intel(R) Xeon(R) Gold 6338
cpus 64
bogus 1
disk sda
size_bytes 480000000000
rotational 0
removable 0
read_only 0
model SAMSUNG_MZ7LH
serial S3Z8NB0K
serial SAMSUNG_MZ_S3Z8NB0K
serial S3Z8NB0K
wwn 0x5002538e
by_path /dev/disk/by-path/pci-0000:00:17.0-ata-1
by_id /dev/disk/by-id/ata-1
disk sdb
size_bytes many
nic eno1
mac 52:54:00:aa:bb:01
driver ixgbe
link 1
speed_mbps 10000
nic eno2
link 0
speed_mbps -1
"""
FOUND = Hardware(
    firmware="uefi",
    secure_boot=True,
    setup_mode=False,
    memory_kib=65_536_000,
    cpu="Intel(R) Xeon(R) Gold 6338",
    cpus=64,
    disks=(
        InspectedDisk(
            "sda",
            480_000_000_000,
            rotational=False,
            removable=False,
            read_only=False,
            model="SAMSUNG_MZ7LH",
            serials=("S3Z8NB0K", "SAMSUNG_MZ_S3Z8NB0K"),
            wwns=("0x5002538e",),
            by_path=("/dev/disk/by-path/pci-0000:00:17.0-ata-1",),
            by_id=("/dev/disk/by-id/ata-1",),
        ),
        InspectedDisk("sdb"),
    ),
    cards=(
        InspectedCard("eno1", "52:54:00:aa:bb:01", "ixgbe", has_link=True, speed_mbps=10_000),
        InspectedCard("eno2", has_link=False),
    ),
)


def test_a_report_is_read():
    assert hardware_in(REPORT) == FOUND


def test_hardware_survives_json():
    assert from_columns(json.loads(json.dumps(as_columns(FOUND)))) == FOUND
    assert from_columns(json.loads(json.dumps(as_columns(Hardware())))) == Hardware()


def test_a_hostile_report_is_bounded_and_printable():
    lines = ["cpu \x1b[2J" + "x" * 500, *(f"disk d{number}" for number in range(200)), "cpus " + "9" * 300]
    many = [f"by_id {'y' * 500}"] * 100

    found = hardware_in("\n".join([*lines, "disk \x00", *many]))

    assert found.cpu.startswith(r"\x1b[2Jxxx")
    assert len(found.cpu) == 128
    assert (len(found.disks), found.cards, found.cpus) == (MOST_DISKS, (), None)
    assert len(json.dumps(as_columns(hardware_in("disk a\n" + "\n".join(many))))) < 3000
    assert hardware_in("") == hardware_in("\0\0\n \n= =") == Hardware()
    assert len(json.dumps(as_columns(hardware_in("\n".join(["disk a", *many] * 300))))) < 100_000


@pytest.mark.parametrize(
    ("mac", "expected"), [("52-54-00-AA-BB-01", Mac("52:54:00:aa:bb:01")), ("52:54:00", None), ("", None)]
)
def test_a_card_has_the_mac_by_which_hosts_are_registered_or_none(mac: str, expected: Mac | None):
    assert InspectedCard("eno1", mac).parsed_mac == expected
