"""What the page of content shows, as values: entries with their actions, uploads and verifications. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from urllib.parse import quote

from netboot.admin.pages.action_link import ActionLink
from netboot.admin.pages.shell import DAMAGED, SOUND
from netboot.content.library.uploads import Upload, UploadState
from netboot.operate.content.content_administration import ContentDisk
from netboot.operate.content.library_listing import ContentDetails, ListedContent
from netboot.operate.content.verifications import Verification, VerificationState

SHOWN_USERS: Final = 3
SHOWN_VERIFICATIONS: Final = 3


@dataclass(frozen=True, slots=True)
class ContentRow:
    """One medium, release or alias; `verify` is requested by a form, the others have a page that confirms them."""

    entry: ListedContent
    url: str
    imported_at: datetime | None
    used_by: Sequence[str]
    more_users: int
    verify: ActionLink
    promote: ActionLink
    remove: ActionLink
    last_verified: str

    @classmethod
    def of(cls, details: ContentDetails, *, verify_refusal: str | None, newest: Mapping[str, Verification]) -> Self:
        entry = details.entry
        url = f"/content/{quote(entry.name, safe='')}"
        running = newest.get(entry.name)
        is_verified = running is not None and running.state is VerificationState.RUNNING
        reasons = [*details.reasons, *([f"{entry.name} is being verified now"] if is_verified else [])]
        return cls(
            entry,
            url,
            datetime.fromisoformat(entry.imported_at) if entry.imported_at else None,
            entry.used_by[:SHOWN_USERS],
            max(0, len(entry.used_by) - SHOWN_USERS),
            ActionLink("verify", "Verify", f"{url}/verify", verify_refusal),
            ActionLink("promote", "Promote", f"{url}/promote"),
            ActionLink("remove", "Remove", f"{url}/remove", shortened(reasons)),
            _verified(entry.name, newest.get(entry.name)),
        )


@dataclass(frozen=True, slots=True)
class UploadRow:
    """One upload, and the import of it."""

    upload: Upload
    title: str
    created_at: datetime
    expires_at: datetime | None
    percent: int | None
    step: str

    @classmethod
    def of(cls, upload: Upload) -> Self:
        expires_at = datetime.fromisoformat(upload.expires_at) if upload.expires_at else None
        created_at = datetime.fromisoformat(upload.created_at)
        percent: int | None = None
        match upload.state:
            case UploadState.RECEIVING:
                percent, step = upload.offset * 100 // upload.length, "receiving"
            case UploadState.IMPORTING if upload.progress is not None:
                percent, step = upload.progress.percent, upload.progress.step
            case UploadState.IMPORTING:
                step = "waiting for its import"
            case _:
                step = ""
        return cls(upload, _title(upload), created_at, expires_at, percent, step)

    @property
    def is_running(self) -> bool:
        return not self.upload.has_ended

    @property
    def notes(self) -> Sequence[str]:
        """What the import remarked."""
        return [str(note) for note in (self.upload.result or {}).get("notes", ())]


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


@dataclass(frozen=True, slots=True)
class ContentView:
    """The page of content."""

    media: Sequence[ContentRow]
    releases: Sequence[ContentRow]
    uploads: Sequence[UploadRow]
    verifications: Sequence[VerificationRow]
    verify_all: ActionLink
    disk: ContentDisk

    @classmethod
    def of(
        cls,
        details: Sequence[ContentDetails],
        uploads: Sequence[Upload],
        verifications: Sequence[Verification],
        *,
        disk: ContentDisk,
        verify_refusal: str | None,
    ) -> Self:
        newest = newest_of_each(verifications)
        rows = [ContentRow.of(each, verify_refusal=verify_refusal, newest=newest) for each in details]
        return cls(
            [row for row in rows if row.entry.kind == "boot medium"],
            [row for row in rows if row.entry.kind == "release"],
            [UploadRow.of(upload) for upload in reversed(uploads)],
            [VerificationRow.of(each) for each in verifications[:SHOWN_VERIFICATIONS]],
            ActionLink("verify", "Verify everything", "/content/-/verify", verify_refusal),
            disk,
        )

    @property
    def is_running(self) -> bool:
        """Something changes without an event, so the page is fetched again and again."""
        return any(row.is_running for row in self.uploads) or any(row.is_running for row in self.verifications)


def newest_of_each(verifications: Iterable[Verification]) -> dict[str, Verification]:
    """Return the newest verification of each entry, also one of all content."""
    newest: dict[str, Verification] = {}
    for each in verifications:
        names = [each.name] if each.name else [str(verdict["name"]) for verdict in each.verdicts]
        for name in names:
            newest.setdefault(name, each)
    return newest


def shortened(reasons: Sequence[str]) -> str | None:
    """Return the first reason, and how many more there are; None without a reason."""
    if not reasons:
        return None
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}"


def _title(upload: Upload) -> str:
    imported = (upload.result or {}).get("name")
    kinds = {"iso": "an ISO", "images": "container images"}
    return str(imported or upload.name or upload.image or kinds.get(upload.kind, "an archive"))


def _verified(name: str, verification: Verification | None) -> str:
    if verification is None or verification.state is not VerificationState.DONE:
        return ""
    return SOUND if all(verdict["ok"] for verdict in verification.verdicts if verdict["name"] == name) else DAMAGED


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
