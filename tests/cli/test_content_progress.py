"""The progress of an import without a terminal."""

import pytest

from netboot.cli.views.content_progress import progress_line, shown_progress
from netboot.content.library.progress import ProgressReport


def test_a_line_says_share_bytes_rate_and_time_left() -> None:
    line = progress_line("unpacking x", 50_000_000, 200_000_000, seconds=2.0)

    assert line == "unpacking x: 25 %, 50 of 200 MB, 25 MB/s, 6 s left"


def test_a_line_of_unknown_length_says_what_it_knows() -> None:
    assert progress_line("copying", 50_000_000, 0, seconds=2.0) == "copying: 50 MB, 25 MB/s"


def test_more_than_all_is_all() -> None:
    assert progress_line("x", 3_000_000, 2_000_000, seconds=1.0) == "x: 100 %, 3 of 2 MB, 3 MB/s, 0 s left"


def test_each_step_is_one_line_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress(as_json=False) as progress:
        progress.step("one", 10)
        progress.advance(10)
        progress.step("two", 0)

    assert capsys.readouterr() == ("", "one\ntwo\n")


def test_nothing_is_said_where_json_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress(as_json=True) as progress:
        progress.step("one", 10)
        progress.advance(10)

    assert capsys.readouterr() == ("", "")


def test_the_daemon_gets_each_step_as_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress(as_json=True, reports=True) as progress:
        progress.step("one", 10)
        progress.advance(10)
        progress.step("two", 0)

    lines = capsys.readouterr().err.splitlines()
    assert [ProgressReport.of_line(line) for line in lines] == [
        ProgressReport("one", 0, 10),
        ProgressReport("two", 0, 0),
    ]
    assert ProgressReport.of_line("netboot: note") is None
    assert ProgressReport.of_line('{"progress": {"step": 1}}') is None
