"""Finds why a configured command cannot be run, before it is run. Runs nothing."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

_FIRST_LINE: Final = 256  # bytes that Linux reads of it
_BLANK: Final = re.compile(rb"[ \t]+")


@dataclass(frozen=True, slots=True)
class ProgramProblem:
    """Why a command cannot be run, and what to do."""

    reason: str
    cure: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.cure}"


def program_problem(command: Sequence[str], *, correct: str, is_run_here: bool = True) -> ProgramProblem | None:
    """Return why the program of a command cannot be run; None: nothing is found. Reads files.

    `correct`: the cure if there is no such program. Not `is_run_here`: another user runs it, whose rights are not
    known here.
    """
    for path in _programs(command):
        if (found := _problem(path, correct, is_run_here=is_run_here)) is not None:
            return found
    return None


def _programs(command: Sequence[str]) -> Iterator[Path]:
    """Yield the program, and the one that `/usr/bin/env NAME=VALUE` runs."""
    yield Path(command[0])
    if Path(command[0]).name == "env":
        run = islice((each for each in command[1:] if "=" not in each), 1)
        yield from (Path(each) for each in run if each.startswith("/"))


def _problem(path: Path, correct: str, *, is_run_here: bool) -> ProgramProblem | None:
    try:
        mode = path.stat().st_mode
    except PermissionError:
        cure = f"chmod a+x the directories above {path}"
        return ProgramProblem(f"{path} is below a directory that netboot may not search", cure) if is_run_here else None
    except OSError:
        mode = 0
    if not stat.S_ISREG(mode):
        return ProgramProblem(f"there is no program {path}", correct)
    if not mode & 0o111:
        return ProgramProblem(f"{path} is not executable", f"chmod +x {path}")
    if is_run_here and not os.access(path, os.X_OK):
        return ProgramProblem(f"netboot may not run {path}", f"chmod a+x {path}")
    try:
        with path.open("rb") as file:
            first_line = file.read(_FIRST_LINE).partition(b"\n")[0]
    except OSError:
        if mode & stat.S_ISUID or not is_run_here:  # as sudo, which nobody reads
            return None
        return ProgramProblem(f"netboot may not read {path}, which a script needs", f"chmod a+r {path}")
    if first_line.startswith(b"#!"):
        interpreter = os.fsdecode(_BLANK.split(first_line[2:].strip(b" \t"))[0])
        if not os.access(interpreter, os.F_OK):
            what = f"the first line of {path} names {interpreter!r}, and there is no such program"
            return ProgramProblem(what, "correct that line")
    return None
