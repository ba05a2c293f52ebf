"""One row of the table of causes: a pattern in the evidence of a host, and how severe it is. Pure."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from netboot.model.boot.causes.cause import CauseSeverity, Finding
from netboot.model.boot.causes.evidence import Evidence, evidence_lines, shown_time
from netboot.model.install.event import Event, Step

Find = Callable[[Evidence], Finding | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A cause by its name in docs/causes.md; `find` returns what it found, None where the pattern is not there."""

    name: str
    severity: CauseSeverity
    find: Find


def blocked_by(*events: str, **data: str | Collection[str]) -> Find:
    """Return the pattern of an event that stops the host, with this data; `model.boot.reasons` has the sentence."""
    wanted = {key: {value} if isinstance(value, str) else set(value) for key, value in data.items()}

    def find(evidence: Evidence) -> Finding | None:
        block = evidence.block
        if block is None or block.name not in events:
            return None
        has_data = all(str(block.data.get(key)) in values for key, values in wanted.items())
        return of_block(evidence, block) if has_data else None

    return find


def of_block(evidence: Evidence, block: Event, *beside: str | Event | None, cure: str = "") -> Finding:
    """Return what the event that stops the host means. `cure`: a better one than that of the event alone."""
    explained = evidence.explained
    assert explained is not None
    reason = block.data.get("reason") if block.name not in HELD_BACK else None
    lines = evidence_lines(block, *beside)
    return Finding(explained.sentence, cure or explained.cure, lines, block.at, str(reason or ""))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that is overdue: since when, and the evidence of it."""

    since: datetime
    evidence: tuple[str | Event | None, ...]


def waiting_for(evidence: Evidence, *steps: Step) -> Waiting | None:
    """Return that one of these steps is overdue, with the step before and the firmware; None if none is."""
    situation = evidence.situation
    wait, record = situation.wait, situation.record
    if wait is None or wait.step not in steps or not wait.is_overdue(situation.now):
        return None
    last = next((event for event in reversed(situation.events) if event.step is not None), None)
    waits = f"waits for {wait.step} since {shown_time(wait.since)}, longer than {wait.expected.limit_s:.0f} s"
    firmware = record.facts.vendor_class if record is not None else ""
    if not firmware and situation.machine is not None:
        firmware = situation.machine.vendor_class or ""
    return Waiting(wait.since, (last, waits, f"firmware: {firmware}" if firmware else None))


def overdue(*steps: Step, sentence: str, cure: str) -> Find:
    """Return the pattern of a step that does not come; sentence and cure name the host as {host}."""

    def find(evidence: Evidence) -> Finding | None:
        waits = waiting_for(evidence, *steps)
        if waits is None:
            return None
        named = {"host": evidence.host}
        lines = evidence_lines(*waits.evidence)
        return Finding(sentence.format_map(named), cure.format_map(named), lines, waits.since)

    return find


def any_of(*finds: Find) -> Find:
    """Return the pattern that is there where one of these is; the first one that is counts."""
    return lambda evidence: next((found for find in finds if (found := find(evidence)) is not None), None)


HELD_BACK: Final = frozenset(
    {"boot.script_held_back", "boot.document_held_back", "install.content_lost", "install.secret_ended"}
)  # their `reason` is a sentence
