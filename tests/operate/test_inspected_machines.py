"""An approved machine gets the cards that its inspection reported, and its disk is compared with those that it has."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from netboot.errors import HostFileError
from netboot.model.boot.boot_client import Machine
from netboot.model.host.disk_rule import DiskChoice, DiskRule
from netboot.model.host.hardware import Hardware, InspectedCard, InspectedDisk
from netboot.model.host.host import HostFileChange, HostName
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection
from netboot.operate.registration.approval import ApprovalRequest, ApprovedMachine, host_values
from netboot.operate.registration.inspected_machines import compare_disks, with_inspections

NOW: Final = datetime(2026, 11, 21, tzinfo=UTC)
ONE, TWO, THREE, OTHER = (Mac.parse(f"52:54:00:aa:bb:0{number}") for number in (1, 2, 3, 9))
PORT: Final = Mac.parse("b8:ce:f6:03:00:31:33:3e")


def inspection(booted: Mac, *cards: str, driver: str = "ixgbe") -> Inspection:
    found = [InspectedCard(f"eno{number}", mac, driver) for number, mac in enumerate(cards)]
    return Inspection(booted, reported_at=NOW, hardware=Hardware(cards=found))


def approved(*inspections: Inspection, owners: Mapping[Mac, str] | None = None, macs: tuple[Mac, ...] = (ONE,)):
    machines = [
        ApprovedMachine(f"w{number}", Machine(mac, NOW, NOW, "x64-uefi"), ["a note"])
        for number, mac in enumerate(macs, start=1)
    ]
    return with_inspections(machines, {each.mac: each for each in inspections}, owner_of=(owners or {}).get)


def test_all_cards_of_its_kind_are_the_host_s_the_one_that_booted_first():
    reported = inspection(ONE, TWO, ONE.upper(), THREE, TWO, "", "00:00:00:00:00:00", PORT)

    [found] = approved(reported)

    assert (found.macs, found.notes, found.inspection) == ((ONE, TWO, THREE), ["a note"], reported)
    assert host_values(ApprovalRequest([ONE], "worker"), [found])["w1"]["mac"] == [ONE, TWO, THREE]


def test_the_card_by_which_a_bmc_is_reached_is_no_card_of_the_host():
    [found] = approved(
        replace(
            inspection(ONE, ONE),
            hardware=Hardware(cards=[InspectedCard("eno1", ONE), InspectedCard("usb0", TWO, "cdc_ether")]),
        )
    )

    assert (found.macs, found.notes) == ((), ["a note"])
    assert host_values(ApprovalRequest([ONE], "worker"), [found])["w1"]["mac"] == ONE


@pytest.mark.parametrize(
    ("others", "owners", "macs", "note"),
    [
        ((), {TWO: "cp1"}, (ONE,), f"{TWO} is of cp1 too: w1 gets the card that booted alone"),
        ((), {}, (ONE, TWO), f"{TWO} is of w2 too: w1 gets the card that booted alone"),
        (
            (inspection(OTHER, OTHER, THREE),),
            {TWO: "cp1"},
            (ONE,),
            f"{TWO} is of cp1 too, {THREE} is of {OTHER} too: w1 gets the card that booted alone",
        ),
    ],
)
def test_with_a_card_that_another_has_only_the_one_that_booted_is_taken(
    others: tuple[Inspection, ...], owners: dict[Mac, str], macs: tuple[Mac, ...], note: str
):
    found = approved(inspection(ONE, ONE, TWO, THREE), *others, owners=owners, macs=macs)

    assert (found[0].macs, found[0].notes) == ((), ["a note", note])


def test_a_machine_that_was_inspected_by_two_cards_is_one_machine():
    first, second = (inspection(mac, ONE, TWO) for mac in (ONE, TWO))

    assert approved(first, second)[0].macs == (ONE, TWO)


def test_a_report_without_the_card_that_booted_is_not_used():
    [found] = approved(inspection(ONE, TWO, THREE))

    assert (found.macs, found.notes) == (
        (),
        ["a note", f"its inspection reported no card {ONE}: w1 gets the card that booted alone"],
    )


def test_a_machine_that_was_not_inspected_has_its_one_card():
    [found] = approved(Inspection(ONE, requested_at=NOW), inspection(TWO, TWO, ONE))

    assert (found.macs, found.notes) == ((), ["a note"])
    assert found.inspection == Inspection(ONE, requested_at=NOW)


DISKS: Final = [
    InspectedDisk("sda", 480 * 10**9, rotational=False, removable=False, read_only=False, serials=("S1",)),
    InspectedDisk("sdb", 480 * 10**9, rotational=False, removable=False, read_only=False, serials=("S2",)),
]


def compared(disk: str | DiskRule | None, *, is_given: bool) -> list[str]:
    [machine] = approved(replace(inspection(ONE), hardware=Hardware(disks=DISKS, cards=[InspectedCard("eno1", ONE)])))
    change = HostFileChange(HostName("w1"), Path("hosts.d/w1.yaml"), "", disk)
    return list(compare_disks([machine], [change], is_given=is_given)[0].notes)


@pytest.mark.parametrize("disk", [None, "/dev/sda", DiskRule(serial="S2")])
def test_a_disk_that_is_exactly_one_of_the_inspected_ones_is_taken(disk: str | DiskRule | None):
    assert compared(disk, is_given=True) == ["a note"]


@pytest.mark.parametrize(
    ("disk", "mismatch"),
    [
        ("/dev/sdc", "no disk fits hosts.w1.disk (/dev/sdc)"),
        (DiskRule(serial="S3"), "no disk fits hosts.w1.disk (serial S3)"),
        (DiskRule(rotational=False), "sda and sdb all fit hosts.w1.disk (not rotational)"),
        (
            DiskRule(choose=DiskChoice.LARGEST),
            "sda and sdb have the same size, and all fit hosts.w1.disk (the largest)",
        ),
    ],
)
def test_one_that_is_given_and_matches_none_or_several_is_refused_and_an_inherited_one_is_noted(
    disk: str | DiskRule, mismatch: str
):
    mismatch += " among the disks of its last inspection (sda, sdb)"

    with pytest.raises(HostFileError) as refused:
        compared(disk, is_given=True)

    assert str(refused.value) == (
        f"cannot approve {ONE}: {mismatch}; correct the disk, or inspect the machine again: netboot host inspect {ONE}"
    )
    assert compared(disk, is_given=False) == ["a note", mismatch]


def test_a_machine_that_was_not_inspected_has_no_disk_to_compare():
    [machine] = approved()
    change = HostFileChange(HostName("w1"), Path("hosts.d/w1.yaml"), "", "/dev/sda")

    assert compare_disks([machine], [change], is_given=True) == [machine]
