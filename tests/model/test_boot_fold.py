"""The boots of a machine, and the durations of their steps, from its events in their order."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from netboot.model.boot.boot_fold import after_event
from netboot.model.boot.boot_record import (
    LONGEST_STEP,
    BootEnd,
    BootRecord,
    BootStep,
)
from netboot.model.boot.loader_names import LoaderKind, loader_kind
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step

BEGIN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
CP1, MAC = HostName("cp1"), Mac("52:54:00:aa:bb:01")
UEFI = LoaderKind.IPXE_UEFI
S = Step


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def event(seconds: float, step: Step | None, name: str = "boot.content_sent", **data: Any) -> Event:
    return Event(name, at(seconds), CP1, MAC, step=step, data=data)


def offered(seconds: float, step: Step | None = S.OFFER, kind: str = "loader", boot_file: str = "snponly.efi") -> Event:
    return event(seconds, step, "boot.offered", kind=kind, boot_file=boot_file)


def script(seconds: float, plan: str, step: Step | None = None, **data: Any) -> Event:
    return event(seconds, step, "boot.script_served", plan=plan, address="10.1.0.11", **data)


def folded(events: Iterable[Event]) -> tuple[list[BootRecord], BootRecord]:
    """Fold the events of one machine; return the boots that were replaced, and the last one."""
    boot, replaced = None, []
    for each in events:
        result = after_event(boot, each)
        boot = result.boot
        replaced += [result.replaced] if result.replaced is not None else []
    assert boot is not None
    return replaced, boot


def durations(events: Iterable[Event]) -> tuple[list[tuple[Step, LoaderKind, float | None]], BootRecord | None]:
    """Fold the events of one machine; return what was measured and the boot at their end."""
    boot, found = None, []
    for each in events:
        result = after_event(boot, each)
        boot = result.boot
        found += [(step.step, boot.loader if boot else UEFI, step.took_s) for step in result.measured]
    return found, boot


def begun(seconds: float, step: Step, loader: LoaderKind = LoaderKind.UNKNOWN, detail: str = "") -> BootRecord:
    """A boot of which only the first step is known."""
    first = BootStep(step, at(seconds), at(seconds), detail=detail)
    return BootRecord(CP1, MAC, at(seconds), at(seconds), loader, steps=(first,))


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
    assert found == [(step, UEFI, each) for step, each in seconds.items()]
    assert boot is not None
    assert (boot.end, boot.ended_at) == (BootEnd.READY, at(350))


def test_an_offer_begins_another_boot_and_the_broken_pull_of_the_one_before_is_not_measured():
    events = [offered(0), event(10, S.SCRIPT), event(20, S.OSTREE), event(30, S.OSTREE), offered(500)]

    found, boot = durations(events)

    assert found == [(S.SCRIPT, UEFI, 10)]
    assert boot == begun(500, S.OFFER, UEFI, "snponly.efi")


def test_a_step_that_comes_late_is_not_measured_and_does_not_shorten_the_next_one():
    events = [offered(0), event(4, S.SCRIPT), event(9, S.LOADER), event(10, S.KERNEL)]

    assert durations(events)[0] == [(S.SCRIPT, UEFI, 4), (S.KERNEL, UEFI, 6)]


def test_a_boot_without_offers_begins_again_with_its_first_step():
    events = [event(0, S.SCRIPT), event(3, S.KERNEL), event(400, S.KERNEL), event(402, S.INITRD)]

    assert durations(events)[0] == [
        (S.KERNEL, LoaderKind.UNKNOWN, 3),
        (S.INITRD, LoaderKind.UNKNOWN, 2),
    ]


def test_a_machine_that_boots_its_own_disk_after_it_was_cancelled_begins_another_boot():
    events = [offered(0), event(4, S.SCRIPT), offered(60, S.LOCAL_BOOT, "local-disk", "")]

    assert durations(events)[0] == [(S.SCRIPT, UEFI, 4)]


def test_a_failure_ends_the_boot_and_is_measured_from_the_step_before():
    events = [offered(0), event(4, S.SCRIPT), event(50, S.FAILED), event(70, S.IGNITION)]

    found, boot = durations(events)

    assert found == [(S.SCRIPT, UEFI, 4), (S.FAILED, UEFI, 46)]
    assert boot == begun(70, S.IGNITION)


@pytest.mark.parametrize("seconds", [-1, LONGEST_STEP.total_seconds() + 1])
def test_a_clock_that_was_set_and_a_machine_that_was_off_are_not_measured(seconds: float):
    found, boot = durations([offered(0), event(seconds, S.LOADER)])

    assert (found, boot and [each.step for each in boot.steps]) == ([], [S.OFFER, S.LOADER])


def test_an_event_that_is_no_step_begins_no_boot_and_changes_none():
    boot = begun(0, S.OFFER)

    assert after_event(None, event(1, None)).boot is None
    assert after_event(None, event(1, S.READY)).boot is None
    assert after_event(boot, event(1, None)).boot is boot


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
    boot = durations([offered(0, S.OFFER, kind, boot_file)])[1]

    assert boot is not None
    assert (boot.loader, boot.steps[0].step) == (loader, S.OFFER)


def test_a_loader_of_another_name_is_another():
    assert [loader_kind(name) for name in ("lpxelinux.0", "bootx64.efi", "ipxe.lkrn")] == [LoaderKind.OTHER] * 3
