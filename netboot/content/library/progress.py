"""Progress reports of long operations."""

import json
from dataclasses import asdict, dataclass
from typing import Final, Self


class Progress:
    """Receives the steps of an operation and the bytes done of each, in one thread. This class discards them."""

    def step(self, what: str, total_bytes: int) -> None:
        """Begin a step of this size; it ends the previous one."""

    def advance(self, size_bytes: int) -> None:
        """Add to the bytes done of the step."""


NO_PROGRESS: Final = Progress()


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """How far an operation in another process is; it writes one line for each report. `total_bytes` is 0 if unknown."""

    step: str
    done_bytes: int
    total_bytes: int

    @property
    def percent(self) -> int | None:
        return min(100, self.done_bytes * 100 // self.total_bytes) if self.total_bytes else None

    def line(self) -> str:
        return json.dumps({"progress": asdict(self)})

    @classmethod
    def of_line(cls, line: str) -> Self | None:
        """Read a line; None if it is no report."""
        if not line.startswith('{"progress"'):
            return None
        try:
            return cls(**json.loads(line)["progress"])
        except (ValueError, TypeError):
            return None
