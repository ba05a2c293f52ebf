"""The output of `install watch`: the steps of a boot, and why it does not proceed."""

import json
from typing import Any

import pytest

from netboot.cli.commands.hosts.install import Timeline


def event(at_s: int, name: str, *, step: str | None = None, **data: object) -> dict[str, Any]:
    at = f"2026-11-21T05:49:{at_s:02d}+00:00"
    return {"id": at_s, "at": at, "event": name, "host": "cp1", "mac": None, "step": step, "data": data}


EVENTS = [
    event(0, "boot.offered", step="offer", kind="loader", stage="firmware", boot_file="snponly.efi"),
    event(1, "boot.offered", kind="script", stage="ipxe", boot_file=None),
    event(2, "boot.script_held_back", reason="cannot read the medium ol8: initrd.img is missing; import it again"),
    event(2, "boot.script_served", plan="wait", address="192.0.2.50", reason="not-ready"),
    event(3, "boot.script_served", plan="wait", address="192.0.2.50", reason="not-announced"),
    event(
        4,
        "boot.request_refused",
        request="script",
        address="192.0.2.77",
        reason="other-address",
        waits="not-announced",
        count=1999,
    ),
    event(5, "boot.alarm_raised", document="ignition", address="192.0.2.77", reason="unauthorised-address"),
    event(6, "install.moved", by="script-sent", note=None),
    event(
        7, "install.moved", step="failed", by="reported-failed", armed=False, note="no space left on /dev/vda\x1b[2J"
    ),
]


def test_a_watch_prints_the_steps_and_everything_that_holds_the_host_back(capsys: pytest.CaptureFixture[str]):
    timeline = Timeline(since=None, as_json=False)
    for each in EVENTS:
        timeline.take(each)

    assert capsys.readouterr().out.splitlines() == [
        "    0.0 s  offer       kind loader, stage firmware, boot_file snponly.efi",
        "    2.0 s  held-back   cp1 is held back: cannot read the medium ol8: initrd.img is missing; import it again",
        "    3.0 s  waits       the script of cp1 waits: it comes from the machine's own address, but no DHCP request "
        "of it was received in the last 15 minutes; let its DHCP broadcasts reach this server: the same LAN, or a "
        "relay that forwards them here too",
        "    4.0 s  refused     the script of cp1 was requested from 192.0.2.77, which is not an address of cp1, so it "
        "waits (not-announced) (1999 more times in the last minute); "
        "find the machine that has 192.0.2.77; if it is a router that translates the "
        "address of cp1 (NAT), let it route without translation, because no machine is installed through it",
        "    5.0 s  ALARM       the ignition of cp1 was requested from 192.0.2.77, which is not an address of cp1; "
        "find the machine that has 192.0.2.77 now",
        "    7.0 s  failed      no space left on /dev/vda�[2J; the whole report: netboot install history "
        "cp1 --json; then netboot install arm cp1",
    ]
    assert timeline.ended_with == "failed"


def test_as_json_every_event_since_the_arming_is_a_line(capsys: pytest.CaptureFixture[str]):
    timeline = Timeline(since=EVENTS[2]["at"], as_json=True)
    for each in EVENTS:
        timeline.take(each)

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == EVENTS[2:]


def test_the_checks_before_an_install_are_a_table(capsys: pytest.CaptureFixture[str]):
    timeline = Timeline(since=None, as_json=False)
    checks = "firmware pass UEFI\nmembers fail sda is in use: sda1 is swap\nntp skipped no chronyd"
    data = {"checks": checks, "pass": "firmware", "fail": "members", "skipped": "ntp"}
    timeline.take(event(1, "boot.checks_reported", failed=True, **data))
    timeline.take(event(2, "install.moved", step="failed", by="checks-failed", note="sda is in use: sda1 is swap"))
    timeline.take(event(3, "boot.checks_reported", **{"failed": False, **data, "fail": ""}))

    assert capsys.readouterr().out.splitlines() == [
        "    0.0 s  checks      cp1 may not be installed, and nothing was written; failed: members",
        *(
            table := [
                "                        firmware  pass     UEFI",
                "                        members   fail     sda is in use: sda1 is swap",
                "                        ntp       skipped  no chronyd",
            ]
        ),
        "    1.0 s  failed      sda is in use: sda1 is swap; nothing was written, and it waits: correct this, then "
        "netboot install arm cp1; or netboot install cancel cp1 to boot its own disk",
        "    2.0 s  checks      cp1 may be installed; passed: firmware; skipped: ntp",
        *table,
    ]
    assert timeline.ended_with == "failed"


def test_a_step_that_is_overdue_has_its_cause_with_the_evidence_below(capsys: pytest.CaptureFixture[str]):
    timeline = Timeline(since=None, as_json=False)
    wait = {"waits_for": "loader", "since": "2026-11-21T05:49:00+00:00", "expected_s": 5, "limit_s": 120, "boots": 0}
    cause = {"cause": "no-loader", "severity": "error", "sentence": "cp1 does not fetch it", "cure": "permit UDP 69"}
    timeline.take(event(1, "boot.step_overdue", **wait, **cause, evidence="05:49:00 UTC boot.offered\nwaits\x1b[2J"))
    timeline.take(event(2, "boot.step_overdue", **wait))

    assert capsys.readouterr().out.splitlines() == [
        "    0.0 s  overdue     cp1 waits for the transfer of the loader since 05:49:00 UTC, longer than it takes here "
        "(usually 5 s, at most 2 min; the default): cp1 does not fetch it; permit UDP 69",
        "                        05:49:00 UTC boot.offered",
        "                        waits\N{REPLACEMENT CHARACTER}[2J",
        "    1.0 s  overdue     cp1 waits for the transfer of the loader since 05:49:00 UTC, longer than it takes here "
        "(usually 5 s, at most 2 min; the default)",
    ]
