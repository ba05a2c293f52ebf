"""Each cause is found in the boots that have it, recorded in the lab or built from a report, and in no good boot."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from fixtures.boot_cases import BootCase, boot_cases, is_recorded, recorded_boot

from netboot.model.boot.boot_ending import Ending
from netboot.model.boot.causes.cause import CauseSeverity
from netboot.model.boot.causes.cause_table import RULES, cause_of
from netboot.model.boot.causes.evidence import LONGEST_EVIDENCE, MOST_EVIDENCE, evidence_of
from netboot.model.install.event import Event

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

    found = [rule.name for rule in RULES if rule.find(evidence) is not None]
    assert found == [] or found == ["not-armed"]  # a host that boots a rescue is not armed


@pytest.mark.parametrize("case", [case for case in FAULTS if case.cause == "no-request"][:1], ids=str)
def test_a_boot_that_proceeds_has_its_cause_no_longer(case: BootCase):
    sent = next(event for event in GOOD[0].events if event.name == "boot.loader_sent")
    later = Event(sent.name, case.now, sent.host, sent.mac, sent.step, sent.data)
    proceeds = BootCase("", 0, None, "synthetic", "", case.now, [*case.events, later])

    assert cause_of(proceeds.situation) is None


def test_what_firmware_does_has_the_name_that_the_firmware_page_has():
    assert {ending.value for ending in Ending} - {Ending.REACHED.value} <= {rule.name for rule in RULES}


def test_the_page_of_the_causes_is_the_table():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (error|warning|info) \|", PAGE.read_text(), re.MULTILINE)

    assert sorted(rows) == sorted((rule.name, rule.severity.value) for rule in RULES)
