"""`install show`, `host show` and `host list` print what a boot waits for."""

from datetime import UTC, datetime, timedelta
from typing import Any

from netboot.admin.texts.wait_text import short_wait_texts, wait_texts
from netboot.model.words import shown_seconds


def waits(*, boots: int = 0, overdue: bool = False) -> dict[str, Any]:
    since = datetime.now(UTC) - timedelta(seconds=42)
    expected = {"median_s": 12.0, "p95_s": 20.4, "limit_s": 121.2, "boots": boots}
    return {"step": "kickstart", "since": since.isoformat(), "expected": expected, "overdue": overdue}


def test_a_wait_has_its_begin_its_age_and_what_is_expected():
    learned, late = waits(boots=17), waits(overdue=True)
    since = learned["since"][11:19]

    assert wait_texts(None) == []
    assert wait_texts(learned) == [
        f"the request for the Kickstart since {since} UTC, for 42 s (usually 12 s, at most 2 min 1 s; "
        "from 17 boots here)"
    ]
    assert wait_texts(late)[0].endswith("(usually 12 s, at most 2 min 1 s; the default); overdue")


def test_a_wait_is_short_in_a_table():
    assert short_wait_texts(None) == []
    assert short_wait_texts(waits()) == ["waits for the request for the Kickstart, for 42 s"]
    assert short_wait_texts(waits(overdue=True)) == ["waits for the request for the Kickstart, for 42 s, overdue"]


def test_a_clock_that_differs_from_the_appliances_shows_no_negative_age():
    ahead = {**waits(), "since": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}

    assert short_wait_texts(ahead) == ["waits for the request for the Kickstart, for 0 s"]


def test_seconds_are_shown_as_a_person_reads_them():
    found = [shown_seconds(each) for each in (0, 0.44, 9.96, 10, 59.6, 60, 90, 3599)]

    assert found == ["0 s", "0.4 s", "10 s", "10 s", "1 min", "1 min", "1 min 30 s", "59 min 59 s"]
