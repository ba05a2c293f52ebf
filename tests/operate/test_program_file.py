"""A configured command that cannot be run is found without running it, by the reason for which Linux refuses it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from netboot.operate.programs.program_file import program_problem


def problem(*command: str | Path) -> str | None:
    found = program_problem([str(each) for each in command], correct="correct it")
    return str(found) if found is not None else None


def script(path: Path, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_what_can_be_run_has_no_problem(tmp_path: Path):
    found = [
        problem("/bin/true"),
        problem(script(tmp_path / "a"), "x"),
        problem("/usr/bin/env", "A=b", "/bin/true"),
        problem("/usr/bin/env", "A=b", "true"),
    ]

    assert found == [None] * 4


def test_a_program_that_is_missing_or_no_file_or_not_executable_is_named(tmp_path: Path):
    closed = script(tmp_path / "closed", mode=0o644)

    assert problem("/nonexistent/ocne", "cluster") == "there is no program /nonexistent/ocne; correct it"
    assert problem("/usr/bin/env", "A=b", "/nonexistent/ocne") == "there is no program /nonexistent/ocne; correct it"
    assert problem(tmp_path) == f"there is no program {tmp_path}; correct it"
    assert problem(closed) == f"{closed} is not executable; chmod +x {closed}"


@pytest.mark.parametrize(
    ("first_line", "named"), [("#!/nonexistent/sh -e", "/nonexistent/sh"), ("#!/bin/sh\r", "/bin/sh\r")]
)
def test_a_script_whose_interpreter_is_missing_is_named(tmp_path: Path, first_line: str, named: str):
    path = script(tmp_path / "join", f"{first_line}\n")

    with pytest.raises(FileNotFoundError):  # what Linux does with it
        subprocess.run([path], check=False)

    what = f"the first line of {path} names {named!r}, and there is no such program"
    assert problem(path) == f"{what}; correct that line"


@contextmanager
def nobody() -> Iterator[None]:
    """Have the rights of a user who owns nothing."""
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_a_script_that_its_user_may_not_run_or_read_is_named():
    with TemporaryDirectory(dir="/tmp") as directory:
        closed, path = script(Path(directory, "closed"), mode=0o700), script(Path(directory, "join"), mode=0o711)
        with nobody():
            below = problem(path)
        Path(directory).chmod(0o755)
        with nobody():
            found = [problem(closed), problem(path)]

    what = f"{path} is below a directory that netboot may not search"
    assert below == f"{what}; chmod a+x the directories above {path}"
    assert found[0] == f"netboot may not run {closed}; chmod a+x {closed}"
    assert found[1] == f"netboot may not read {path}, which a script needs; chmod a+r {path}"
