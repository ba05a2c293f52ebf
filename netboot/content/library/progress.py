"""Progress reports of long operations."""

from typing import Final


class Progress:
    """Receives the steps of an operation and the bytes done of each, in one thread. This class discards them."""

    def step(self, what: str, total_bytes: int) -> None:
        """Begin a step of this size; it ends the previous one."""

    def advance(self, size_bytes: int) -> None:
        """Add to the bytes done of the step."""


NO_PROGRESS: Final = Progress()
