"""What the page of content shows of verifications, as values. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from netboot.admin.pages.shell import DAMAGED, SOUND
from netboot.operate.content.verifications import Verification, VerificationState


@dataclass(frozen=True, slots=True)
class VerificationRow:
    """One verification; `damaged` has each damaged file with its fault, `cure` the command that repairs it."""

    verification: Verification
    sentence: str
    damaged: Sequence[tuple[str, str]]
    cures: Sequence[str]

    @classmethod
    def of(cls, verification: Verification) -> Self:
        bad = [verdict for verdict in verification.verdicts if not verdict["ok"]]
        damaged = [(f"{each['name']}: {file}", fault) for each in bad for file, fault in each["faults"].items()]
        cures = [f"netboot content verify {each['name']} --repair-from SOURCE" for each in bad]
        return cls(verification, _outcome(verification), damaged, cures)

    @property
    def is_running(self) -> bool:
        return self.verification.state is VerificationState.RUNNING

    @property
    def word(self) -> str:
        """The state, or of one that is done its result."""
        if self.verification.state is not VerificationState.DONE:
            return self.verification.state.value
        return SOUND if self.verification.is_sound else DAMAGED


def newest_of_each(verifications: Iterable[Verification]) -> dict[str, Verification]:
    """Return the newest verification of each entry, also one of all content."""
    newest: dict[str, Verification] = {}
    for each in verifications:
        names = [each.name] if each.name else [str(verdict["name"]) for verdict in each.verdicts]
        for name in names:
            newest.setdefault(name, each)
    return newest


def verified_word(name: str, newest: Mapping[str, Verification]) -> str:
    """Return the result of the newest verification of an entry; empty if it is not done, or there is none."""
    found = newest.get(name)
    if found is None or found.state is not VerificationState.DONE:
        return ""
    return SOUND if all(verdict["ok"] for verdict in found.verdicts if verdict["name"] == name) else DAMAGED


def _outcome(verification: Verification) -> str:
    match verification.state:
        case VerificationState.RUNNING:
            return f"Verifying {verification.subject}"
        case VerificationState.CANCELLED:
            return f"The verification of {verification.subject} was cancelled"
        case VerificationState.FAILED:
            return f"The verification of {verification.subject} failed: {verification.error}"
        case VerificationState.DONE:
            return f"Verified {verification.subject}: {_counted(verification.verdicts)}"


def _counted(verdicts: Sequence[Mapping[str, Any]]) -> str:
    damaged = sum(len(verdict["faults"]) for verdict in verdicts)
    checked = sum(verdict["checked"] for verdict in verdicts)
    return f"{damaged} damaged of {checked} files and objects" if damaged else f"sound, {checked} files and objects"
