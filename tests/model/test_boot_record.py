"""What the record of a boot shows, from the events of its machine: client, plan, end, what it waits for, retries."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from netboot.model.boot.boot_fold import after_event, with_retry
from netboot.model.boot.boot_record import (
    LONGEST_STEP,
    BootEnd,
    BootFacts,
    BootPlan,
    BootRecord,
    BootStep,
    BrokenTransfer,
)
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step

BEGIN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
CP1, MAC = HostName("cp1"), Mac("52:54:00:aa:bb:01")
S = Step


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def event(seconds: float, step: Step | None, event_name: str = "boot.content_sent", /, **data: Any) -> Event:
    return Event(event_name, at(seconds), CP1, MAC, step=step, data=data)


def offered(seconds: float, step: Step | None = S.OFFER, kind: str = "loader", **data: Any) -> Event:
    return event(seconds, step, "boot.offered", kind=kind, boot_file="snponly.efi", **data)


def script(seconds: float, plan: str, step: Step | None = None, **data: Any) -> Event:
    return event(seconds, step, "boot.script_served", plan=plan, **data)


def local_disk(seconds: float) -> Event:
    return event(seconds, S.LOCAL_BOOT, "boot.offered", kind="local-disk", boot_file=None)


def boots(events: Iterable[Event]) -> list[BootRecord]:
    """Fold the events of one machine; return its boots, the last one as it is after them."""
    boot, replaced = None, []
    for each in events:
        result = after_event(boot, each)
        boot = result.boot
        replaced += [result.replaced] if result.replaced is not None else []
    return [*replaced, boot] if boot is not None else []


def reached(boot: BootRecord) -> list[Step]:
    return [each.step for each in boot.steps]


INSTALL = [
    offered(0, arch="x64-uefi", protocol="pxe", vendor_class="PXEClient:Arch:00007", stage="firmware"),
    event(1, S.PXE_REQUEST, "boot.pxe_requested", boot_file="snponly.efi"),
    event(2, S.LOADER, "boot.loader_sent", name="snponly.efi", bytes=300_000, seconds=0.5, retransmissions=2),
    offered(3, None, "script", arch="x64-uefi", protocol="pxe", vendor_class="PXEClient", stage="ipxe"),
    script(4, "install", S.SCRIPT, address="10.1.0.11"),
    event(5, S.KERNEL, name="vmlinuz", bytes=14_000_000, seconds=0.7),
    event(9, S.INITRD, name="initrd.img", bytes=100_000_000, seconds=4.0),
    event(30, S.KICKSTART, "boot.kickstart_served", address="10.1.0.12"),
    event(50, S.STAGE2, name="images/install.img", bytes=900_000_000, seconds=15.0),
    event(60, S.CHECKS, "boot.checks_reported", failed=False, **{"pass": "disk, memory", "fail": "", "skipped": ""}),
    event(61, S.INSTALLING, "install.moved", by="reported-started"),
    event(90, S.OSTREE, "boot.content_pulled", release="ock", percent=5, bytes=50, seconds=1.0),
    event(180, S.OSTREE, "boot.content_pulled", release="ock", percent=100, bytes=1000, seconds=91.0),
    event(190, S.POST, "boot.post_begun"),
    event(200, S.INSTALLED, "install.moved", by="reported-done"),
    local_disk(260),
    event(290, S.IGNITION, "boot.ignition_served", address="10.1.0.13"),
    event(350, S.READY, "install.moved", by="reported-ready"),
]


def test_a_whole_install_is_one_boot_with_its_client_plan_bytes_rates_retries_and_details():
    [boot] = boots(INSTALL)

    assert (boot.host, boot.mac, boot.began_at, boot.last_at) == (CP1, MAC, at(0), at(350))
    assert boot.facts == BootFacts("x64-uefi", "pxe", "PXEClient:Arch:00007", "10.1.0.13")
    assert (boot.plan, boot.end, boot.ended_at, boot.waits_for) == (BootPlan.INSTALL, BootEnd.READY, at(350), None)
    assert reached(boot) == [step for step in Step if step is not S.FAILED]
    assert {each.step: each.detail for each in boot.steps if each.detail} == {
        S.OFFER: "snponly.efi",
        S.PXE_REQUEST: "snponly.efi",
        S.LOADER: "snponly.efi",
        S.SCRIPT: "install",
        S.KERNEL: "vmlinuz",
        S.INITRD: "initrd.img",
        S.KICKSTART: "10.1.0.12",
        S.STAGE2: "images/install.img",
        S.CHECKS: "passed: disk, memory",
        S.OSTREE: "ock",
        S.IGNITION: "10.1.0.13",
    }
    assert boot.step(S.LOADER) == BootStep(
        S.LOADER, at(2), at(2), 1.0, bytes=300_000, sent_s=0.5, retries=2, detail="snponly.efi"
    )
    pull = BootStep(S.OSTREE, at(90), at(180), 119.0, bytes=1000, sent_s=91.0, percent=100, detail="ock")
    assert boot.step(S.OSTREE) == pull
    assert (pull.bytes_per_s, BootStep(S.POST, at(0), at(0)).bytes_per_s) == (1000 / 91, None)


def test_a_running_boot_waits_for_the_next_step_of_its_plan_but_never_for_a_request_on_port_4011():
    due = [boots(INSTALL[:number])[0].waits_for for number in range(1, len(INSTALL))]

    offer_to_loader, rest = [S.LOADER] * 2, [S.SCRIPT] * 2
    installer = [S.KERNEL, S.INITRD, S.KICKSTART, S.STAGE2, S.CHECKS, S.INSTALLING, S.OSTREE, S.POST, S.POST]
    assert due == [*offer_to_loader, *rest, *installer, S.INSTALLED, S.LOCAL_BOOT, S.IGNITION, S.READY]


def test_what_this_appliance_does_not_serve_or_the_installer_embeds_is_not_waited_for():
    events = [
        offered(0),
        event(2, S.LOADER),
        script(4, "install", S.SCRIPT, elsewhere="kernel initrd stage2 ostree nothing-known"),
    ]
    [boot] = boots(events)
    embedded = [*INSTALL[:14], event(195, None, "boot.ignition_embedded"), *INSTALL[14:16]]

    assert (boot.waits_for, boot.skipped) == (S.KICKSTART, {S.KERNEL, S.INITRD, S.STAGE2, S.OSTREE})
    assert boots(embedded)[0].waits_for is S.READY


def test_an_ipxe_of_the_card_loads_no_loader_and_waits_for_its_script():
    [boot] = boots([offered(0, kind="script")])

    assert boot.waits_for is S.SCRIPT


@pytest.mark.parametrize("plan", ["rescue", "inspect", "wipe"])
def test_what_a_machine_boots_once_has_a_script_with_its_medium_and_waits_for_files_alone(plan: str):
    events = [offered(0), event(2, S.LOADER), script(4, plan, medium="ol9")]
    [boot] = boots(events)
    [done] = boots([*events, event(5, S.KERNEL), event(6, S.INITRD), event(7, S.STAGE2)])

    assert (boot.plan, boot.waits_for) == (plan, S.KERNEL)
    assert boot.step(S.SCRIPT) == BootStep(S.SCRIPT, at(4), at(4), 2.0, detail=f"{plan} ol9")
    assert (done.waits_for, done.end) == (None, None)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("boot.machine_inspected", BootEnd.INSPECTED),
        ("boot.machine_wiped", BootEnd.WIPED),
        ("boot.wipe_refused", BootEnd.FAILED),
    ],
)
def test_a_report_ends_an_inspection_and_a_wipe(name: str, end: BootEnd):
    [boot] = boots([offered(0), script(4, "inspect"), event(90, None, name)])

    assert (boot.end, boot.ended_at) == (end, at(90))


def test_a_machine_that_waits_for_an_operator_has_the_reason_and_its_script_then_has_no_duration():
    waiting = [offered(0), event(2, S.LOADER), script(3, "wait", reason="not-ready")]
    [boot] = boots(waiting)
    [armed] = boots([*waiting, script(900, "install", S.SCRIPT), event(905, S.KERNEL)])

    assert (boot.plan, boot.reason, boot.waits_for, reached(boot)) == ("wait", "not-ready", None, [S.OFFER, S.LOADER])
    assert (armed.plan, armed.reason) == (BootPlan.INSTALL, "")
    assert [each.took_s for each in armed.steps] == [None, 2.0, None, 5.0]


def test_a_script_that_waits_begins_a_boot_where_no_dhcp_request_is_received():
    [boot] = boots([script(0, "wait", reason="not-announced")])
    ended, after = boots([local_disk(0)]), boots([local_disk(0), script(400, "wait", reason="not-ready")])

    assert (boot.steps, boot.plan, boot.waits_for) == ((), BootPlan.WAIT, None)
    assert (boots([script(0, "wait"), event(3, S.OFFER)])[0].steps, ended[0].end) == ((), BootEnd.LOCAL_DISK)
    assert [each.plan for each in after] == [BootPlan.WAIT]


def test_a_host_that_boots_its_own_disk_has_ended_its_boot():
    [offered_disk] = boots([local_disk(0), script(2, "local-disk"), event(3, S.LOADER)])
    [by_script] = boots([offered(0), event(2, S.LOADER), script(4, "local-disk", S.LOCAL_BOOT)])

    assert (offered_disk.plan, offered_disk.end, offered_disk.ended_at) == ("local-disk", BootEnd.LOCAL_DISK, at(0))
    assert (by_script.plan, by_script.end, by_script.ended_at) == ("local-disk", BootEnd.LOCAL_DISK, at(4))


def test_a_disk_that_has_an_install_after_all_continues_its_boot():
    [boot] = boots([local_disk(0), event(40, S.IGNITION)])

    assert (boot.end, boot.is_installed, boot.waits_for) == (None, True, S.READY)
    assert boots([local_disk(0), event(40, S.IGNITION), event(60, S.READY)])[0].end is BootEnd.READY


def test_a_reset_during_the_first_boot_is_another_boot_that_waits_for_ignition_and_ready():
    replaced, boot = boots([*INSTALL[:16], local_disk(300)])

    assert (replaced.end, replaced.ended_at, replaced.waits_for) == (BootEnd.REPLACED, at(300), None)
    assert (boot.plan, boot.end, boot.is_installed, boot.waits_for) == ("local-disk", None, True, S.IGNITION)


def test_a_restart_long_after_an_install_that_reported_no_end_boots_the_disk_and_waits_for_nothing():
    *_, boot = boots([*INSTALL[:16], local_disk(300 + LONGEST_STEP.total_seconds())])

    assert (boot.end, boot.is_installed, boot.waits_for) == (BootEnd.LOCAL_DISK, False, None)


def test_a_first_boot_by_way_of_a_loader_waits_for_its_script_and_a_new_install_forgets_the_old_one():
    first = [*INSTALL[:15], offered(260), event(262, S.LOADER)]
    by_disk, again = [*first, script(264, "local-disk", S.LOCAL_BOOT)], [*first, script(264, "install", S.SCRIPT)]

    assert boots(first)[1].waits_for is S.SCRIPT
    assert (boots(by_disk)[1].end, boots(by_disk)[1].waits_for) == (None, S.IGNITION)
    assert (boots(again)[1].is_installed, boots(again)[1].waits_for) == (False, S.KERNEL)


def test_a_failure_ends_a_boot_and_a_script_that_leads_to_the_disk_then_is_part_of_it():
    failed = event(8, S.FAILED, "install.moved", by="attempts-spent", note="all attempts are spent")
    [boot] = boots([offered(0), event(2, S.LOADER), failed, script(9, "local-disk", S.LOCAL_BOOT)])
    after = boots([offered(0), event(2, S.LOADER), failed, local_disk(90)])

    assert (boot.end, boot.ended_at, reached(boot)) == (
        BootEnd.FAILED,
        at(8),
        [S.OFFER, S.LOADER, S.FAILED, S.LOCAL_BOOT],
    )
    assert boot.step(S.FAILED) == BootStep(S.FAILED, at(8), at(8), 6.0, detail="all attempts are spent")
    assert [each.end for each in after] == [BootEnd.LOCAL_DISK]


def test_failed_checks_are_named():
    checks = event(60, S.CHECKS, "boot.checks_reported", failed=True, fail="disk, clock")
    [boot] = boots([script(0, "install", S.SCRIPT), checks])
    [missing] = boots([script(0, "install", S.SCRIPT), event(60, S.CHECKS, failed=True, fail="")])

    failed = event(59, S.FAILED, "install.moved", by="checks-failed", note="no disk")
    [ended] = boots([script(0, "install", S.SCRIPT), failed, checks])

    assert boot.steps[-1].detail == "failed: disk, clock"
    assert (reached(ended), ended.end, ended.ended_at) == ([S.SCRIPT, S.FAILED, S.CHECKS], BootEnd.FAILED, at(59))
    assert missing.steps[-1].detail == "failed: a missing check"


def test_a_broken_transfer_is_counted_as_a_retry_of_the_step_that_it_delayed():
    began = [script(0, "install", S.SCRIPT), event(2, S.KERNEL)]
    data = {"content": "initrd", "name": "initrd.img", "bytes": 7, "size_bytes": 100, "outcome": "cut"}
    cut = [event(3 + number, None, "boot.transfer_failed", **data) for number in range(2)]
    [boot], [done] = boots([*began, *cut]), boots([*began, *cut, event(9, S.INITRD)])
    [other] = boots([*began, event(3, None, "boot.transfer_failed", **{**data, "content": "stage2"}), cut[1]])
    [unknown] = boots([*began, event(3, None, "boot.transfer_failed", content="of another version")])

    assert boot.broken == BrokenTransfer(S.INITRD, "initrd.img", at(4), 7, 100, "cut", times=2)
    assert (done.broken, done.steps[-1].retries) == (None, 2)
    assert (boot.retries, done.retries) == (2, 2)
    assert (other.broken and other.broken.times, unknown.broken) == (1, None)


def test_a_pull_that_goes_on_after_a_restart_of_the_daemon_does_not_shrink():
    before = event(20, S.OSTREE, release="ock", percent=60, bytes=600, seconds=9.0)
    [boot] = boots([script(0, "install", S.SCRIPT), before, event(30, S.OSTREE, release="ock", percent=5, bytes=50)])
    [unknown] = boots([script(0, "install", S.SCRIPT), event(20, S.OSTREE), event(30, S.OSTREE, percent=5)])

    assert boot.steps[-1] == BootStep(S.OSTREE, at(20), at(30), 30.0, bytes=600, sent_s=9.0, percent=60, detail="ock")
    assert unknown.steps[-1].percent == 5


def test_a_pull_without_an_end_in_sight_and_one_after_a_pause_have_no_duration():
    hours = LONGEST_STEP.total_seconds()
    events = [script(0, "install", S.SCRIPT), event(20, S.OSTREE), event(hours, S.OSTREE)]

    assert boots([*events, event(hours + 1, S.OSTREE)])[0].steps[-1].took_s is None
    assert boots([*events[:2], event(hours + 60, S.OSTREE)])[0].steps[-1].took_s is None


def test_a_step_again_in_the_same_boot_keeps_its_duration_and_has_the_time_of_its_last_request():
    events = [script(0, "install", S.SCRIPT), event(3, S.KICKSTART), event(9, S.STAGE2), event(12, S.KICKSTART)]
    [boot] = boots(events)

    assert boot.step(S.KICKSTART) == BootStep(S.KICKSTART, at(3), at(12), 3.0)


def test_the_script_of_another_boot_begins_it_where_no_dhcp_request_is_received():
    replaced, boot = boots([script(0, "install", S.SCRIPT), event(3, S.KERNEL), script(500, "install", S.SCRIPT)])

    assert (replaced.end, reached(replaced), reached(boot)) == (BootEnd.REPLACED, [S.SCRIPT, S.KERNEL], [S.SCRIPT])


def test_a_repeated_request_is_counted_in_its_step_while_the_boot_runs():
    [boot], [ended] = boots([offered(0)]), boots(INSTALL)
    again = with_retry(with_retry(boot, S.OFFER, at(4)), S.OFFER, at(12))

    assert (again.steps[0].retries, again.last_at) == (2, at(12))
    assert with_retry(boot, S.KERNEL, at(4)) == boot
    assert with_retry(ended, S.KERNEL, at(400)) == ended


def test_a_boot_runs_until_it_ends_or_shows_nothing_for_hours():
    [boot], [ended] = boots([offered(0)]), boots(INSTALL)

    assert boot.is_running(at(0) + LONGEST_STEP)
    assert not boot.is_running(at(1) + LONGEST_STEP)
    assert not ended.is_running(at(351))


def test_counts_of_events_that_were_not_recorded_and_events_without_a_machine_change_no_boot():
    [boot] = boots([offered(0)])

    assert after_event(boot, script(60, "wait", reason="not-ready", count=7)).boot == boot
    assert after_event(None, Event("boot.loader_sent", at(0), CP1, step=S.LOADER)).boot is None


def test_a_machine_that_is_registered_while_it_boots_gets_its_name():
    unregistered = Event("boot.offered", at(0), mac=MAC, step=S.OFFER, data={"kind": "loader", "boot_file": "x.efi"})
    [boot] = boots([unregistered, event(9, S.SCRIPT, "boot.script_served", plan="install")])

    assert (boot.host, reached(boot)) == (CP1, [S.OFFER, S.SCRIPT])


def test_the_client_of_a_boot_is_the_firmware_not_the_loader_that_it_started():
    loader = offered(0, arch="x86-bios", protocol="pxe", vendor_class="PXEClient:Arch:00000", stage="ipxe")
    firmware = offered(3, None, arch="x64-uefi", protocol="http", vendor_class="HTTPClient", stage="firmware")

    assert boots([loader])[0].facts == BootFacts("x86-bios", "pxe", "PXEClient:Arch:00000")
    assert boots([loader, firmware])[0].facts == BootFacts("x64-uefi", "http", "HTTPClient")


def test_a_step_that_did_not_come_in_time_is_noted_once_and_shows_nothing_of_the_machine():
    late = event(300, None, "boot.step_overdue", waits_for="loader")
    [boot], [ended] = boots([offered(0), late, late]), boots([*INSTALL, late])
    [unknown] = boots([offered(0), event(300, None, "boot.step_overdue", waits_for="of another version")])

    assert (boot.overdue, boot.last_at, boot.waits_for) == ({S.LOADER}, at(0), S.LOADER)
    assert (ended.overdue, unknown.overdue) == (frozenset(), frozenset())
    assert after_event(None, late).boot is None


def test_a_document_that_cannot_be_served_is_the_reason_until_it_is_served():
    held_back = event(30, None, "boot.document_held_back", document="kickstart", reason="no release")
    began = [script(0, "install", S.SCRIPT), event(9, S.INITRD), held_back]

    assert [boots(began)[0].reason, boots([*began, event(90, S.KICKSTART)])[0].reason] == ["no release", ""]


@pytest.mark.parametrize(("seconds", "expected"), [(30, True), (-30, True), (30.5, False), (-30.5, False)])
def test_two_appliances_record_one_boot_if_it_began_at_nearly_the_same_time(seconds: float, expected: bool):
    [here], [there] = boots([offered(0)]), boots([offered(seconds)])

    assert here.is_same_boot(there) is expected
