"""Writes rows as CSV (RFC 4180) for spreadsheets, which take no text of a machine for a formula."""

import csv
import io
from collections.abc import Iterable
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")  # with which spreadsheets begin a formula


def csv_rows(rows: Iterable[Iterable[object]]) -> str:
    """Return one line for each row; None is empty, and text that a spreadsheet would calculate gets an apostrophe."""
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
