"""Reads one syslog message: RFC 3164, RFC 5424, iPXE's form, or an entry of systemd's journal as JSON. Pure.

Accepts any bytes: what has no header is the text of a message without a program. Time and host name of a message are
not read: the clock of a machine that is installed may be wrong, and its name is known from its address.

iPXE 2.0 (src/net/udp/syslog.c) sends `<6>HOST.DOMAIN ipxe: TEXT` or `<6>ipxe: TEXT`, without time, 127 characters of a
line in each datagram. rsyslog of Anaconda sends RFC 3164.
"""

import json
import re
from typing import Final

from netboot.model.boot.log_line import SEVERITIES, LogMessage, Severity

LONGEST_MESSAGE_BYTES: Final = 8192  # more of a message is not read
LONGEST_TEXT: Final = 2000  # characters
LONGEST_PROGRAM: Final = 48

_HIGHEST_PRIORITY: Final = 191  # facility 23, severity 7
_DIGITS_OF_PRIORITY: Final = re.compile(r"<([0-9]{1,3})>")
_VERSION_1: Final = re.compile(r"1 \S+ \S+ (\S+) \S+ \S+ ")
_STRUCTURED: Final = re.compile(r'(?:-|(?:\[(?:[^"\]\\]|"(?:[^"\\]|\\.)*")*\])+)(?: |\Z)', re.DOTALL)
_TIME: Final = re.compile(
    r"(?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}(?:\.[0-9]{1,9})?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(?:Z|[+-][0-9:]{4,6})) "
)
_TAG: Final = re.compile(r"([^\s:\[\]]{1,64})(?:\[[^\s\]]{0,32}\])?:(?: |\Z)")
_HOST: Final = re.compile(r"\S*[^\s:] ")
_IPXE: Final = re.compile(r"(?:\S* )?(ipxe): ")


def syslog_message(data: bytes) -> LogMessage | None:
    """Read a message; None if it has no text."""
    text = data[:LONGEST_MESSAGE_BYTES].decode("utf-8", "replace").strip("\r\n\0 ")
    severity, has_priority = Severity.INFO, False
    if (found := _DIGITS_OF_PRIORITY.match(text)) and int(found[1]) <= _HIGHEST_PRIORITY:
        severity, has_priority = SEVERITIES[int(found[1]) % len(SEVERITIES)], True
        text = text[found.end() :]
    if has_priority and (header := _VERSION_1.match(text)):
        program = "" if header[1] == "-" else header[1]
        structured = _STRUCTURED.match(text, header.end())
        text = text[structured.end() if structured else header.end() :].removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    else:
        program, text = _program_and_text(text, has_priority=has_priority)
    return _message(severity, program, text)


def journal_message(line: bytes) -> LogMessage | None:
    """Read an entry of `journalctl --output=json`; None if it is not one, or has no text."""
    try:
        entry = json.loads(line[:LONGEST_MESSAGE_BYTES])
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    number, text = str(entry.get("PRIORITY")), entry.get("MESSAGE")
    if isinstance(text, list) and all(type(each) is int and 0 <= each <= 255 for each in text):  # not UTF-8
        text = bytes(text).decode("utf-8", "replace")
    severity = SEVERITIES[int(number)] if number in _NUMBERS else Severity.INFO
    return _message(severity, str(entry.get("SYSLOG_IDENTIFIER") or ""), text) if isinstance(text, str) else None


def reported_message(line: bytes) -> LogMessage | None:
    """Read a line that a machine reports by HTTP: an entry of its journal as JSON, else as `syslog_message`."""
    return journal_message(line) if line.startswith(b"{") else syslog_message(line)


_NUMBERS: Final = frozenset(map(str, range(len(SEVERITIES))))


def _program_and_text(text: str, *, has_priority: bool) -> tuple[str, str]:
    """Split what follows the priority in RFC 3164: time and host name, each of which may be missing, program, text."""
    if time := _TIME.match(text):
        text = text[time.end() :]
        if not _TAG.match(text) and (host := _HOST.match(text)):
            text = text[host.end() :]
    elif has_priority and (ipxe := _IPXE.match(text)):
        return ipxe[1], text[ipxe.end() :]
    tag = _TAG.match(text)
    return (tag[1], text[tag.end() :]) if tag else ("", text)


def _message(severity: Severity, program: str, text: str) -> LogMessage | None:
    text = " ".join(text.splitlines()).strip()[:LONGEST_TEXT]
    return LogMessage(severity, program[:LONGEST_PROGRAM], text) if text else None
