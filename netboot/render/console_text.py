"""Lays out the text of a script for a console of 80 columns. Pure."""

import textwrap
from collections.abc import Iterable
from typing import Final

COLUMNS: Final = 79  # the 80th makes some consoles print an empty line
_PREFIX: Final = "netboot: "  # also so that no line begins with an option of `echo`


def columns(texts: Iterable[object]) -> list[str]:
    """Break texts into lines of at most `COLUMNS` characters, at blanks where possible, with our name before each."""
    lines = (
        line for text in texts for line in textwrap.wrap(str(text), COLUMNS - len(_PREFIX), break_on_hyphens=False)
    )
    return [_PREFIX + line for line in lines]
