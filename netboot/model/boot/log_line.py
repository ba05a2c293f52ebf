"""One line of a machine's log, as it is stored for its boot."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final, Self


class Severity(StrEnum):
    """The severities of syslog, in the order of their numbers (RFC 5424 §6.2.1)."""

    EMERGENCY = "emerg"
    ALERT = "alert"
    CRITICAL = "crit"
    ERROR = "err"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"
    DEBUG = "debug"


SEVERITIES: Final = tuple(Severity)


@dataclass(frozen=True, slots=True)
class LogMessage:
    """What a machine sent. `program` is empty if the message names none."""

    severity: Severity
    program: str
    text: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line: when it was received, from which address, and what the machine sent."""

    at: datetime
    source: IPv4Address
    severity: Severity
    program: str
    text: str

    def to_json(self) -> str:
        """Write it as one line of JSON, without a line feed."""
        fields = {
            "at": self.at.isoformat(),
            "source": str(self.source),
            "severity": self.severity.value,
            "program": self.program,
            "text": self.text,
        }
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of_json(cls, line: str) -> Self | None:
        """Read what `to_json` wrote; None for any other text, as the rest of a line that was cut."""
        try:
            fields = json.loads(line)
            at, source = datetime.fromisoformat(fields["at"]), IPv4Address(fields["source"])
            return cls(at, source, Severity(fields["severity"]), str(fields["program"]), str(fields["text"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
