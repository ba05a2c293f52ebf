"""A line of a log is stored as one line of JSON."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest

from netboot.model.boot.log_line import LogLine, Severity

LINE = LogLine(datetime(2026, 11, 29, 11, 40, 3, tzinfo=UTC), IPv4Address("192.0.2.50"), Severity.ERROR, "ipxe", "text")


def test_a_line_is_written_and_read_again():
    strange = replace(LINE, text='"quoted"\n€\ufffd', program="")

    assert "\n" not in strange.to_json()
    assert LogLine.of_json(strange.to_json()) == strange
    assert LINE.to_json() == (
        '{"at":"2026-11-29T11:40:03+00:00","source":"192.0.2.50","severity":"err","program":"ipxe","text":"text"}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"at":"2026-11-29"}',
        LINE.to_json()[:-5],
        LINE.to_json().replace("err", "bad"),
        "[" * 5000,
    ],
)
def test_another_text_is_no_line(text: str):
    assert LogLine.of_json(text) is None
