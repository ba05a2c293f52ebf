"""What a boot waits for and how far it is, in one sentence: the same in commands and on pages."""

from typing import Any

import pytest

from netboot.admin.texts.boot_text import broken_text, duration_text, progress_text, status_text, step_text

BEGAN, LAST, LATER = "2026-11-21T03:00:00+00:00", "2026-11-21T03:01:05+00:00", "2026-11-24T03:00:09+00:00"
PROGRESS = {
    "name": "initrd.img",
    "percent": 40,
    "bytes": 42_000_000,
    "size_bytes": 105_000_000,
    "bytes_per_s": 11_200_000.0,
    "seconds_left": 83.4,
}
WAIT = {
    "step": "initrd",
    "since": BEGAN,
    "expected": {"median_s": 5.0, "p95_s": 9.0, "limit_s": 87.0, "boots": 7},
    "overdue": False,
}
EXPECTED = "waits for initrd (usually 5 s, at most 1 min 27 s; from 7 boots here)"
STEP = {"detail": "", "percent": None, "bytes": 0, "bytes_per_s": None, "retries": 0}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "waits for initrd"),
        ({"retries": 1}, "waits for initrd; 1 retry"),
        ({"wait": WAIT}, EXPECTED),
        ({"wait": WAIT | {"overdue": True}}, f"{EXPECTED}; overdue"),
        ({"waits_for": None}, ""),
        ({"waits_for": None, "reason": "not-ready"}, "its script waits: not-ready"),
        ({"waits_for": "kickstart", "reason": "no release"}, "waits for kickstart, which is held back: no release"),
        ({"inactive": True, "retries": 1}, ""),
        (
            {"waits_for": "\x1b", "progress": PROGRESS, "retries": 3},
            "waits for \ufffd; initrd.img 40 %, 42.0 MB of 105.0 MB, 11.2 MB/s, 1 min 23 s left; 3 retries",
        ),
    ],
)
def test_the_status_has_what_is_due_how_far_it_is_and_its_retries(changes: dict[str, Any], text: str):
    assert status_text({"waits_for": "initrd", "reason": "", "progress": None, "retries": 0, **changes}) == text


def test_what_is_not_known_of_a_transfer_is_left_out():
    unknown = {**PROGRESS, "size_bytes": None, "bytes_per_s": None, "seconds_left": None}

    assert progress_text(unknown) == "initrd.img 40 %, 42.0 MB"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, ""),
        ({"detail": "snponly.efi", "retries": 1}, "snponly.efi, 1 retry"),
        ({"bytes": 300_000, "bytes_per_s": 600_000.0, "retries": 2}, "300.0 kB at 600.0 kB/s, 2 retries"),
        ({"percent": 45, "bytes": 1_500_000_000}, "45 %, 1.5 GB"),
    ],
)
def test_a_step_has_what_is_known_of_its_transfer(changes: dict[str, Any], text: str):
    assert step_text({**STEP, **changes}) == text


def test_a_broken_transfer_has_its_reason_its_size_and_how_often_it_broke():
    broken = {"step": "initrd", "name": "a\x1b", "bytes": 7, "size_bytes": 1500, "reason": "cut", "times": 1}
    text = "initrd: a\ufffd was sent in part (cut): 7 B of 1.5 kB"

    assert [broken_text({**broken, "times": times}) for times in (1, 2)] == [text, f"{text}, 2 times"]


@pytest.mark.parametrize(("end", "took"), [(None, "1 min 5 s"), ("replaced", "1 min 5 s"), ("failed", "4320 min 9 s")])
def test_a_boot_took_until_its_end_else_until_it_last_showed_something(end: str | None, took: str):
    assert duration_text({"began_at": BEGAN, "last_at": LAST, "end": end, "ended_at": end and LATER}) == took
