"""What machines say of themselves, as it may be shown: a vendor class, the end of an installer's log."""

import re
from typing import Final

_DISKS_PRESENT: Final = re.compile(r"^disks present:$", re.MULTILINE)  # as kickstart/pre.ks.j2 writes it
LONGEST_DISK_LIST: Final = 4096  # characters
LONGEST_LINE: Final = 500  # characters


def printable(text: str) -> str:
    """Replace what a terminal would obey in text that a machine sent by U+FFFD; line feeds and tabs stay."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text)


def printable_line(text: str, *, longest: int | None = 128) -> str:
    """Write what a machine sent as one line of ASCII, at most `longest` characters; the rest is escaped: `\\x1b`."""
    text = text[:longest]
    safe = text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return safe[:longest]


def first_line(text: str) -> str:
    """Give the first line that is not blank, at most `LONGEST_LINE` characters of it; empty if there is none."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def without_disks(report: str) -> tuple[str, str]:
    """Take the list of the machine's disks, with which a refusing Kickstart ends its report, apart from the rest."""
    found = _DISKS_PRESENT.search(report)
    if found is None:
        return report, ""
    return report[: found.start()].rstrip(), report[found.end() :].strip("\n")[:LONGEST_DISK_LIST]
