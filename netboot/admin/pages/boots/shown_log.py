"""The last lines of a machine's log, as a page shows them: printable, with the colour of their severity. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from netboot.boot_records.shown_logs import LogTail
from netboot.model.boot.log_line import LogLine, Severity
from netboot.model.words import printable

MOST_LINES: Final = 300  # in a page as it is sent; log.js keeps more
_COLOURS: Final = {
    Severity.EMERGENCY: "red",
    Severity.ALERT: "red",
    Severity.CRITICAL: "red",
    Severity.ERROR: "red",
    Severity.WARNING: "amber",
    Severity.DEBUG: "muted",
}


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One line."""

    at: datetime
    severity: str
    colour: str
    program: str
    text: str


@dataclass(frozen=True, slots=True)
class ShownLog:
    """The end of a log. `problem`: why there is none; `follow_url`: where later lines come from, or None."""

    lines: tuple[ShownLine, ...] = ()
    is_cut: bool = False
    problem: str | None = None
    follow_url: str | None = None
    whole_url: str | None = None


def shown_log(machine: str, tail: LogTail, *, page_url: str, is_followed: bool) -> ShownLog:
    """Show the end of the log of a boot; `is_followed`: later lines are added to it."""
    url = f"/api/v1/installs/{quote(machine, safe='')}/logs"
    boot = tail.boot.number
    follow = f"{url}?{urlencode({'boot': boot, 'offset': tail.offset})}" if is_followed else None
    return ShownLog(_shown(tail.lines), tail.is_cut, None, follow, f"{page_url}/log?{urlencode({'boot': boot})}")


def no_log(machine: str, problem: str, *, is_awaited: bool) -> ShownLog:
    """Show why there is no log; `is_awaited`: it may begin later."""
    url = f"/api/v1/installs/{quote(machine, safe='')}/logs" if is_awaited else None
    return ShownLog(problem=problem, follow_url=url)


def _shown(lines: Sequence[LogLine]) -> tuple[ShownLine, ...]:
    return tuple(
        ShownLine(
            each.at, each.severity, _COLOURS.get(each.severity, ""), printable(each.program), printable(each.text)
        )
        for each in lines
    )
