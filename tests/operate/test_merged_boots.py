"""The records that two appliances have of the boots of one machine, as one record of each boot."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from netboot.model.boot.boot_record import BootEnd, BootFacts, BootPlan, BootRecord, BootStep
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.operate.boots.merged_boots import merged_boots

CP1, MAC, OTHER = HostName("cp1"), Mac("52:54:00:aa:bb:01"), Mac("52:54:00:aa:bb:02")


def at(seconds: float) -> datetime:
    return datetime(2026, 11, 21, 3, 0, tzinfo=UTC) + timedelta(seconds=seconds)


def a_boot(began_s: float, *, ended_s: float | None = None, end: BootEnd = BootEnd.REPLACED) -> BootRecord:
    boot = BootRecord(CP1, MAC, at(began_s), at(began_s + 1))
    return boot if ended_s is None else replace(boot, end=end, ended_at=at(ended_s))


def step(which: Step, at_s: float, *, took_s: float | None = None, bytes: int = 0) -> BootStep:  # noqa: A002 - the field
    return BootStep(which, at(at_s), at(at_s), took_s=took_s, bytes=bytes)


def test_a_boot_of_which_each_appliance_has_a_part_has_all_of_it():
    received = BootRecord(  # by the appliance that sent the loader
        CP1,
        MAC,
        at(0),
        at(9),
        LoaderKind.IPXE_UEFI,
        BootFacts(arch="x64-uefi", protocol="pxe"),
        steps=(step(Step.OFFER, 0), step(Step.LOADER, 9, took_s=9.0, bytes=100)),
        overdue=frozenset({Step.LOADER}),
    )
    led = BootRecord(
        CP1,
        MAC,
        at(0.1),
        at(20),
        facts=BootFacts(arch="x64-uefi", address="192.0.2.50"),
        plan=BootPlan.INSTALL,
        steps=(step(Step.OFFER, 0.1), step(Step.SCRIPT, 12, took_s=11.9), step(Step.KERNEL, 20, took_s=8.0)),
        skipped=frozenset({Step.LOADER}),
    )

    assert merged_boots([led, received]) == [
        BootRecord(
            CP1,
            MAC,
            at(0),
            at(20),
            LoaderKind.IPXE_UEFI,
            BootFacts(arch="x64-uefi", protocol="pxe", address="192.0.2.50"),
            BootPlan.INSTALL,
            steps=(
                step(Step.OFFER, 0.1),
                step(Step.LOADER, 9, took_s=9.0, bytes=100),
                step(Step.SCRIPT, 12, took_s=3.0),
                step(Step.KERNEL, 20, took_s=8.0),
            ),
            overdue=frozenset({Step.LOADER}),
        )
    ]


@pytest.mark.parametrize(
    ("records", "began_s"),
    [
        ([a_boot(0), a_boot(0.2)], [0]),
        ([a_boot(0), a_boot(29)], [0]),
        ([a_boot(0), a_boot(31)], [0, 31]),
        ([a_boot(0), a_boot(0.1), a_boot(0.2)], [0]),
        ([a_boot(0, ended_s=20), a_boot(20)], [0, 20]),
        ([a_boot(0, ended_s=20), a_boot(0.3, ended_s=20.3), a_boot(20), a_boot(20.3)], [0, 20]),
        ([a_boot(0), a_boot(0.3, ended_s=20.3), a_boot(20.3)], [0, 20.3]),  # the first appliance died
        ([a_boot(0, ended_s=5, end=BootEnd.LOCAL_DISK), a_boot(3)], [0]),
        ([a_boot(0, ended_s=5, end=BootEnd.LOCAL_DISK), a_boot(12)], [0, 12]),
        ([a_boot(0), replace(a_boot(0.1), mac=OTHER)], [0, 0.1]),
        ([a_boot(0), replace(a_boot(0.1), host=None)], [0, 0.1]),
        ([], []),
    ],
)
def test_records_of_one_boot_began_at_almost_the_same_time(records: list[BootRecord], began_s: list[float]):
    assert [boot.began_at for boot in merged_boots(reversed(records))] == [at(each) for each in began_s]


def test_a_boot_ended_where_its_end_was_seen():
    led = replace(a_boot(0, ended_s=30, end=BootEnd.FAILED), plan=BootPlan.INSTALL)

    (boot,) = merged_boots([led, a_boot(0.1, ended_s=100)])

    assert (boot.end, boot.ended_at) == (BootEnd.FAILED, at(30))


def test_a_step_that_waited_or_was_seen_before_the_one_before_it_took_no_time():
    first = replace(a_boot(0), steps=(step(Step.OFFER, 0), step(Step.LOADER, 5, took_s=5.0)))
    second = replace(
        a_boot(0.1),
        plan=BootPlan.INSTALL,
        steps=(step(Step.OFFER, 0), step(Step.SCRIPT, 6), step(Step.KERNEL, 7, took_s=1.0)),
    )

    (boot,) = merged_boots([first, second])

    assert [(each.step, each.took_s) for each in boot.steps] == [
        (Step.OFFER, None),
        (Step.LOADER, 5.0),
        (Step.SCRIPT, None),
        (Step.KERNEL, 1.0),
    ]


def test_of_a_step_that_both_saw_the_one_counts_in_which_more_was_sent():
    first = replace(a_boot(0), steps=(step(Step.OFFER, 0), step(Step.LOADER, 5, took_s=5.0, bytes=100)))
    second = replace(a_boot(0.1), steps=(step(Step.OFFER, 0), step(Step.LOADER, 6, took_s=6.0, bytes=10)))

    (boot,) = merged_boots([first, second])

    assert boot.step(Step.LOADER) == step(Step.LOADER, 5, took_s=5.0, bytes=100)
