"""The audit trail of an appliance, compared with the changes that it acknowledged, one by one."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from reliability.acknowledged import Acknowledged, AuditedChange
from reliability.requests import Operator


class AuditLine(NamedTuple):
    """A change of the audit trail that was done."""

    at: datetime
    action: str
    subject: str


def unaudited(changes: Iterable[AuditedChange], lines: Iterable[AuditLine]) -> list[AuditedChange]:
    """Return the changes without a line of their own.

    A line of a change whose answer a kill cut off is of another time than that of any acknowledged one.
    """
    left = sorted(lines)
    lacking = []
    for change in changes:
        found = next((line for line in left if _is_of(change, line)), None)
        if found is None:
            lacking.append(change)
        else:
            left.remove(found)
    return lacking


def _is_of(change: AuditedChange, line: AuditLine) -> bool:
    is_in_time = change.began_at <= line.at <= change.ended_at
    return is_in_time and (line.action, line.subject) == (change.action, change.subject)


@dataclass
class AuditTrail:
    """Reads what the trail has since it was read last; `compared` counts the changes whose lines were looked for."""

    operator: Operator
    acknowledged: Acknowledged
    compared: int = 0
    lacking: list[AuditedChange] = field(default_factory=list)
    _read_to: int = 0

    def compare(self) -> None:
        """Compare all changes that were acknowledged since the last call; each one without a line is a fault."""
        changes, self.acknowledged.audited = self.acknowledged.audited, []
        found = unaudited(changes, self._read())
        self.compared += len(changes)
        self.lacking += found
        for each in found:
            self.acknowledged.fault(f"the audit trail has no line of {each.action} {each.subject} at {each.ended_at}")

    def _read(self) -> list[AuditLine]:
        path = f"/api/v1/events?event=audit.recorded&after={self._read_to}&follow=0"
        text = self.operator.send("GET", path).text
        events: list[dict[str, Any]] = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]
        self._read_to = max([self._read_to, *(each["id"] for each in events)])
        done = [each for each in events if each["data"]["outcome"] == "done"]
        return [
            AuditLine(datetime.fromisoformat(each["at"]), each["data"]["action"], each["data"]["subject"] or "")
            for each in done
        ]
