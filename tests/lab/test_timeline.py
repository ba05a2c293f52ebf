"""A timeline reads the daemon's events and returns the current step of a machine."""

from datetime import UTC, datetime, timedelta

from netboot.lab.machines.timeline import BootTimeline, ReachedStep
from netboot.model.install.event import Step

POWER_ON = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def event(step: str | None, seconds: float, *, host: str | None = "cp1", **data: object) -> dict[str, object]:
    at = (POWER_ON + timedelta(seconds=seconds)).isoformat()
    return {"id": 1, "at": at, "event": "any.event", "host": host, "mac": None, "step": step, "data": data}


def test_a_step_counts_when_it_is_first_reached():
    timeline = BootTimeline("cp1", POWER_ON)

    first = timeline.take(event("offer", 5, boot_file="snponly.efi"))
    again = timeline.take(event("offer", 9, boot_file="snponly.efi"))

    assert first == ReachedStep("cp1", Step.OFFER, 5.0, "snponly.efi")
    assert again is None
    assert timeline.waits_for is Step.LOADER


def test_events_of_others_and_without_a_step_are_not_moments():
    timeline = BootTimeline("cp1", POWER_ON)

    assert timeline.take(event("offer", 5, host="w1")) is None
    assert timeline.take(event("offer", 5, host=None)) is None
    assert timeline.take(event(None, 5)) is None
    assert timeline.moments == {}


def test_the_pull_counts_its_percent():
    timeline = BootTimeline("cp1", POWER_ON)

    timeline.take(event("ostree", 20, percent=0))
    timeline.take(event("ostree", 25, percent=43))

    assert timeline.percent == 43
    assert timeline.waits_for is Step.POST


def test_a_pull_is_reported_at_each_fifth_and_keeps_its_first_time():
    timeline = BootTimeline("cp1", POWER_ON)

    reported = [
        timeline.take(event("ostree", 20 + percent / 10, percent=percent)) for percent in (5, 15, 25, 35, 45, 100)
    ]

    assert [moment and moment.note for moment in reported] == ["5 %", None, "25 %", None, "45 %", "100 %"]
    assert timeline.moments[Step.OSTREE].seconds == 20.5


def test_the_second_boot_does_not_set_a_machine_back():
    timeline = BootTimeline("cp1", POWER_ON)
    for seconds, step in enumerate(("offer", "loader", "script", "installed", "offer", "script")):
        timeline.take(event(step, seconds))

    assert timeline.waits_for is Step.LOCAL_BOOT
    assert timeline.last is Step.SCRIPT
    assert not timeline.is_over


def test_json_names_the_steps_in_the_order_they_came():
    timeline = BootTimeline("cp1", POWER_ON)
    timeline.take(event("offer", 5.04))
    timeline.take(event("ready", 47.96))

    assert timeline.as_json() == {
        "host": "cp1",
        "ready": True,
        "steps": [{"step": "offer", "seconds": 5.0}, {"step": "ready", "seconds": 48.0}],
    }
    assert timeline.is_over


def test_after_an_embedded_ignition_no_request_of_it_is_awaited():
    timeline = BootTimeline("cp1", POWER_ON)
    embedded = event(None, 31, address="192.0.2.21") | {"event": "boot.ignition_embedded"}
    for each in (event("installing", 20), embedded, event("installed", 32), event("local-boot", 40)):
        timeline.take(each)

    assert timeline.waits_for is Step.READY
