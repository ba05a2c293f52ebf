"""The hunks of a difference are those of another program's diff, and no equal line is shown as changed."""

import difflib

from hypothesis import given
from hypothesis import strategies as some

from netboot.operate.planning.plan_changes import _unified_diff

texts = some.lists(some.sampled_from(["", "a", "b", "c", "- d", "@@"]), max_size=40)


@given(texts, texts)
def test_a_short_text_differs_as_the_standard_library_writes_it(before: list[str], after: list[str]):
    expected = list(difflib.unified_diff(before, after, lineterm=""))[2:]

    assert list(_unified_diff(before, after)) == expected


def test_a_line_that_a_long_text_has_often_is_not_a_change():
    before = [line for number in range(200) for line in (f"line {number}", "")]
    after = ["another" if line == "line 100" else line for line in before]

    assert [line for line in _unified_diff(before, after) if line[0] in "+-"] == ["-line 100", "+another"]
