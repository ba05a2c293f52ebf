"""Who is told how far a long piece of work is."""

from typing import Protocol


class Progress(Protocol):
    """Takes steps and what was done of each. Called by one thread."""

    def step(self, what: str, total_bytes: int) -> None:
        """Begin a step of this size; it ends the one before."""

    def advance(self, size_bytes: int) -> None:
        """Add to what was done of the step."""


class NoProgress:
    """Tells nobody."""

    def step(self, what: str, total_bytes: int) -> None:
        """Do nothing."""

    def advance(self, size_bytes: int) -> None:
        """Do nothing."""
