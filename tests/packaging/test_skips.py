"""A skipped test fails the run, unless `PERMITTED_SKIPS` has it with the same reason."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SKIPPED = "import pytest\ndef test_peer(): pytest.skip('no peer')\n"
MARKED = "import pytest\n@pytest.mark.skipif(True, reason='no peer')\ndef test_peer(): ...\n"
WHOLE_FILE = "import pytest\npytest.skip('no peer', allow_module_level=True)\n"
PERMITTED = (
    "import conftest, pytest\n"
    "conftest.PERMITTED_SKIPS['test_it.py::test_peer'] = 'no peer'\n"
    "@pytest.mark.parametrize('x', [1])\n"
    "def test_peer(x): pytest.skip('no peer')\n"
)
EXPECTED_FAILURE = "import pytest\n@pytest.mark.xfail\ndef test_peer(): assert False\n"


def run(directory: Path, text: str) -> tuple[int, str]:
    """Run a file of tests with this project's hooks; return the exit status and the last line."""
    (directory / "test_it.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", "test_it.py"]
    ran = subprocess.run(
        command, cwd=directory, env=os.environ | {"PYTHONPATH": str(TESTS)}, capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stdout


@pytest.mark.parametrize("text", [SKIPPED, MARKED, WHOLE_FILE], ids=["called", "marked", "whole-file"])
def test_a_skip_fails_and_says_what_was_missing(tmp_path: Path, text: str):
    status, said = run(tmp_path, text)

    assert status in (1, 2)
    assert "skipped: no peer; provide what is missing, or add it to PERMITTED_SKIPS in tests/conftest.py" in said


@pytest.mark.parametrize("text", [PERMITTED, EXPECTED_FAILURE], ids=["permitted", "expected-failure"])
def test_a_permitted_skip_and_an_expected_failure_pass(tmp_path: Path, text: str):
    status, said = run(tmp_path, text)

    assert (status, said.splitlines()[-1].split(" in ")[0]) in {(0, "1 skipped"), (0, "1 xfailed")}


def test_a_test_that_is_skipped_for_another_reason_fails(tmp_path: Path):
    status, said = run(tmp_path, PERMITTED.replace("pytest.skip('no peer')", "pytest.skip('no other')"))

    assert status == 1
    assert "skipped: no other" in said
