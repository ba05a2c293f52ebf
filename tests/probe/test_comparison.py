"""The machine's timeline beside the server's record: what is a difference, and what is none."""

from collections.abc import Mapping, Sequence
from typing import Any

from netboot.model.install.event import Step
from netboot.probe.comparison import LATE_S, compare
from netboot.probe.machine_timeline import ClientEvent

View = Mapping[str, Any]
EVENTS = (
    ClientEvent(0.0, Step.OFFER, "snponly.efi of 192.0.2.10"),
    ClientEvent(4.0, Step.LOADER, "snponly.efi by TFTP", 1000),
    ClientEvent(5.0, Step.SCRIPT, "the installer's script", 700),
    ClientEvent(6.0, Step.KERNEL, "vmlinuz", 5000),
)

RECORD = {"plan": "install", "reason": "", "last_at": "2026-11-29T10:00:15+00:00"}


def step(name: str, second: int, detail: str = "", size_bytes: int = 0) -> View:
    at = f"2026-11-29T10:00:{second:02}+00:00"
    return {"step": name, "at": at, "detail": detail, "bytes": size_bytes, "retries": 0, "percent": None}


def boot(*steps: View, skipped: Sequence[str] = ()) -> View:
    return {**RECORD, "began_at": "2026-11-29T10:00:10+00:00", "steps": steps, "skipped": [*skipped]}


SAME = (
    step("offer", 10, "loader"),
    step("loader", 14, "snponly.efi", 1000),
    step("script", 15, "install"),
    step("kernel", 16, "vmlinuz", 5000),
)


def differences(events: Sequence[ClientEvent], *boots: View, failed_at: Step | None = None) -> Sequence[str]:
    return compare(events, boots, [], failed_at=failed_at).differences


def test_the_same_boot_on_both_sides_has_no_difference():
    compared = compare(EVENTS, [boot(*SAME)], [], failed_at=None)

    assert compared.differences == []
    assert [each.step for each in compared.steps] == [Step.OFFER, Step.LOADER, Step.SCRIPT, Step.KERNEL]


def test_a_step_that_one_side_does_not_have_is_a_difference():
    assert differences(EVENTS, boot(*SAME[:3])) == ["kernel: the server recorded no such step"]
    assert differences(EVENTS[:3], boot(*SAME)) == ["kernel: the server recorded it, and the machine did not do it"]
    assert differences(EVENTS) == [
        f"{name}: the server recorded no such step" for name in ("offer", "loader", "script", "kernel")
    ]


def test_the_step_that_failed_and_a_step_elsewhere_are_no_difference():
    assert differences(EVENTS, boot(*SAME[:3]), failed_at=Step.KERNEL) == []
    assert differences(EVENTS, boot(*SAME[:3], skipped=["kernel"])) == []


def test_a_size_is_compared_to_the_byte():
    [found] = differences(EVENTS, boot(*SAME[:3], step("kernel", 16, "vmlinuz", 4999)))

    assert found == "kernel: the server recorded 4,999 bytes (5.0 kB) sent, the machine received 5,000 bytes (5.0 kB)"


def test_another_loader_than_the_machine_requested_is_a_difference():
    [found] = differences(EVENTS, boot(SAME[0], step("loader", 14, "ipxe.efi", 1000), *SAME[2:]))

    assert found == "loader: the server recorded ipxe.efi, which the machine did not request"


def test_times_are_compared_from_the_first_step_on_whatever_the_clocks_are():
    late = round(16 + LATE_S + 1)

    [found] = differences(EVENTS, boot(*SAME[:3], step("kernel", late, "vmlinuz", 5000)))

    assert found.startswith("kernel: the machine has it 6.0 s earlier")


def test_an_offer_of_its_own_disk_and_a_script_that_waits_are_recorded_in_another_way():
    local = [ClientEvent(0.0, Step.OFFER, "chose it"), ClientEvent(0.1, Step.LOCAL_BOOT, "PXE-E21")]
    waiting = {**boot(*SAME[:2]), "plan": "wait", "reason": "it is not registered"}

    assert differences(local, boot(step("local-boot", 10))) == []
    assert differences(EVENTS[:3], waiting) == []


def test_the_first_boot_of_the_installed_system_is_another_record_of_the_same_simulation():
    events = (*EVENTS, ClientEvent(8.0, Step.LOCAL_BOOT, "its own disk"))
    second = {**boot(step("local-boot", 18)), "began_at": "2026-11-29T10:00:18+00:00"}

    assert differences(events, boot(*SAME), second) == []


def test_what_the_server_recorded_as_wrong_is_listed():
    events = [
        {"event": "boot.offered", "text": "…"},
        {"event": "boot.alarm_raised", "text": "cp1 requested its Kickstart again"},
    ]

    compared = compare(EVENTS, [boot(*SAME)], events, failed_at=None)

    assert [event["event"] for event in compared.troubles] == ["boot.alarm_raised"]


def test_a_script_that_leads_to_the_disk_is_recorded_as_that_step():
    """A boot of a host that is not armed: the server records no script, the machine reads one."""
    events = [*EVENTS[:3], ClientEvent(5.1, Step.LOCAL_BOOT, "its script leads it to its own disk")]
    led = {**boot(*SAME[:2], step("local-boot", 15)), "plan": "local-disk"}

    assert differences(events, led) == []
    assert differences(EVENTS[:2], led) == ["local-boot: the server recorded it, and the machine did not do it"]


def test_what_is_read_again_after_the_restart_is_not_compared():
    events = [
        *EVENTS,
        ClientEvent(7.0, Step.INSTALLED, "the machine restarts"),
        ClientEvent(60.0, Step.LOADER, "snponly.efi by TFTP", 1000),
        ClientEvent(61.0, Step.SCRIPT, "the script of the disk", 500),
        ClientEvent(61.0, Step.LOCAL_BOOT, "its own disk"),
    ]

    assert differences(events, boot(*SAME, step("installed", 17), step("local-boot", 59))) == []


def test_a_step_in_which_the_machine_was_switched_off_is_no_difference():
    assert differences(EVENTS[:3], boot(*SAME), failed_at=Step.KERNEL) == []
