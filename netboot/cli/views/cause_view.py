"""Why a host does not proceed, beside its one sentence: the name of the cause and its evidence."""

from collections.abc import Mapping
from itertools import chain, repeat
from typing import Any

from netboot.model.boot.causes.cause import CauseSeverity
from netboot.model.words import printable


def cause_rows(cause: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return the rows of a cause, as the API has it: a label and a text; none if nothing is wrong."""
    if cause is None or cause["severity"] == CauseSeverity.INFO:
        return []
    named = ("cause", f"{cause['name']} ({cause['severity']}); docs/causes.md")
    return [named, *zip(chain(["evidence"], repeat("")), map(printable, cause["evidence"]), strict=False)]
