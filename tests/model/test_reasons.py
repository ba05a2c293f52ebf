"""Every reason why a machine waits is one sentence with its cure."""

import pytest

from netboot.model.boot.boot_ending import Ending
from netboot.model.boot.offer import WaitReason
from netboot.model.boot.reasons import Explanation, explain

HELD_BACK = {WaitReason.NOT_READY, WaitReason.TEMPLATE_FAULT}  # an event of their own has the error


@pytest.mark.parametrize("reason", [reason for reason in WaitReason if reason not in HELD_BACK])
def test_every_reason_to_wait_has_a_sentence_and_a_cure(reason: WaitReason):
    explained = explain("boot.script_served", {"plan": "wait", "reason": reason.value}, host="cp1")

    assert explained is not None
    assert (explained.word, explained.is_blocking) == ("waits", True)
    assert reason.value not in explained.sentence
    assert explained.cure


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending is not Ending.REACHED])
def test_every_way_in_which_a_boot_comes_to_nothing_has_words(ending: Ending):
    data = {"reason": ending.value, "from": "with-43 snponly.efi", "to": "without-43 snponly.efi"}
    explained = explain("boot.variant_changed", data, host="cp1")

    assert explained is not None
    assert ending.value not in explained.sentence


def test_a_dead_end_says_what_happened_and_the_cure():
    data = {"reason": "no-script", "variant": "with-43 ipxe.efi", "cure": "see its screen"}

    assert explain("boot.dead_end_met", data, host="cp1") == Explanation(
        "dead-end",
        "cp1 got its loader and did not request its script, and nothing else is left to offer",
        "see its screen",
    )


def test_a_document_that_cannot_be_served_is_named_with_the_cure_of_its_error():
    reason = "cannot read the medium ol8: ol8/initrd.img is missing; import it again"

    assert str(explain("boot.script_held_back", {"reason": reason}, host="cp1")) == (
        "cp1 is held back: cannot read the medium ol8: ol8/initrd.img is missing; import it again"
    )


def test_an_alarm_names_the_document_and_the_address():
    data = {"document": "kickstart", "address": "192.0.2.77", "reason": "unauthorised-address", "count": 499}

    assert explain("boot.alarm_raised", data, host="cp1") == Explanation(
        "ALARM",
        "the kickstart of cp1 was requested from 192.0.2.77, which is not an address of cp1"
        " (499 more times in the last minute)",
        "find the machine that has 192.0.2.77 now",
    )


def test_an_alarm_of_a_second_address_names_both_addresses():
    data = {"document": "script", "address": "192.0.2.66", "earlier": "192.0.2.50", "reason": "second-address"}

    assert explain("boot.alarm_raised", data, host="cp1") == Explanation(
        "ALARM",
        "the script of cp1 was served to 192.0.2.66, and before that to 192.0.2.50",
        "compare both with the leases of the LAN's DHCP server; cancel the arming if one is not its own",
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(
            {"by": "reported-failed", "armed": True, "note": "/dev/vda is not there\nmore"},
            "/dev/vda is not there; it is still armed: its next network boot tries again",
            id="the-first-line",
        ),
        pytest.param(
            {"by": "reported-failed", "armed": False, "note": None},
            "the installer reported a failure without a reason; the whole report: netboot install history "
            "cp1 --json; then netboot install arm cp1",
            id="no-reason",
        ),
        pytest.param(
            {"by": "attempts-spent", "armed": False, "note": None},
            "every boot of its arming is spent, and no installer reported an end; the whole report: netboot install "
            "history cp1 --json; then netboot install arm cp1",
            id="attempts-spent",
        ),
    ],
)
def test_a_failure_is_explained_by_the_first_line_of_its_report(data: dict[str, object], expected: str):
    assert str(explain("install.moved", data, host="cp1")) == expected


def test_an_http_request_that_was_refused_before_it_was_read_is_explained_with_its_reason():
    assert str(explain("http.refused", {"address": "192.0.2.50", "reason": "body-too-large"}, host="cp1")) == (
        "an HTTP request of 192.0.2.50 was refused before it was read (body-too-large); docs/events.md has the reason"
    )


def test_what_an_operator_need_not_know_is_not_explained():
    assert explain("boot.offered", {"kind": "loader"}, host="cp1") is None
    assert explain("boot.script_served", {"plan": "install"}, host="cp1") is None
    assert explain("install.moved", {"by": "script-sent"}, host="cp1") is None


def test_an_event_that_another_version_recorded_with_other_data_is_passed_over():
    assert explain("boot.dead_end_met", {"reason": "no-script"}, host="cp1") is None


def test_events_over_their_limit_are_explained_by_their_number():
    assert explain("boot.offered", {"kind": "loader", "count": 7}, host="cp1") == Explanation(
        "counted", "7 more events boot.offered came in the last minute", is_blocking=False
    )


ADDRESS = "192.0.2.77"
OVERDUE = {"waits_for": "loader", "since": "2026-11-21T05:49:00+00:00", "expected_s": 5, "limit_s": 120, "boots": 0}
CUT = {"name": "initrd.img", "bytes": 40, "size_bytes": 100}


