"""Which log or capture belongs to a boot."""

from datetime import UTC, datetime, timedelta

import pytest

from netboot.operate.boots.boot_files import file_number

BEGAN = datetime(2026, 11, 29, 11, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("files", "number", "expected"),
    [
        ([0, 600, 1200], 1, 1),
        ([0, 600, 1200], 3, 3),
        ([-3, 597, 1199], 2, 2),  # the first packet came before the first event
        ([600], 1, None),  # of the second boot
        ([600], 2, 1),
        ([0, 60], 1, 2),  # the daemon was restarted: the newest
        ([1900], 3, 1),
        ([], 1, None),
    ],
)
def test_a_file_belongs_to_the_boot_in_which_it_began(files: list[float], number: int, expected: int | None):
    assert file_number([at(0), at(600), at(1200)], number, [at(each) for each in files]) == expected
