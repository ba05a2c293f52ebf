"""Collects faults with their places in files, and suggests the nearest known name."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from netboot.errors import Problem


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; line and column count from 1, 0 for the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


def position(text: str, index: int) -> tuple[int, int]:
    """Return line and column, from 1, of a character in a text."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


@dataclass(slots=True)
class Faults:
    """All faults and warnings so far, in the order of finding. A warning is about an accepted value."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def add(self, place: Place, where: str, *, what: str, cure: str) -> None:
        self.problems.append(Problem(place.file, place.line, place.column, where, what, cure))

    def warn(self, place: Place, where: str, *, what: str, cure: str) -> None:
        self.warnings.append(Problem(place.file, place.line, place.column, where, what, cure))

    def __len__(self) -> int:
        return len(self.problems)


def shown(text: str, *, limit: int = 60) -> str:
    """Quote an operator's text for a message: one line of limited length, without terminal escapes."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the cure for an unknown name: the nearest known one, else all of them."""
    names = sorted(known)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean {near}?"
    return f"known here: {', '.join(names)}" if names else "remove it"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known name that was probably meant: the most similar one, or one that begins as it does, as `ntp`."""
    names, word = sorted(known), word[:100]
    similar = get_close_matches(word, names, n=1)
    longer = [name for name in names if word.startswith(name) or (len(word) > 2 and name.startswith(word))]
    return next(iter((*similar, *longer)), None)


def beside(path: Path, written_in: str) -> Path:
    """Resolve a path relative to the file that contains it."""
    return Path(written_in).absolute().parent / path
