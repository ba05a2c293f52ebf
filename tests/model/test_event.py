"""What is shown of an event: its fields, its data in one line, and who caused it."""

from datetime import UTC, datetime

import pytest

from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step, actor_in, data_text, event_fields

AT = datetime(2026, 11, 30, 7, tzinfo=UTC)


def test_an_event_has_all_its_fields_in_values_of_json():
    full = Event(
        "boot.offered", AT, HostName("cp1"), Mac("52:54:00:aa:bb:01"), Step.OFFER, {"kind": "loader", "count": 2}, 7
    )

    assert event_fields(full) == {
        "id": 7,
        "at": "2026-11-30T07:00:00+00:00",
        "event": "boot.offered",
        "host": "cp1",
        "mac": "52:54:00:aa:bb:01",
        "step": "offer",
        "data": {"kind": "loader", "count": 2},
    }
    assert event_fields(Event("store.lost", AT)) == {
        "id": 0,
        "at": "2026-11-30T07:00:00+00:00",
        "event": "store.lost",
        "host": None,
        "mac": None,
        "step": None,
        "data": {},
    }


def test_the_data_of_an_event_is_one_line_without_what_it_does_not_have():
    assert data_text({"name": "vmlinuz", "bytes": 0, "host": None, "failed": False}) == (
        "name vmlinuz, bytes 0, failed False"
    )
    assert data_text({}) == ""


@pytest.mark.parametrize(
    ("data", "actor"),
    [
        ({"actor": "alice", "user": "bob"}, "alice"),
        ({"actor": None, "user": "bob"}, "bob"),
        ({"actor": ""}, None),
        ({"reason": "no-script"}, None),
    ],
)
def test_an_event_is_of_the_actor_of_a_request_or_of_the_user_of_a_login(data: dict[str, object], actor: str | None):
    assert actor_in(data) == actor
