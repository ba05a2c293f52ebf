"""Makes text of machines printable: a vendor class, the end of an installer's log."""

import re
from typing import Final

DISKS_PRESENT: Final = "disks present:"  # the line before the disks, as kickstart/pre.ks.j2 writes it
LONGEST_DISK_LIST: Final = 4096  # characters
LONGEST_LINE: Final = 500  # characters


def printable(text: str) -> str:
    """Replace control characters in a machine's text by U+FFFD, for a terminal; keep line feeds and tabs."""
    if text.isprintable():  # nearly every line; a hundred times as fast
        return text
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text)


def printable_line(text: str, *, longest: int = 128) -> str:
    """Write a machine's text as one line of at most `longest` ASCII characters; escape all others: `\\x1b`."""
    text = text[:longest]
    safe = text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return safe[:longest]


def first_line(text: str) -> str:
    """Return the first line that is not blank, at most `LONGEST_LINE` characters of it; empty if there is none."""
    return _shortened(next((line.strip() for line in text.splitlines() if line.strip()), ""))


def shown_seconds(seconds: float) -> str:
    """Write a duration: `0.4 s`, `12 s`, `2 min 30 s`."""
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    return " ".join([*([f"{minutes} min"] if minutes else []), *([f"{rest} s"] if rest or not minutes else [])])


def shown_age(seconds: float) -> str:
    """Write an age in its largest unit: `12 s`, `5 min`, `3 h`, `2 d`."""
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds) // size} {name}"
    return f"{max(int(seconds), 0)} s"


def shown_left(seconds: float) -> str:
    """Write how long something still lasts in two units: `1 h 52 min`, `12 min 30 s`; `over` once it has ended."""
    whole = int(seconds)
    for size, name, rest, rest_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            more = whole % size // rest
            return f"{whole // size} {name}" + (f" {more} {rest_name}" if more else "")
    return f"{whole} s" if seconds > 0 else "over"


def shown_size(size_bytes: float) -> str:
    """Write a number of bytes with a unit."""
    for unit, divisor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= divisor:
            return f"{size_bytes / divisor:.1f} {unit}"
    return f"{size_bytes:.0f} B"


def one_line(text: str) -> str:
    """Write an operator's text as one printable line of at most `LONGEST_LINE` characters."""
    return _shortened(printable(" ".join(text.split())))


def _shortened(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def without_disks(report: str) -> tuple[str, str]:
    """Split a Kickstart's report into the text and the list of the machine's disks at its end."""
    found = re.search(rf"^{DISKS_PRESENT}$", report, re.MULTILINE)
    if found is None:
        return report, ""
    return report[: found.start()].rstrip(), report[found.end() :].strip("\n")[:LONGEST_DISK_LIST]
