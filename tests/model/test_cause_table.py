"""Each cause is found in the boots that have it, recorded in the lab or built from a report, and in no good boot."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from fixtures.boot_cases import BootCase, boot_cases, is_recorded, recorded_boot

from netboot.model.boot.boot_ending import Ending
from netboot.model.boot.boot_record import BootFacts
from netboot.model.boot.causes.cause import CauseSeverity, Shortage
from netboot.model.boot.causes.cause_table import RULES, cause_of, store_fault
from netboot.model.boot.causes.evidence import LONGEST_EVIDENCE, MOST_EVIDENCE, evidence_of
from netboot.model.host.host import HostName
from netboot.model.install.event import Event, Step

# The recordings of tests/e2e/test_faults.py, with their cause when the step that does not come is overdue.
RECORDED = {
    "blocked-tftp": "tftp-blocked",
    "cut-initrd": "content-cut",
    "expired-ignition": "secret-ended",
    "foreign-server": "foreign-boot-server",
    "ignored-offers": "no-request",
    "missing-disk": "disk-missing",
    "missing-release": "release-missing",
    "no-script": "no-script",
    "other-cpu": "loader-for-another-cpu",
    "other-file": "wrong-loader",
    "spent-kickstart": "kickstart-refused",
    "translated-kickstart": "kickstart-refused",
}
HEALTHY = ("bios-ipxe-rescue", "own-disk", "uefi-http", "uefi-http-grub", "uefi-tftp")
FAULTS = [
    *boot_cases("synthetic-"),
    *(recorded_boot(name, cause=cause, later_s=3600.0) for name, cause in RECORDED.items() if is_recorded(name)),
]
GOOD = [*boot_cases("good-"), *(recorded_boot(name, cause=None) for name in HEALTHY if is_recorded(name))]
CP1 = HostName("cp1")
PAGE = Path(__file__).parents[2] / "docs/causes.md"


@pytest.mark.parametrize("case", FAULTS, ids=str)
def test_a_boot_has_its_cause_with_evidence_and_cure(case: BootCase):
    cause = cause_of(case.situation)

    assert cause is not None
    assert cause.name == case.cause
    assert case.kind in ("recorded", "synthetic")
    assert case.source
    assert cause.sentence[0].islower() or cause.sentence.startswith("/")
    assert not re.search(r"[{}]", cause.sentence + cause.cure)
    assert cause.since is not None
    assert len(cause.evidence) <= MOST_EVIDENCE
    assert all(line.isprintable() and len(line) <= LONGEST_EVIDENCE for line in cause.evidence)
    if cause.severity is not CauseSeverity.INFO:
        assert cause.cure
        assert cause.evidence


def test_each_cause_of_the_table_has_a_boot_that_has_it():
    assert {case.cause for case in FAULTS} == {rule.name for rule in RULES}


def test_each_name_is_in_the_table_once():
    names = [rule.name for rule in RULES]

    assert sorted(names) == sorted(set(names))
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_a_good_boot_has_no_cause_after_any_of_its_events(case: BootCase):
    first = next(n for n, event in enumerate(case.events) if event.mac is not None)
    found = {}
    for count in range(first + 1, len(case.events) + 1):
        at = case.events[count - 1].at
        until = case.events[count].at if count < len(case.events) else at + timedelta(days=1)
        for now in (at, until):
            cause = cause_of(case.situation_at(count, now))
            if cause is not None and cause.severity is not CauseSeverity.INFO:
                found[count, case.events[count - 1].name] = cause.name

    assert found == {}


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_no_rule_finds_anything_in_the_situation_after_a_good_boot(case: BootCase):
    evidence = evidence_of(case.situation)

    assert [rule.name for rule in RULES if rule.find(evidence) is not None] == []


@pytest.mark.parametrize("case", [case for case in FAULTS if case.cause == "no-request"][:1], ids=str)
def test_a_boot_that_proceeds_has_its_cause_no_longer(case: BootCase):
    sent = next(event for event in GOOD[0].events if event.name == "boot.loader_sent")
    later = Event(sent.name, case.now, sent.host, sent.mac, sent.step, sent.data)
    proceeds = BootCase("", 0, None, "synthetic", "", case.now, [*case.events, later])

    assert cause_of(proceeds.situation) is None


SHORT: Final = [case for case in FAULTS if case.cause == "no-descriptor" and case.shortage]
OTHERS: Final = ("no-script-request", "late-link", "kernel-not-fetched", "no-script")  # causes of these boots, else


@pytest.mark.parametrize("case", SHORT, ids=str)
def test_descriptors_that_were_scarce_before_a_machine_waited_are_no_cause(case: BootCase):
    assert case.shortage is not None
    earlier = replace(case.shortage, at=case.events[0].at)

    cause = cause_of(replace(case, shortage=earlier).situation)

    assert cause is not None
    assert cause.name in OTHERS


@pytest.mark.parametrize("case", SHORT, ids=str)
def test_a_machine_that_was_overdue_before_descriptors_were_scarce_has_another_cause(case: BootCase):
    assert case.shortage is not None
    later = replace(case.shortage, since=case.now, at=case.now)

    cause = cause_of(replace(case, now=case.now + timedelta(seconds=1), shortage=later).situation)

    assert cause is not None
    assert cause.name in OTHERS


@pytest.mark.parametrize(("after_s", "verb"), [(5, "has"), (6, "had"), (300, "had"), (301, None)])
def test_descriptors_are_the_cause_of_a_machine_that_waits_for_five_minutes_after_they_were_scarce(
    after_s: int, verb: str | None
):
    case = SHORT[0]
    assert case.shortage is not None

    cause = cause_of(replace(case, now=case.shortage.at + timedelta(seconds=after_s)).situation)

    assert cause is not None
    assert (cause.name == "no-descriptor", f"this appliance {verb} too few file descriptors: " in cause.sentence) == (
        verb is not None,
        verb is not None,
    )


def test_a_machine_that_got_another_answer_has_that_cause_also_while_descriptors_are_scarce():
    causes = {"release-missing", "kickstart-refused", "no-request", "store-unreachable", "wrong-loader", "content-cut"}
    cases = [case for case in FAULTS if case.cause in causes]
    reason = "the daemon uses 198 of its 256 descriptors"

    found = [
        cause_of(replace(case, shortage=Shortage(case.events[0].at, case.now, reason)).situation) for case in cases
    ]

    assert [cause and cause.name for cause in found] == [case.cause for case in cases]


def test_what_firmware_does_has_the_name_that_the_firmware_page_has():
    assert {ending.value for ending in Ending} - {Ending.REACHED.value} <= {rule.name for rule in RULES}


def test_the_page_of_the_causes_is_the_table():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (error|warning|info) \|", PAGE.read_text(), re.MULTILINE)

    assert sorted(rows) == sorted((rule.name, rule.severity.value) for rule in RULES)


def test_the_store_that_fails_is_the_cause_with_the_cure_of_its_error():
    known, unknown = store_fault("the store failed: disk I/O error; see dmesg"), store_fault("the store failed")

    assert (known.name, known.severity) == ("store-unreachable", CauseSeverity.ERROR)
    assert known.sentence == "the store failed: disk I/O error, and nothing is installed without it"
    assert (known.cure, unknown.cure) == ("see dmesg", "see store.url, disk and database")


def test_a_ready_node_whose_spent_kickstart_is_requested_or_that_boots_its_disk_has_no_cause():
    [good] = boot_cases("good-")
    refused = Event("boot.token_refused", good.now, CP1, good.events[1].mac, None, {"document": "kickstart"})
    ignition = replace(refused, data={"document": "ignition", "address": "192.0.2.101", "reason": "spent-token"})
    disk = Event("boot.offered", good.now, CP1, refused.mac, Step.LOCAL_BOOT, {"kind": "local-disk"})

    assert cause_of(replace(good, events=[*good.events, refused]).situation) is None
    assert cause_of(replace(good, events=[*good.events, ignition, disk]).situation) is None


@pytest.mark.parametrize(
    ("name", "step", "data"),
    [
        ("boot.node_heard", None, {"firmware": "pxe/x64", "method": "no-file"}),
        ("boot.offered", Step.LOCAL_BOOT, {"kind": "local-disk", "method": "exit"}),
        ("boot.offered", Step.OFFER, {"kind": "loader", "boot_file": "snponly.efi"}),
    ],
)
def test_a_node_that_reports_or_boots_again_has_its_cause_no_longer(name: str, step: Step | None, data: dict[str, str]):
    [case] = [case for case in FAULTS if case.cause == "no-report-after-boot"]
    later = Event(name, case.now, CP1, case.events[-1].mac, step, data)

    assert cause_of(replace(case, events=[*case.events, later]).situation) is None


def test_a_request_for_the_script_of_a_boot_that_has_it_is_no_cause_and_hides_none():
    case = next(case for case in FAULTS if case.cause == "no-kickstart-request")
    script = next(event for event in case.events if event.step is Step.SCRIPT)
    data = {"request": "script", "address": "192.0.2.99", "reason": "other-address", "waits": "not-announced"}
    forged = Event("boot.request_refused", script.at + timedelta(seconds=1), CP1, script.mac, None, data)
    events = sorted([*case.events, forged], key=lambda event: event.at)
    attacked = replace(case, events=[*events, replace(forged, at=events[-1].at)])
    while_it_fetches = attacked.situation_at(events.index(forged) + 1, forged.at)

    later = script.at + timedelta(minutes=30)
    again = Event("boot.offered", later, CP1, script.mac, Step.OFFER, {"kind": "loader", "boot_file": "snponly.efi"})
    next_boot = replace(attacked, events=[*attacked.events, again], now=later + timedelta(minutes=10))

    causes = [cause_of(each) for each in (attacked.situation, while_it_fetches, next_boot.situation)]

    assert [cause and cause.name for cause in causes] == ["no-kickstart-request", None, "no-loader"]


def test_a_step_that_is_overdue_has_the_firmware_of_its_boot_or_of_the_machine_as_evidence():
    case = next(case for case in FAULTS if case.cause == "no-loader")
    situation, found = case.situation, []
    assert situation.record is not None
    booted = replace(situation.record, facts=BootFacts(vendor_class="PXEClient:Arch:00011"))
    for each in (situation, replace(situation, machine=None), replace(situation, record=booted)):
        cause = cause_of(each)
        assert cause is not None
        found.append([line for line in cause.evidence if line.startswith("firmware")])

    assert found == [["firmware: PXEClient:Arch:00007"], [], ["firmware: PXEClient:Arch:00011"]]


def test_a_fault_of_the_appliance_is_no_cause_of_a_boot_that_proceeds():
    [good] = boot_cases("good-")
    at = next(number for number, event in enumerate(good.events) if event.step is Step.KERNEL)
    situation = replace(good.situation_at(at, good.events[at].at), unserved=["cannot open UDP port 69 on eth1"])

    assert cause_of(situation) is None
