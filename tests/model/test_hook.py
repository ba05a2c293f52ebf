from datetime import UTC, datetime
from typing import Any

import pytest

from netboot.model.hook import CommandTarget, Hook, WebTarget
from netboot.model.host.host import HostName
from netboot.model.install.event import Event
from netboot.model.install.install import InstallState

AT = datetime(2026, 11, 29, tzinfo=UTC)
TARGET = WebTarget("https://hooks.example.org:8443/services/T00?token=XYZZY")


def selects(events: tuple[str, ...], name: str, data: dict[str, Any] | None = None, **changes: Any) -> bool:
    event = Event(name, AT, HostName("cp1"), data=data or {})
    return Hook("pager", TARGET, events, **changes).selects(event)


@pytest.mark.parametrize(
    ("events", "name", "is_selected"),
    [
        (("install.moved",), "install.moved", True),
        (("install.moved",), "install.arming_ended", False),
        (("boot.*",), "boot.offered", True),
        (("boot.*",), "boots.offered", False),
        (("lease.granted", "boot.*"), "lease.granted", True),
        (("*",), "audit.recorded", True),
        (("*",), "hooks.delivery_failed", False),
        (("hooks.*",), "hooks.delivery_failed", False),
    ],
)
def test_events_are_selected_by_name_area_or_all_but_none_about_hooks(
    events: tuple[str, ...], name: str, is_selected: bool
):
    assert selects(events, name) == is_selected


def test_only_events_of_the_named_hosts_are_selected():
    assert selects(("*",), "boot.offered", hosts=frozenset({HostName("cp1"), HostName("w1")}))
    assert not selects(("*",), "boot.offered", hosts=frozenset({HostName("w1")}))


@pytest.mark.parametrize(
    ("before", "after", "is_selected"),
    [("installed", "ready", True), ("ready", "ready", False), ("ready", "offered", False)],
)
def test_states_select_the_events_in_which_an_install_gets_one_of_them(before: str, after: str, is_selected: bool):
    states = frozenset({InstallState.READY, InstallState.FAILED})

    assert selects(("*",), "install.moved", {"from": before, "to": after}, states=states) == is_selected
    assert selects(("*",), "boot.offered", states=states)


def test_no_text_of_a_target_shows_what_may_be_secret():
    command = CommandTarget(("/usr/local/bin/notify", "--token=XYZZY"))

    assert str(TARGET) == "https://hooks.example.org:8443"
    assert str(command) == "/usr/local/bin/notify"
    assert "XYZZY" not in repr(Hook("a", TARGET, ("*",))) + repr(Hook("a", command, ("*",)))
