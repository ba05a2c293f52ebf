"""What machines sent is shown, never obeyed."""

from netboot.model.words import plain


def test_nothing_that_a_terminal_obeys_is_left_in_a_text():
    assert plain("PXEClient[/x]\x1b]0;owned\x07\x9b2J") == "PXEClient[/x]\ufffd]0;owned\ufffd\ufffd2J"
    assert plain("two\nlines,\tGröße 5 µs") == "two\nlines,\tGröße 5 µs"
