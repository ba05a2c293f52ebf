"""docs/threat-model.md names for each line of protection the tests that hold it, and each of them exists."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from fixtures import hostile_machine

from netboot.boot.inspection_documents import WipeReport
from netboot.boot.token_documents import Report
from netboot.model import urls

TESTS: Final = Path(__file__).parent
PAGE: Final = TESTS.parent / "docs" / "threat-model.md"
SECTIONS: Final = ("Protections", "Who may use the administration")
LINES: Final = {
    re.sub(r"\W+", " ", line.partition("**")[2])[:60].strip(): line + "\n" + line_of_tests
    for section in SECTIONS
    for line, line_of_tests in re.findall(
        r"^(- .*)\n(.*)$", PAGE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0], re.MULTILINE
    )
}


def named_tests(line: str) -> list[tuple[str, str]]:
    """List the tests that a line names, each with its file."""
    _, found, tests = line.partition("\n  *Tests:* ")
    assert found, line
    parts = [re.findall(r"`([^`]+)`", part) for part in tests.split("; ")]
    return [(file, name) for file, *names in parts for name in names]


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text())
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_section_has_its_lines():
    text = PAGE.read_text()
    bullets = sum(text.partition(f"\n## {each}\n")[2].partition("\n## ")[0].count("\n- ") for each in SECTIONS)

    assert len(LINES) == bullets > 25


@pytest.mark.parametrize("line", LINES)
def test_each_line_names_tests_that_exist(line: str):
    named = named_tests(LINES[line])

    assert named
    missing = [(file, name) for file, name in named if not name.startswith("test_") or name not in names_in(file)]
    assert missing == []


def test_hostile_machines_try_each_route_with_a_token_and_each_report():
    program = (TESTS / "fixtures" / "hostile_machine.py").read_text()
    routes = {value for name, value in vars(urls).items() if name.endswith("_ROUTE") and "{token}" in value}
    reports = {*Report, *WipeReport, urls.LOG_REPORT}

    assert {route for route in routes if route.partition("{")[0] + "{token}" not in program} == set()
    assert reports - set(hostile_machine.EVENTS) == set()
