"""A rule for a disk, decided about inspected disks; tests/render compares it with the installer's script."""

import pytest

from netboot.model.host.disk_rule import DiskChoice, DiskRule, disk_mismatch, disk_problem
from netboot.model.host.hardware import InspectedDisk

SDA = InspectedDisk(
    "sda", 480_000_000_000, False, False, False, "SAMSUNG_MZ7LH", ("S3Z8",), ("0x5000C5",), ("/dev/disk/by-path/p1",)
)
SDB = InspectedDisk("sdb", 4_000_000_000_000, True, False, False, by_id=("/dev/disk/by-id/ata-2",))
SDC = InspectedDisk("sdc", 480_000_000_000, False, False, False)
STICK = InspectedDisk("sdd", 8_000_000_000, False, True, False)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (DiskRule(serial="s3z8"), None),
        (DiskRule(wwn="0x5000c5"), None),
        (DiskRule(model="samsung mz7"), None),
        (DiskRule(min_bytes=10**12), None),
        (DiskRule(max_bytes=10**12, rotational=True), "no disk fits"),
        (DiskRule(max_bytes=10**10), "no disk fits"),
        (DiskRule(serial="S3Z"), "no disk fits"),
        (DiskRule(wwn="0x5000"), "no disk fits"),
        (DiskRule(rotational=False), "sda and sdc all fit"),
        (DiskRule(choose=DiskChoice.LARGEST), None),
        (DiskRule(choose=DiskChoice.SMALLEST), "sda and sdc have the same size, and all fit"),
        ("/dev/sda", None),
        ("/dev/disk/by-path/p1", None),
        ("/dev/disk/by-id/ata-2", None),
        ("/dev/disk/by-id/ata-3", "no disk fits"),
        ("/dev/nvme0n1", "no disk fits"),
        ("/dev/disk/by-uuid/1", None),
    ],
    ids=str,
)
def test_a_disk_is_exactly_one_of_the_inspected_ones(rule: DiskRule | str, expected: str | None):
    assert disk_problem(rule, (SDA, SDB, SDC, STICK)) == expected


@pytest.mark.parametrize(
    "disk",
    [
        InspectedDisk("sda"),
        InspectedDisk("sda", 0, False, False, False),
        InspectedDisk("sda", 10, False, True, False),
        InspectedDisk("sda", 10, False, False, True),
    ],
)
def test_a_disk_that_is_removable_read_only_empty_or_not_described_fits_no_rule(disk: InspectedDisk):
    assert not DiskRule(choose=DiskChoice.LARGEST).matches(disk)


@pytest.mark.parametrize(
    ("disk", "disks", "expected"),
    [
        ("/dev/sda", (SDA,), None),
        (
            "/dev/sdc",
            (SDA, SDB),
            "no disk fits hosts.cp1.disk (/dev/sdc) among the disks of its last inspection (sda, sdb)",
        ),
        (
            DiskRule(min_bytes=10**12),
            (),
            "no disk fits hosts.cp1.disk (at least 1 TB) among the disks of its last inspection (none)",
        ),
    ],
)
def test_a_disk_that_was_not_found_is_named_beside_those_that_were(
    disk: DiskRule | str, disks: tuple[InspectedDisk, ...], expected: str | None
):
    assert disk_mismatch("cp1", disk, disks) == expected
