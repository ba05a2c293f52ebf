"""The outcome of one attempt to deliver an event."""

from dataclasses import dataclass
from typing import Final

from netboot.model.words import first_line, one_line

ANSWER_BYTES: Final = 4096  # that are read of the body of a response, and of what a command prints


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receiver has the event; `answer` is its status and the first line of what it returned."""

    answer: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The receiver may not have the event; no other attempt is made for `retry_after_s`."""

    reason: str
    retry_after_s: int = 0


Outcome = Accepted | Failed


def line_of_answer(answer: bytes | bytearray) -> str:
    """Return the first line of what a receiver returned, printable."""
    return one_line(first_line(answer[:ANSWER_BYTES].decode("utf-8", "replace")))
