"""The faults that the lab stages are those that the page of the causes has."""

import re
from pathlib import Path

from e2e.staged_boots import FAULTS
from fixtures.boot_cases import is_recorded

PAGE = Path(__file__).parents[2] / "docs/causes.md"


def test_the_page_of_the_causes_has_each_staged_fault_with_its_cause():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| .*? \| `([a-z0-9-]+)` \|$", PAGE.read_text(), re.MULTILINE)

    assert rows == [(name, case.cause) for name, case in FAULTS.items()]


def test_each_staged_fault_is_recorded():
    assert [name for name in FAULTS if not is_recorded(name)] == []
