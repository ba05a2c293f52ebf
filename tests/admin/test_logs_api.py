"""The log of a machine by the API of the whole appliance in one process: its stream, and refusals before that."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from fixtures.problems import without_rfc_members
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import AT_FIRST

from netboot.model.boot.log_line import LogLine, Severity

BEGAN = datetime(2026, 11, 21, 12, tzinfo=UTC)
LINES = [
    LogLine(BEGAN, IPv4Address("192.0.2.51"), severity, "anaconda", text)
    for severity, text in ((Severity.INFO, "first"), (Severity.ERROR, "last\u202e"))
]
BOOT = {"error": "boot is a whole number: 0 is the last boot, -1 the one before, 1 the first", "code": "bad-request"}
NONE = {"error": "no log of cp1 is kept; see logs.listen", "code": "log-unknown"}
OTHER = NONE | {"error": "no log of 52:54:00:00:00:99 is kept; see logs.listen"}
NOT_FOLLOWED = {
    "error": "no log can be followed: no daemon runs, or logs.listen is empty; start netboot, or see logs.listen",
    "code": "log-unknown",
}


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    yield box
    box.close()


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        *[(f"cp1/logs?boot={wrong}", 400, BOOT) for wrong in ("x", "1.5", "", "9999999")],
        ("cp1/logs?follow=0", 404, NONE),
        ("cp1/logs", 404, NOT_FOLLOWED),
        (
            "52:54:00:00:00:99/logs?follow=0",
            404,
            OTHER,
        ),
    ],
)
def test_a_log_that_is_not_there_is_refused_with_a_status(
    appliance: Appliance, path: str, status: int, expected: dict[str, str]
):
    response = appliance.api("GET", f"/installs/{path}")

    assert (response.status, without_rfc_members(response.json(), status)) == (status, expected)


def test_an_unknown_host_has_no_log(appliance: Appliance):
    response = appliance.api("GET", "/installs/nosuch/logs?follow=0")

    assert (response.status, response.json()["code"]) == (404, "host-unknown")


@pytest.mark.parametrize("wrong", ["x", "-1", "", "1" * 13])
def test_another_offset_than_a_number_of_bytes_is_refused(appliance: Appliance, wrong: str):
    response = appliance.api("GET", f"/installs/cp1/logs?offset={wrong}")

    assert (response.status, response.json()["error"]) == (400, "offset is a number of bytes")


def test_a_stored_log_is_sent_as_its_boot_and_its_lines_from_an_offset_on(appliance: Appliance):
    log = appliance.directory / "records" / "w1" / "20261121T120000.000000Z.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"{each.to_json()}\n" for each in LINES))

    whole = appliance.api("GET", "/installs/w1/logs?follow=0")
    rest = appliance.api("GET", f"/installs/w1/logs?follow=0&offset={len(LINES[0].to_json()) + 1}")

    heartbeat, boot, *lines, end = whole.body.decode().split("\n\n")
    assert (whole.headers["content-type"], heartbeat, end) == ("text/event-stream", ": ", "")
    assert json.loads(boot.removeprefix("event: boot\ndata: ")) == {
        "machine": "w1",
        "number": 1,
        "boots": 1,
        "began_at": BEGAN.isoformat(),
        "ended_at": None,
    }
    assert [json.loads(each.removeprefix("event: line\ndata: "))["text"] for each in lines] == ["first", "last\u202e"]
    assert rest.body.decode().split("\n\n")[1:-1] == [boot, lines[1]]
