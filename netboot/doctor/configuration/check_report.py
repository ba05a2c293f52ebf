"""What `netboot check` found: sentences, each with its cure."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class CheckReport:
    """Problems that prevent serving machines, warnings, and notes of what was not checked."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
