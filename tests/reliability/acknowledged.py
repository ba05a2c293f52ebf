"""What an appliance acknowledged to its clients, to be compared with what it has after a crash.

A change whose answer was not received may have been made or not: both are right. Every other value is a loss.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any

Key = tuple[str, str]  # a kind of thing and its name


@dataclass
class Subject:
    """One thing that one client changes, one request after the other."""

    acknowledged: Any = None
    uncertain: list[Any] = field(default_factory=list)


@dataclass
class Change:
    """A request for one change; without a status, or with one of a server's fault, it may have been made."""

    status: int | None = None

    @property
    def is_certain(self) -> bool:
        return self.status is not None and self.status < 500


@dataclass(frozen=True)
class AuditedChange:
    """An acknowledged change, of which the audit trail has a line that was recorded between request and answer.

    One client alone changes a subject, one request after the other; so no line of another change is in this time.
    """

    action: str
    subject: str
    began_at: datetime
    ended_at: datetime


@dataclass
class Acknowledged:
    """All things that the clients change. `counts` has the number of acknowledged changes of each kind."""

    subjects: dict[Key, Subject] = field(default_factory=dict)
    audited: list[AuditedChange] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    @contextmanager
    def change(self, kind: str, name: str, value: Any, *, audit: tuple[str, str] | None = None) -> Iterator[Change]:
        """Record a request that sets a thing to a value, and how it was answered.

        `audit`: action and subject of its line in the audit trail.
        """
        subject, change, began_at = self.subject(kind, name), Change(), datetime.now(UTC)
        subject.uncertain.append(value)
        try:
            yield change
        finally:
            if change.is_certain:
                subject.uncertain.pop()
            if change.status is not None and change.status < 300:
                self.note(kind, name, value)
                if audit is not None:
                    self.note_audited(*audit, began_at)

    def note_audited(self, action: str, subject: str, began_at: datetime) -> None:
        """Record that a change was acknowledged just now, which was requested at `began_at`."""
        with self._lock:
            self.audited.append(AuditedChange(action, subject, began_at, datetime.now(UTC)))

    def note(self, kind: str, name: str, value: Any) -> None:
        """Record that the appliance acknowledged a value."""
        subject = self.subject(kind, name)
        subject.acknowledged, subject.uncertain = value, []
        self.count(kind)

    def count(self, kind: str) -> None:
        """Count an acknowledged change."""
        with self._lock:
            self.counts[kind] += 1

    def fault(self, text: str) -> None:
        """Record an answer that no appliance may give."""
        with self._lock:
            self.faults.append(text)

    def subject(self, kind: str, name: str) -> Subject:
        """Return what is known of a thing."""
        with self._lock:
            return self.subjects.setdefault((kind, name), Subject())

    def of(self, kind: str) -> dict[str, Subject]:
        """Return the things of a kind by name."""
        with self._lock:
            return {name: subject for (each, name), subject in self.subjects.items() if each == kind}

    def compare(self, kind: str, name: str, found: Any) -> None:
        """Record a fault unless a value is one that a thing may have; from now on it is the acknowledged one."""
        subject = self.subject(kind, name)
        permitted = [subject.acknowledged, *subject.uncertain]
        if found not in permitted:
            self.fault(f"{kind} {name} is {found!r}, not {' or '.join(map(repr, permitted))}")
        subject.acknowledged, subject.uncertain = found, []
