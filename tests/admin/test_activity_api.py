"""Activity by the API, on the whole appliance in one process."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Appliance]:
    shared, directory = tmp_path / "shared", tmp_path / "box"
    shared.mkdir()
    directory.mkdir()
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    assert box.arm("cp1", force=True) == 200
    assert box.cancel("cp1") == 200
    assert box.reload() == 200
    box.advance(2)
    yield box
    box.close()


def test_arming_cancelling_and_reload_are_listed_newest_first_with_actor_and_reason(box: Appliance):
    response = box.api("GET", "/activity?audit=1")

    listed = response.json()
    assert response.status == 200
    assert [(each["event"], each["host"], each["data"].get("by")) for each in listed] == [
        ("audit.recorded", None, None),
        ("install.moved", "cp1", "cancelled"),
        ("install.moved", "cp1", "armed"),
    ]
    actor = listed[0]["data"]["actor"]
    assert [each["text"] for each in listed] == [
        f"{actor} reload, done",
        f"{actor} cancelled the install of cp1: a test",
        f"{actor} armed the install of cp1: a test",
    ]


def test_the_header_link_leads_to_the_older_events(box: Appliance):
    first = box.api("GET", "/activity?audit=1&limit=2&actor=")
    url = first.headers["link"].removeprefix("<").partition(">; rel=")[0]
    second = box.administration("GET", url)

    assert [len(first.json()), len(second.json())] == [2, 1]
    assert first.headers["link"].endswith('; rel="next"')
    assert "link" not in second.headers


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("limit=0", "limit is how many events the answer has"),
        ("limit=1001", "limit is how many events the answer has"),
        ("event=boot", "event is the name of an event"),
        ("since=soon", "since is a time"),
    ],
)
def test_a_malformed_query_is_refused(box: Appliance, query: str, why: str):
    response = box.api("GET", f"/activity?{query}")

    assert response.status == 400
    assert response.json()["error"].startswith(why)


def test_the_export_is_a_file_of_all_that_match(box: Appliance):
    as_csv = box.api("GET", "/activity.csv?host=cp1")
    as_lines = box.api("GET", "/activity.jsonl?host=cp1")

    rows = list(csv.DictReader(io.StringIO(as_csv.body.decode())))
    lines = [json.loads(line) for line in as_lines.body.splitlines()]
    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'attachment; filename="netboot-activity-' in as_csv.headers["content-disposition"]
    assert [row["id"] for row in rows] == [str(line["id"]) for line in lines]
    assert lines == box.api("GET", "/activity?host=cp1").json()


@pytest.mark.parametrize(("form", "lines"), [("csv", 1), ("jsonl", 0)])
def test_an_export_of_nothing_is_a_file_without_events(box: Appliance, form: str, lines: int):
    response = box.api("GET", f"/activity.{form}?before=1")

    assert (response.status, len(response.body.splitlines())) == (200, lines)


def test_without_a_store_an_export_has_a_status(box: Appliance):
    with box.failing_store("events"):
        assert box.api("GET", "/activity.csv").status == 503


def test_four_exports_run_at_once_and_a_client_that_does_not_read_is_disconnected(box: Appliance):
    with closing(sqlite3.connect(box.directory / "netboot.db")) as store, store:
        rows = [("2026-11-29T02:00:00+00:00", "boot.offered", json.dumps({"name": "x" * 500}))] * 500
        store.executemany("INSERT INTO events (at, name, data) VALUES (?, ?, ?)", rows)
    clients = [box.stalled_client("/activity.csv") for _ in range(4)]

    refused = box.api("GET", "/activity.csv")
    box.advance(31)

    assert (refused.status, refused.headers["retry-after"]) == (503, "10")
    assert all(client.is_closing() for client in clients)
    assert box.api("GET", "/activity.csv").status == 200