@pytest.mark.parametrize(
    ("event", "data", "word", "part"),
    [
        ("boot.request_refused", {"reason": "no-registered-address", "address": ADDRESS}, "refused", "dhcp.mode: off"),
        ("boot.request_refused", {"reason": "other-address", "address": ADDRESS}, "refused", "not an address of cp1;"),
        (
            "boot.request_refused",
            {"reason": "other-address", "address": ADDRESS, "waits": "not-announced"},
            "refused",
            "so it waits (not-announced)",
        ),
        ("http.refused", {"reason": "too-long", "address": ADDRESS}, "refused", "before it was read (too-long)"),
        ("boot.token_refused", {"reason": "removed-host", "document": "ignition"}, "refused", "no hosts file declares"),
        ("boot.token_refused", {"reason": "spent", "document": "ignition"}, "refused", "a token that is spent"),
        ("boot.document_held_back", {"document": "ignition", "reason": "why"}, "held-back", "the ignition of cp1"),
        ("boot.script_served", {"plan": "wait", "reason": "new"}, "waits", "waits: new"),
        (
            "boot.offers_unanswered",
            {"secs": 12, "loader": "snponly.efi", "protocol": "pxe"},
            "unanswered",
            "since 12 s, and takes no address from any server; this firmware does not combine two offers",
        ),
        (
            "boot.other_file_requested",
            {"name": "pxelinux.0", "loader": "snponly.efi"},
            "other-file",
            "requests the file pxelinux.0, and was offered snponly.efi; it requests pxelinux.0, which the LAN's",
        ),
        ("boot.transfer_failed", {**CUT, "outcome": "unanswered"}, "cut", "acknowledged no packet of it; a firewall"),
        ("boot.transfer_failed", {**CUT, "outcome": "timed-out"}, "cut", "ended after 40 of 100 bytes; the loader's"),
        ("boot.transfer_failed", {**CUT, "outcome": "cut"}, "cut", "of initrd.img to cp1 ended after 40 of 100 bytes;"),
        (
            "boot.transfer_failed",
            {**CUT, "outcome": "refused-by-peer", "peer_error": "3 full"},
            "cut",
            "with the TFTP error 3 full; its firmware refuses",
        ),
        ("boot.ignition_repeated", {"seconds": 90}, "repeated", "again, 90 s after the first time"),
        ("dhcp.boot_refused", {"cure": "no loader; install it"}, "refused", "no offer: no loader; install it"),
        (
            "dhcp.architecture_refused",
            {"cure": "none; add it", "arch": "arch-99", "protocol": "pxe"},
            "refused",
            "(it boots as arch-99 by pxe)",
        ),
        ("boot.variant_learned", {"variant": "with-43 ipxe.efi"}, "learned", "with-43 ipxe.efi"),
        (
            "lease.conflict_found",
            {"address": ADDRESS, "holder": "52:54:00:00:00:01", "cure": "see"},
            "lease",
            f"{ADDRESS} of cp1 is used by another machine, 52:54:00:00:00:01; see",
        ),
        ("install.moved", {"by": "cancelled", "note": "enough"}, "cancelled", "cancelled: enough"),
        ("install.moved", {"by": "cancelled"}, "cancelled", "the arming of cp1 was cancelled"),
        ("install.moved", {"by": "reported-failed", "armed": True}, "failed", "still armed"),
        ("install.moved", {"by": "reported-failed", "note": "no disk"}, "failed", "no disk; the whole report"),
        ("install.moved", {"by": "attempts-spent"}, "failed", "every boot of its arming is spent"),
        (
            "install.moved",
            {"by": "confirmed", "note": "rack 2"},
            "confirmed",
            "the machine of cp1 was confirmed: rack 2",
        ),
        ("install.arming_ended", {"note": "the disk changed; arm it again"}, "disarmed", "the disk changed; arm"),
        (
            "boot.local_boot_changed",
            {"reason": "came-back", "from": "exit", "to": "sanboot"},
            "changed",
            "cp1 came back to the network boot at once, three times, after its local boot by exit; "
            "restart it: it is led to its disk by sanboot at its next network boot",
        ),
        ("install.moved", {"by": "retired"}, "cancelled", "cp1 was retired, and its tokens are invalid"),
        ("boot.script_served", {"plan": "rescue", "medium": "ol8"}, "once", "cp1 boots the rescue mode, with ol8"),
        ("boot.script_served", {"plan": "wipe", "medium": "ol8"}, "once", "cp1 boots the wipe of its disk, with ol8"),
        ("boot.step_overdue", OVERDUE, "overdue", "since 05:49:00 UTC, longer than it takes here (usually 5 s, at"),
        ("boot.step_overdue", {**OVERDUE, "sentence": "why", "cure": "do"}, "overdue", "the default): why; do"),
        ("install.arming_ended", {"note": "the disk changed"}, "disarmed", "ended: the disk changed"),
        (
            "install.content_lost",
            {"reason": "it is gone; copy it"},
            "held-back",
            "cp1 is held back: it is gone; copy it",
        ),
        ("install.content_found", {}, "restored", "boot medium and release of cp1 are readable again"),
        ("install.secret_ended", {"reason": "it ended; set one"}, "held-back", "cp1 is held back: it ended; set one"),
        ("install.secret_renewed", {}, "restored", "the secrets in the Ignition file of cp1 are valid again"),
        ("store.events_lost", {"count": 3}, "lost", "3 events were not recorded"),
        ("boot.offered", {"count": 3}, "counted", "3 more events boot.offered"),
    ],
)
def test_an_event_is_explained_in_a_sentence(event: str, data: dict[str, object], word: str, part: str):
    explained = explain(event, data, host="cp1")

    assert explained is not None
    assert explained.word == word
    assert part in str(explained)


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("boot.offered", {}),
        ("boot.script_served", {"plan": "install"}),
        ("boot.script_served", {"plan": "wait", "reason": "not-ready"}),
        ("install.moved", {"by": "armed"}),
        ("boot.alarm_raised", {"document": "recorded by another version"}),
    ],
)
def test_an_event_that_needs_nobody_is_not_explained(event: str, data: dict[str, object]):
    assert explain(event, data, host="cp1") is None
