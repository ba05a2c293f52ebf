"""A row of what needs attention, on the page of the rack."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AttentionRow:
    """What needs attention: one cause, its cure, and one thing to do."""

    key: str
    subject: str
    subject_url: str
    sentence: str
    cure: str
    is_error: bool
    since: datetime | None
    label: str
    url: str
