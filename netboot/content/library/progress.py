"""Progress reports of long operations."""

from typing import Protocol


class Progress(Protocol):
    """Receives steps and the bytes done of each. Called by one thread."""

    def step(self, what: str, total_bytes: int) -> None:
        """Begin a step of this size; it ends the previous one."""

    def advance(self, size_bytes: int) -> None:
        """Add to the bytes done of the step."""


class NoProgress:
    """Discards progress reports."""

    def step(self, what: str, total_bytes: int) -> None:
        """Do nothing."""

    def advance(self, size_bytes: int) -> None:
        """Do nothing."""
