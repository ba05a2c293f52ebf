"""Writes the daemon's log to stderr: JSON lines, or readable lines on a terminal.

With structlog's own processors and one write per line, a log line took a third of the CPU time of an offer (measured).
So one processor makes the whole JSON line, and the lines of one iteration of the event loop are written together.
"""

import asyncio
import atexit
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from typing import Final, TextIO

import orjson
import structlog

from netboot.model.words import printable

_LINES_HELD: Final = 64
_PRIORITIES: Final = {"debug": 7, "warning": 4, "error": 3, "exception": 3, "critical": 2}
LINE_INTERVAL_S: Final = 60.0  # between two lines about one fault
FAULTS_HELD: Final = 256
# A flood of these would hide alarms: after 10,000 lines in 30 s the journal drops all lines of a service.
_OF_EACH_REQUEST: Final = frozenset(
    {
        "dhcp.offer_withheld",
        "http.content_sent",
        "lease.answered",
        "registry.manifest_sent",
        "tftp.aborted",
        "tftp.sent",
        "tftp.unconfirmed",
    }
)
LINES_OF_NAME: Final = 1_000  # of each of them in 30 s


@dataclass(slots=True)
class _RequestLines:
    """Drops lines of requests beyond their limit; the next line of that name has their number, `lines_left_out`."""

    _ends_s: float = 0.0
    _counts: Counter[str] = field(default_factory=Counter)
    _left_out: Counter[str] = field(default_factory=Counter)

    def __call__(self, _logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if (name := event["event"]) in _OF_EACH_REQUEST and method in ("info", "warning"):
            if (now_s := time.monotonic()) >= self._ends_s:
                self._ends_s, self._counts = now_s + 30.0, Counter()
            self._counts[name] += 1
            if self._counts[name] > LINES_OF_NAME:
                self._left_out[name] += 1
                raise structlog.DropEvent
            if left_out := self._left_out.pop(name, 0):
                event["lines_left_out"] = left_out
        return event


def _json_line(_logger: object, method: str, event: structlog.typing.EventDict) -> str:
    """Finish an event and write it as one line; every level is a method's name but one."""
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(_logger, method, event)
    event["level"] = "error" if method == "exception" else method
    event["timestamp"] = now = datetime.now(UTC)
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z).decode()
    except TypeError:  # a file name that is not UTF-8, or a number of more than 64 bits
        event["timestamp"] = now.isoformat().removesuffix("+00:00") + "Z"
        return json.dumps(event, default=str)


def _with_priority(_logger: object, method: str, rendered: structlog.typing.EventDict) -> str:
    """Put the priority before each line, as sd-daemon(3) has it: `journalctl -p warning` then finds it."""
    priority = f"<{_PRIORITIES.get(method, 6)}>"
    return priority + str(rendered).replace("\n", f"\n{priority}")


def _is_journal(stream: TextIO) -> bool:
    """Return whether a stream leads to the journal: JOURNAL_STREAM, systemd.exec(5), has its device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class Lines:
    """Buffered lines for a stream. A running loop writes them at the end of its iteration."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held: list[str] = []

    def write(self, line: str) -> None:
        self._held.append(line)
        if len(self._held) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:  # a line of a thread, or before or after the loop
                self.flush()
        elif len(self._held) >= _LINES_HELD:
            self.flush()

    debug = info = warning = error = critical = exception = write

    def flush(self) -> None:
        """Write the buffered lines. If they cannot be written, they are dropped: a log must not stop a boot."""
        held, self._held = self._held, []
        if held:
            with suppress(OSError, ValueError):
                self._stream.write("\n".join(held) + "\n")
                self._stream.flush()


@dataclass(frozen=True, slots=True)
class LineLimit:
    """Allows one line about a fault in an interval, for any number of requests. Bounded in memory."""

    monotonic: Callable[[], float] = time.monotonic
    _: KW_ONLY
    interval_s: float = LINE_INTERVAL_S
    faults_held: int = FAULTS_HELD
    _logged_s: dict[str, float] = field(default_factory=dict, init=False)  # when, by fault

    def note(self, fault: str) -> bool:
        """Record a fault by its text; return whether a line about it is logged now."""
        now_s = self.monotonic()
        last_s = self._logged_s.get(fault)
        if last_s is not None and now_s - last_s < self.interval_s:
            return False
        if len(self._logged_s) >= self.faults_held:
            self._logged_s.clear()
        self._logged_s[fault] = now_s
        return True


def configure(*, level: str, form: str) -> None:
    """Set up structlog for the process. `form`: `json`, `console`, or `auto` for what stderr is."""
    is_console = form == "console" or (form == "auto" and sys.stderr.isatty())
    lines = Lines(sys.stderr)
    atexit.register(lines.flush)
    rendered = [_RequestLines(), *(_FOR_A_TERMINAL if is_console else [_json_line])]
    structlog.configure(
        processors=[*rendered, _with_priority] if _is_journal(sys.stderr) else rendered,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    # Lines of libraries are logged only at level warning and above.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")


_FOR_A_TERMINAL: Final[list[structlog.typing.Processor]] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    lambda _logger, _method, event: {k: printable(v) if isinstance(v, str) else v for k, v in event.items()},
    structlog.dev.ConsoleRenderer(),
]
