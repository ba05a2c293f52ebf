"""The durations of a boot's steps, from its events in their order."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from netboot.model.boot.loader_names import LoaderKind, loader_kind
from netboot.model.boot.step_durations import LONGEST_STEP, StepDuration, StepTimes, after_event
from netboot.model.host.host import HostName
from netboot.model.install.event import Event, Step

BEGIN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
UEFI = LoaderKind.IPXE_UEFI
S = Step


def event(seconds: float, step: Step | None, name: str = "boot.content_sent", **data: str) -> Event:
    return Event(name, BEGIN + timedelta(seconds=seconds), HostName("cp1"), step=step, data=data)


def offered(seconds: float, step: Step | None = S.OFFER, kind: str = "loader", boot_file: str = "snponly.efi") -> Event:
    return event(seconds, step, "boot.offered", kind=kind, boot_file=boot_file)


def durations(events: Iterable[Event]) -> tuple[list[StepDuration], StepTimes | None]:
    """Fold the events of one machine; return what was measured and the boot that runs at their end."""
    boot, found = None, []
    for each in events:
        boot, measured = after_event(boot, each)
        found += measured
    return found, boot


def test_a_whole_install_has_the_duration_of_each_step_and_ends_with_ready():
    events = [
        offered(0),
        event(2, S.LOADER),
        offered(3, None, "script"),
        event(4, S.SCRIPT),
        event(5, S.KERNEL),
        event(9, S.INITRD),
        event(30, S.KICKSTART),
        event(50, S.STAGE2),
        event(80, S.INSTALLING),
        *(event(80 + percent, S.OSTREE, "boot.content_pulled") for percent in range(5, 101, 5)),
        event(200, S.INSTALLED),
        offered(260, S.LOCAL_BOOT, "local-disk", ""),
        event(290, S.IGNITION),
        event(350, S.READY),
    ]

    found, boot = durations(events)

    seconds = {
        S.LOADER: 2,
        S.SCRIPT: 2,
        S.KERNEL: 1,
        S.INITRD: 4,
        S.KICKSTART: 21,
        S.STAGE2: 20,
        S.INSTALLING: 30,
        S.OSTREE: 100,
        S.INSTALLED: 20,
        S.LOCAL_BOOT: 60,
        S.IGNITION: 30,
        S.READY: 60,
    }
    assert found == [StepDuration(step, UEFI, each) for step, each in seconds.items()]
    assert boot is None


def test_an_offer_begins_another_boot_and_the_broken_pull_of_the_one_before_is_not_measured():
    events = [offered(0), event(10, S.SCRIPT), event(20, S.OSTREE), event(30, S.OSTREE), offered(500)]

    found, boot = durations(events)

    assert found == [StepDuration(S.SCRIPT, UEFI, 10)]
    assert boot == StepTimes(S.OFFER, BEGIN + timedelta(seconds=500), loader=UEFI)


def test_a_step_that_comes_late_is_not_measured_and_does_not_shorten_the_next_one():
    events = [offered(0), event(4, S.SCRIPT), event(9, S.LOADER), event(10, S.KERNEL)]

    assert durations(events)[0] == [StepDuration(S.SCRIPT, UEFI, 4), StepDuration(S.KERNEL, UEFI, 6)]


def test_a_boot_without_offers_begins_again_with_its_first_step():
    events = [event(0, S.SCRIPT), event(3, S.KERNEL), event(400, S.KERNEL), event(402, S.INITRD)]

    assert durations(events)[0] == [
        StepDuration(S.KERNEL, LoaderKind.UNKNOWN, 3),
        StepDuration(S.INITRD, LoaderKind.UNKNOWN, 2),
    ]


def test_a_machine_that_boots_its_own_disk_after_it_was_cancelled_begins_another_boot():
    events = [offered(0), event(4, S.SCRIPT), offered(60, S.LOCAL_BOOT, "local-disk", "")]

    assert durations(events)[0] == [StepDuration(S.SCRIPT, UEFI, 4)]


def test_a_failure_ends_the_boot_and_is_measured_from_the_step_before():
    events = [offered(0), event(4, S.SCRIPT), event(50, S.FAILED), event(70, S.IGNITION)]

    found, boot = durations(events)

    assert found == [StepDuration(S.SCRIPT, UEFI, 4), StepDuration(S.FAILED, UEFI, 46)]
    assert boot == StepTimes(S.IGNITION, BEGIN + timedelta(seconds=70))


@pytest.mark.parametrize("seconds", [-1, LONGEST_STEP.total_seconds() + 1])
def test_a_clock_that_was_set_and_a_machine_that_was_off_are_not_measured(seconds: float):
    found, boot = durations([offered(0), event(seconds, S.LOADER)])

    assert (found, boot and boot.step) == ([], S.LOADER)


def test_an_event_that_is_no_step_changes_nothing():
    boot = StepTimes(S.OFFER, BEGIN)

    assert after_event(boot, event(1, None)) == (boot, ())
    assert after_event(None, event(1, S.READY)) == (None, ())


@pytest.mark.parametrize(
    ("kind", "boot_file", "loader"),
    [
        ("loader", "x86_64-efi/snponly.efi", LoaderKind.IPXE_UEFI),
        ("loader", "undionly.kpxe", LoaderKind.IPXE_BIOS),
        ("loader", "EFI/shimx64.efi", LoaderKind.GRUB),
        ("script", "", LoaderKind.ROM_IPXE),
        ("local-disk", "", LoaderKind.UNKNOWN),
    ],
)
def test_the_first_offer_of_a_boot_names_its_kind_of_loader(kind: str, boot_file: str, loader: LoaderKind):
    assert durations([offered(0, S.OFFER, kind, boot_file)])[1] == StepTimes(S.OFFER, BEGIN, loader=loader)


def test_a_loader_of_another_name_is_another():
    assert [loader_kind(name) for name in ("lpxelinux.0", "bootx64.efi", "ipxe.lkrn")] == [LoaderKind.OTHER] * 3
