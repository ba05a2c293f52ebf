"""One reason why Ignition would refuse a file. It shows names and paths, and no contents, which may be secret."""

from dataclasses import dataclass
from typing import Final

MOST_PROBLEMS: Final = 100  # that are listed of one file: a hostile one has a million


@dataclass(frozen=True, slots=True)
class IgnitionProblem:
    """`pointer` is RFC 6901, empty for the whole file; `line` and `column` count from 1, 0 if they are not known."""

    pointer: str
    what: str
    cure: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}" if self.line else self.pointer
        return f"{place}: {self.what}; {self.cure}" if place else f"{self.what}; {self.cure}"

    def in_file(self, file: object) -> str:
        """Return problem and place without the cure: `w.ign:1:77: …`, `w.ign: /storage/files/0: …`, `w.ign …`."""
        if self.line:
            return f"{file}:{self.line}:{self.column}: {self.what}"
        return f"{file}: {self.pointer}: {self.what}" if self.pointer else f"{file} {self.what}"


class Problems(list[IgnitionProblem]):
    """The first problems of a file; further ones are not kept."""

    def add(self, pointer: str, what: str, *, cure: str) -> None:
        if len(self) < MOST_PROBLEMS:
            self.append(IgnitionProblem(pointer, what, cure))
