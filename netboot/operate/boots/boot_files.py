"""Which log and which capture belong to a boot: their files are numbered by themselves. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

# Between the first packet of a boot and its first event.
SLACK: Final = timedelta(seconds=10)


def file_number(boots: Sequence[datetime], number: int, files: Sequence[datetime]) -> int | None:
    """Return the number of the file of a boot; None: none is kept.

    `boots` and `files` are the times when each began, the oldest first, which is number 1. A file that began before its
    boot was recorded belongs to it, and so does one that began after a restart of the daemon.
    """
    begin, rest = boots[number - 1] - SLACK, boots[number:]
    end = rest[0] - SLACK if rest else None
    found = [each for each, at in enumerate(files, 1) if begin <= at and (end is None or at < end)]
    return found[-1] if found else None
