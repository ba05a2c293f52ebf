"""Values of hosts files, and times of the API, in one line."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from netboot.admin.texts.ages import ago, shown_time
from netboot.admin.texts.value_text import recorded_text, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("/dev/vda", "/dev/vda"),
        (9000, "9000"),
        ([], ""),
        (["a", {"serial": "S1", "wwns": ["0x5", "0x6"]}], "a, {serial: S1, wwns: 0x5, 0x6}"),
    ],
)
def test_a_value_is_one_line(value: Any, text: str):
    assert value_text(value) == text


def test_an_address_of_a_pool_has_the_time_at_which_it_was_recorded():
    assert recorded_text("2026-11-21T05:49:24+00:00") == "recorded 2026-11-21T05:49:24+00:00"
    assert recorded_text(None) == "not recorded yet: the daemon records it at its start or a reload"


def test_a_time_of_the_api_is_shown_to_the_second_or_as_an_age():
    moment = datetime.now(UTC) - timedelta(minutes=5, seconds=30)

    assert shown_time("2026-11-21T05:49:24.123456+00:00") == "2026-11-21 05:49:24"
    assert (ago(moment.isoformat()), ago(None)) == ("5 min ago", "never")
