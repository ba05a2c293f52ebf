"""Text of machines is printed without its control characters."""

import json

import pytest

from netboot.cli.views.output import json_text, print_table

HOSTILE = "PXEClient[/x]\x1b]0;owned\x07\x9b2J"
HARMLESS = "PXEClient[/x]\ufffd]0;owned\ufffd\ufffd2J"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_table_shows_brackets_as_they_are_and_keeps_a_row_on_its_line(
    is_terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "200")
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")

    print_table([], False, ("CLASS", "NOTE"), [(HOSTILE, "first\tline\nsecond")])

    (row,) = capsys.readouterr().out.splitlines()[1:]
    assert HARMLESS in row
    assert "first line second" in row


def test_json_does_not_need_the_rows_of_the_table(capsys: pytest.CaptureFixture[str]):
    found = [{"arch": None}]

    print_table(found, True, ("ARCH",), ([each["arch"].lower()] for each in found))  # type: ignore[attr-defined]

    assert capsys.readouterr().out == '[\n  {\n    "arch": null\n  }\n]\n'


def test_json_has_no_character_that_a_terminal_obeys() -> None:
    value = {"server": "a\x1b[2J\x9b31m\x7f\u202e\ud800\U000e0001", "shown": "Größe ✓"}

    text = json_text(value, indent=2)

    assert text.replace("\n", "").isprintable()
    assert "Größe ✓" in text
    assert json.loads(text) == value
