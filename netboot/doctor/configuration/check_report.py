"""What a check of `netboot check` found: sentences, each with its cure behind its last semicolon."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from netboot.doctor.doctor_finding import DoctorFinding, Level


@dataclass(slots=True)
class CheckReport:
    """Problems that prevent serving machines, warnings, and notes of what was not checked."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def findings(self, check: str) -> Iterator[DoctorFinding]:
        """Yield the same as findings of the check with this id."""
        for level, sentences in (
            (Level.PROBLEM, self.problems),
            (Level.WARNING, self.warnings),
            (Level.NOTE, self.notes),
        ):
            yield from (finding_of(check, level, text) for text in sentences)


def finding_of(check: str, level: Level, text: str) -> DoctorFinding:
    """Split a sentence from its cure; a page of the documentation that ends the text belongs to the cure."""
    sentence, semicolon, cure = text.rpartition("; ")
    if cure.startswith("docs/") and "; " in sentence:
        sentence, _, change = sentence.rpartition("; ")
        cure = f"{change}; {cure}"
    return DoctorFinding(check, level, sentence, cure=cure) if semicolon else DoctorFinding(check, level, text)
