"""One reason why Ignition would refuse a file."""

from dataclasses import dataclass
from typing import Final

SHOWN_CHARACTERS: Final = 60


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
    def add(self, pointer: str, what: str, *, cure: str) -> None:
        self.append(IgnitionProblem(pointer, what, cure))


def shown(text: str) -> str:
    """Quote a name or path for a message: one line of limited length. Not for contents, which may be secret."""
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…")
