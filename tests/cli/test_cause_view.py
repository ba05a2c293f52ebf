"""A cause is shown below the reason: its name, how severe it is, and its evidence."""

from netboot.cli.views.cause_view import cause_rows

CAUSE = {"name": "tftp-blocked", "severity": "error", "evidence": ["12:00:01 UTC first", "second \x1b[31m"]}


def test_a_cause_has_a_row_with_its_name_and_one_for_each_evidence():
    assert cause_rows(CAUSE) == [
        ("cause", "tftp-blocked (error); docs/causes.md"),
        ("evidence", "12:00:01 UTC first"),
        ("", "second \N{REPLACEMENT CHARACTER}[31m"),
    ]


def test_nothing_is_shown_without_a_cause_and_of_what_is_as_intended():
    assert cause_rows(None) == []
    assert cause_rows({**CAUSE, "severity": "info"}) == []
