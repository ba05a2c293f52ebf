"""The script of `make proof` reads the result of a part from its output, and ends a part that takes too long."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "proof"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = SourceFileLoader("results", str(SCRIPT))
    spec = spec_from_loader("results", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("code", "output", "results"),
    [
        pytest.param(0, "396 passed, 1 skipped, 21 deselected in 63.75s (0:01:03)\n", (396, 0, 1), id="passed"),
        pytest.param(1, "== 17 failed, 379 passed, 2 errors in 63.75s ==\n", (379, 19, 0), id="failed"),
        pytest.param(124, "..........\n", (0, 1, 0), id="ended by the limit"),
        pytest.param(1, "3 passed in 2.00s\n", (3, 1, 0), id="failed after its tests"),
        pytest.param(0, "1 passed in 2.00s\n2 passed in 3.00s\n", (3, 0, 0), id="several runs"),
        pytest.param(0, "no tests\n", (1, 0, 0), id="without tests"),
    ],
)
def test_the_results_of_a_part_are_read_from_its_output(
    script: ModuleType, code: int, output: str, results: tuple[int, int, int]
):
    assert script.counted(code, output) == results


def test_a_part_that_takes_too_long_is_ended(script: ModuleType):
    assert script.run(["sleep", "30"], timeout_s=1) == (124, "")


def test_a_part_keeps_its_exit_code_and_output(script: ModuleType):
    assert script.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout_s=10) == (3, "out\nerr\n")


def test_results_of_the_same_commit_are_read_with_what_passed(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    passed, failed, earlier = (
        "| 2026-11-28 20:40 | abc1234 | integration | 512 | 0 | 1 | 300 | rack1 |\n",
        "| 2026-11-28 20:45 | abc1234 | real firmware | 40 | 1 | 0 | 900 | rack1 |\n",
        "| 2026-11-28 19:00 | 0123456 | demo | 1 | 0 | 0 | 80 | rack1 |\n",
    )
    monkeypatch.setattr(script, "RESULT", tmp_path / "proof.md")
    assert script.results_of("abc1234") == {}
    script.RESULT.write_text(script.HEADER + passed + failed + earlier)

    assert script.results_of("abc1234") == {"integration": passed, "real firmware": failed}
    assert (script.has_passed(passed), script.has_passed(failed)) == (True, False)


def test_parts_that_are_named_run_alone_and_results_of_the_commit_stay(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    passed = "| 2026-11-28 20:40 | abc1234 | first | 512 | 0 | 1 | 300 | rack1 |\n"
    commands = {
        name: ["sh", "-c", f"echo {name}; echo 2 passed in 1.00s"] for name in ("first", "second", "third", "last")
    }
    monkeypatch.setattr(script, "RESULT", tmp_path / "proof.md")
    monkeypatch.setattr(script, "parts", lambda: commands)
    monkeypatch.setattr(script, "checked_out", lambda: "abc1234")
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    failed = "| 2026-11-28 20:45 | abc1234 | last | 40 | 1 | 0 | 900 | rack1 |\n"
    script.RESULT.write_text(script.HEADER + passed + failed)

    assert script.main("first", "third") == 0

    rows = [[cell.strip() for cell in line.split("|")] for line in script.RESULT.read_text().splitlines()]
    assert [row[2:6] for row in rows if len(row) == 10][2:] == [
        ["abc1234", "first", "512", "0"],
        ["abc1234", "third", "2", "0"],
        ["abc1234", "last", "40", "1"],
    ]
    with pytest.raises(SystemExit, match="no part is named fourth; the parts: first, second, third, last"):
        script.main("fourth")
