"""Each event is one line that an operator understands."""

from datetime import UTC, datetime

import pytest

from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event
from netboot.operate.boots.event_sentence import event_sentence

AT = datetime(2026, 11, 29, 2, tzinfo=UTC)
CP1 = HostName("cp1")
MAC = Mac("52:54:00:aa:bb:01")


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (
            Event(
                "audit.recorded", AT, data={"actor": "alice", "action": "add host", "subject": "w1", "outcome": "done"}
            ),
            "alice add host w1, done",
        ),
        (
            Event(
                "audit.recorded",
                AT,
                data={"actor": "token ci", "action": "reload", "outcome": "refused", "reason": "hosts.yaml:1: no"},
            ),
            "token ci reload, refused: hosts.yaml:1: no",
        ),
        (
            Event("install.moved", AT, CP1, data={"by": "cancelled", "actor": "uid 0", "note": "wrong disk"}),
            "uid 0 cancelled the install of cp1: wrong disk",
        ),
        (
            Event("install.moved", AT, CP1, data={"by": "script-sent", "from": "offered", "to": "loading"}),
            "the install of cp1 is loading, by script-sent",
        ),
        (
            Event("boot.dead_end_met", AT, CP1, MAC, data={"reason": "x"}),
            None,
        ),
        (Event("boot.offered", AT, None, MAC, data={"loader": "snponly.efi", "path": None}), "loader snponly.efi"),
        (
            Event(
                "boot.offered",
                AT,
                CP1,
                MAC,
                data={"kind": "loader", "stage": "firmware", "boot_file": "snponly.efi", "arch": "x64-uefi"},
            ),
            "the firmware of cp1 was offered: loader snponly.efi (x64-uefi)",
        ),
        (
            Event("boot.offered", AT, None, MAC, data={"kind": "local-disk", "stage": "ipxe", "boot_file": None}),
            "the iPXE of 52:54:00:aa:bb:01 was offered: local-disk",
        ),
        (
            Event("boot.script_served", AT, CP1, MAC, data={"plan": "install", "address": "192.0.2.50"}),
            "cp1 received the script that installs it, at 192.0.2.50",
        ),
        (
            Event("boot.content_sent", AT, CP1, MAC, data={"name": "vmlinuz", "bytes": 14_000_000, "seconds": 0.2}),
            "cp1 received vmlinuz, 14.0 MB",
        ),
        (
            Event("hooks.delivery_resumed", AT, data={"hook": "pager"}),
            "hook pager delivers again",
        ),
        (
            Event("access.login_failed", AT, data={"user": None, "address": "192.0.2.9", "reason": "unknown-user"}),
            "a login as unknown from 192.0.2.9 was refused: unknown-user",
        ),
        (
            Event(
                "access.login_failed",
                AT,
                data={"user": "bob", "address": "192.0.2.9", "reason": "wrong-password", "count": 7},
            ),
            "a login as bob from 192.0.2.9 was refused: wrong-password (7 more times in the last minute)",
        ),
    ],
)
def test_an_event_is_one_line(event: Event, sentence: str | None):
    found = event_sentence(event)

    assert found
    assert sentence in (None, found)


@pytest.mark.parametrize(
    "name",
    ["access.logged_in", "audit.recorded", "install.moved", "boot.alarm_raised", "boot.script_served", "boot.offered"],
)
def test_an_event_of_another_version_with_other_data_has_a_line_too(name: str):
    assert isinstance(event_sentence(Event(name, AT, data={"actor": "alice"})), str)
