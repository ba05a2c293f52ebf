"""Text of machines and operators is shown without its control characters."""

import pytest

from netboot.model.words import (
    LONGEST_DISK_LIST,
    first_line,
    one_line,
    printable,
    printable_line,
    shown_age,
    shown_left,
    shown_size,
    without_disks,
)


def test_nothing_that_a_terminal_obeys_is_left_in_a_text():
    assert printable("PXEClient[/x]\x1b]0;owned\x07\x9b2J") == "PXEClient[/x]\ufffd]0;owned\ufffd\ufffd2J"
    assert printable("two\nlines,\tGröße 5 µs") == "two\nlines,\tGröße 5 µs"


def test_a_line_for_a_log_is_ascii_and_short():
    assert printable_line("a\r\n\x1b[31m\udcff" + "x" * 1000) == "a\\r\\n\\x1b[31m\\udcff" + "x" * 109
    assert printable_line("EFI\\BOOT\\grubx64.efi") == "EFI\\BOOT\\grubx64.efi"
    assert printable_line("Größe\n", longest=5) == "Gr\\xf"
    assert printable_line("x" * 1000, longest=255) == "x" * 255


def test_the_first_line_that_says_something_is_a_reason():
    assert first_line("\n  no space left \nand more") == "no space left"
    assert first_line(" \n\n") == first_line("") == ""
    assert first_line("x" * 600) == "x" * 499 + "…"


def test_an_operators_reason_is_one_printable_line():
    assert one_line(" second\r\ntry\tof\u2028cp1\x1b[2J ") == "second try of cp1\ufffd[2J"
    assert one_line("Größe") == "Größe"
    assert one_line("x " * 600) == "x " * 249 + "x…"
    assert one_line(" \n") == ""


def test_the_list_of_disks_stays_apart_from_the_report():
    report = "/dev/vda is not there: set it to one of the disks present\ndisks present:\nNAME SIZE\nsda  10G\n"

    assert without_disks(report) == (
        "/dev/vda is not there: set it to one of the disks present",
        "NAME SIZE\nsda  10G",
    )
    assert without_disks("no disks present: none\n") == ("no disks present: none\n", "")
    assert len(without_disks("x\ndisks present:\n" + "sda\n" * 5000)[1]) == LONGEST_DISK_LIST


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (86399, "23 h"),
        (86400, "1 d"),
        (200_000, "2 d"),
    ],
)
def test_an_age_is_in_its_largest_unit(seconds: float, expected: str):
    assert shown_age(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "over"),
        (0, "over"),
        (0.5, "0 s"),
        (60, "1 min"),
        (3599, "59 min 59 s"),
        (7199, "1 h 59 min"),
        (7200, "2 h"),
        (86_399, "23 h 59 min"),
        (93_600, "1 d 2 h"),
    ],
)
def test_what_is_left_is_in_two_units(seconds: float, expected: str):
    assert shown_left(seconds) == expected


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_250_000, "1.2 MB"), (9_990_000_000, "10.0 GB")],
)
def test_a_size_is_in_its_largest_unit(size_bytes: float, expected: str):
    assert shown_size(size_bytes) == expected
