"""A report of progress is one line, which another process reads."""

import pytest

from netboot.content.library.progress import ProgressReport


def test_a_report_is_read_as_it_was_written():
    report = ProgressReport("unpacking é\n", 1, 3)

    assert (report.line().count("\n"), ProgressReport.of_line(report.line())) == (0, report)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "note: x",
        '{"progress"',
        '{"progress": 1}',
        '{"progress": {"step": "x"}}',
        '{"progress": {"other": 1}}',
        "[]",
    ],
)
def test_another_line_is_no_report(line: str):
    assert ProgressReport.of_line(line) is None


@pytest.mark.parametrize(("done", "total", "percent"), [(1, 3, 33), (4, 3, 100), (0, 3, 0), (1, 0, None)])
def test_a_step_of_a_known_size_has_a_percentage(done: int, total: int, percent: int | None):
    assert ProgressReport("x", done, total).percent == percent
