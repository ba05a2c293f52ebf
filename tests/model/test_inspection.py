"""What one card's machine boots once: requested, begun, reported, withdrawn; a wipe from its request to its end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from netboot.model.host.hardware import Hardware
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import (
    INSPECTED_INSTEAD,
    Inspection,
    OneTimeBoot,
    RequestedBoot,
    last_reported,
    requested_boot,
)
from netboot.model.install.wipe import Wipe, WipeState

MAC = Mac("52:54:00:aa:bb:01")
AT = datetime(2026, 11, 30, 7, tzinfo=UTC)
SOON, LATER = AT + timedelta(minutes=1), AT + timedelta(minutes=2)
FOUND = Hardware(firmware="uefi", cpus=8)
NEW = Inspection(MAC)
WIPE = Wipe(HostName("old1"), (MAC,), "/dev/sda", WipeState.REQUESTED, AT)
WIPED_NEXT = NEW.wipe_requested(WIPE, "ol8")
WIPING = WIPED_NEXT.begun("ol8", "t1", at=SOON)


@pytest.mark.parametrize(
    ("requested", "request_of_it", "wipe"),
    [
        (NEW, None, None),
        (NEW.requested(AT), RequestedBoot(OneTimeBoot.INSPECT, AT, None), None),
        (NEW.rescue_requested("ol9", at=AT), RequestedBoot(OneTimeBoot.RESCUE, AT, "ol9"), None),
        (WIPED_NEXT, RequestedBoot(OneTimeBoot.WIPE, AT, "ol8"), WIPE),
        (WIPED_NEXT.requested(SOON), RequestedBoot(OneTimeBoot.INSPECT, SOON, None), None),
        (WIPED_NEXT.withdrawn(), None, None),
    ],
    ids=["new", "inspect", "rescue", "wipe", "inspect-instead-of-wipe", "withdrawn"],
)
def test_the_last_request_is_for_the_next_boot(
    requested: Inspection, request_of_it: RequestedBoot | None, wipe: Wipe | None
):
    assert (requested.request, requested.requested_wipe) == (request_of_it, wipe)
    assert requested.is_requested is (request_of_it is not None)
    assert requested_boot([NEW, requested]) == request_of_it


def test_an_inspection_spends_its_request_and_its_report_the_token():
    begun = NEW.requested(AT).begun("ol8", "t1", at=SOON)
    reported = begun.reported(FOUND, at=LATER)

    assert begun == Inspection(MAC, medium="ol8", begun_at=SOON, token="t1")
    assert reported == Inspection(MAC, medium="ol8", begun_at=SOON, reported_at=LATER, hardware=FOUND)
    assert reported.requested(LATER) == replace(reported, requested_at=LATER)


def test_a_request_for_a_wipe_spends_the_token_of_the_boot_before():
    inspecting = NEW.begun("ol8", "t0", at=AT)

    assert inspecting.wipe_requested(WIPE, "ol9") == Inspection(
        MAC, AT, "ol8", AT, kind=OneTimeBoot.WIPE, requested_medium="ol9", wipe=WIPE
    )


def test_a_wipe_is_begun_allowed_and_ended_by_the_boot_that_began_it():
    allowed = WIPING.wipe_allowed(FOUND, at=LATER)
    done = allowed.wipe_ended(WipeState.DONE, "erased", at=LATER)

    begun_wipe = replace(WIPE, state=WipeState.BEGUN, at=SOON, token="t1")
    assert WIPED_NEXT.begun("ol8", "t1", at=SOON) == Inspection(MAC, None, "ol8", SOON, token="t1", wipe=begun_wipe)
    assert (WIPING.running_wipe, WIPED_NEXT.running_wipe, NEW.running_wipe) == (begun_wipe, None, None)
    allowed_wipe = replace(begun_wipe, state=WipeState.ALLOWED, at=LATER)
    assert allowed == replace(WIPING, reported_at=LATER, hardware=FOUND, wipe=allowed_wipe)
    assert allowed.running_wipe == allowed_wipe
    assert done == replace(allowed, token="", wipe=replace(allowed_wipe, state=WipeState.DONE, note="erased"))
    assert done.running_wipe is None


@pytest.mark.parametrize(
    "other",
    [
        NEW,
        NEW.begun("ol8", "t1", at=AT),
        WIPED_NEXT,
        replace(WIPING, token="t2"),
        WIPING.wipe_ended(WipeState.REFUSED, "no", at=LATER),
    ],
    ids=["new", "inspection", "not-begun", "of-another-boot", "ended"],
)
def test_only_a_boot_that_began_a_wipe_may_write(other: Inspection):
    assert other.wipe_allowed(FOUND, at=LATER) is other


def test_an_inspection_of_the_machine_ends_a_wipe_that_has_no_result():
    inspected = WIPING.requested(LATER).begun("ol8", "t2", at=LATER)

    assert WIPING.wipe is not None
    cancelled = replace(WIPING.wipe, state=WipeState.CANCELLED, at=LATER, note=INSPECTED_INSTEAD)
    assert inspected == Inspection(MAC, medium="ol8", begun_at=LATER, token="t2", wipe=cancelled)
    assert inspected.running_wipe is None


@pytest.mark.parametrize("state", [WipeState.DONE, WipeState.REFUSED, WipeState.CANCELLED])
def test_the_end_of_a_wipe_stays_as_it_was(state: WipeState):
    ended = WIPED_NEXT.wipe_ended(state, "first", at=SOON)

    assert ended == Inspection(MAC, wipe=replace(WIPE, state=state, at=SOON, note="first"))
    assert ended.wipe_ended(WipeState.CANCELLED, "second", at=LATER) is ended
    assert NEW.wipe_ended(state, "none", at=LATER) is NEW


def test_the_hardware_of_a_machine_is_that_of_the_newest_report_of_its_cards():
    old, new = NEW.reported(Hardware(cpus=4), at=AT), NEW.reported(FOUND, at=SOON)

    assert last_reported([NEW, new, old]) == FOUND
    assert last_reported([NEW]) is None
